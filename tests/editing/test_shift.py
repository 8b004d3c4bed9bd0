import numpy as np
import pytest
import torch

from tmsa_core.editing.shift import (
    SAME_MEANING,
    calibrate,
    keep_largest,
    level_mask,
    semantic_shift,
)
from tmsa_core.errors import RequestError
from tmsa_core.networks.tmsa import Mapper


@pytest.fixture
def mapper() -> Mapper:
    torch.manual_seed(0)
    return Mapper(levels=12, hidden=(8,)).eval()


def unit(seed: int) -> torch.Tensor:
    x = torch.randn(512, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(x, dim=0)


def test_raw_shift_is_the_difference_of_mapped_texts(mapper):
    neutral, target = unit(1), unit(2)
    expected = mapper.from_text(target[None]) - mapper.from_text(neutral[None])
    assert torch.allclose(semantic_shift(mapper, neutral, target), expected[0], atol=1e-5)


def test_calibrated_shift_has_the_calibrated_length_and_the_same_direction(mapper):
    raw = semantic_shift(mapper, unit(1), unit(2))
    mapper.shift_length.fill_(5.0)
    shift = semantic_shift(mapper, unit(1), unit(2))
    assert shift.square().sum(dim=1).mean().sqrt().item() == pytest.approx(5.0, rel=1e-5)
    cosine = torch.nn.functional.cosine_similarity(raw.flatten(), shift.flatten(), dim=0)
    assert cosine.item() == pytest.approx(1.0, abs=1e-6)


def test_swapped_texts_shift_the_other_way(mapper):
    forth, back = semantic_shift(mapper, unit(1), unit(2)), semantic_shift(mapper, unit(2), unit(1))
    assert torch.allclose(forth, -back, atol=1e-6)


def test_equal_texts_give_exact_zeros(mapper):
    mapper.shift_length.fill_(5.0)
    assert not semantic_shift(mapper, unit(1), unit(1)).any()


def test_texts_that_differ_by_wording_give_zeros(mapper):
    mapper.shift_length.fill_(5.0)
    faint = unit(1) + 0.9 * SAME_MEANING * unit(2)
    assert not semantic_shift(mapper, unit(1), faint).any()
    assert semantic_shift(mapper, unit(1), unit(1) + 1.1 * SAME_MEANING * unit(2)).any()


def test_zero_length_keeps_the_raw_shift():
    shift = torch.randn(12, 512)
    assert torch.equal(calibrate(shift, 0.0), shift)


def test_named_levels_cover_all_rows_once():
    parts = [level_mask(name, 12) for name in ("coarse", "medium", "fine")]
    assert torch.equal(sum(parts), level_mask("all", 12))
    assert parts[0][:4].all() and not parts[0][4:].any()
    for ends in ((0, 11), [11, 0], np.array([0, 11])):
        assert torch.equal(level_mask(ends, 12).nonzero()[:, 0], torch.tensor([0, 11]))


@pytest.mark.parametrize("levels", ["huge", "", (12,), (-1,), (1.5,), (True,), ("0",), None, 3])
def test_unknown_levels_are_refused(levels):
    with pytest.raises(RequestError, match="levels"):
        level_mask(levels, 12)


def test_threshold_zeroes_the_smallest_share():
    shift = torch.arange(1.0, 101.0).view(10, 10)
    kept = keep_largest(shift, 0.9)
    assert int((kept != 0).sum()) == 10 and kept.max() == 100
    assert torch.equal(keep_largest(shift, 0.0), shift)
