import pytest
import torch

from tmsa_core.training.avatar.pixels import (
    PART,
    SOFT,
    at_side,
    changed_weight,
    detail,
    face_weight,
    paired_loss,
)

FLAT = torch.ones(1, 1, 16, 16)


def test_paired_loss_is_zero_for_equal_images_and_counts_edges():
    real = torch.zeros(1, 3, 16, 16)
    flat = paired_loss(real + 0.1, real, FLAT)
    assert paired_loss(real, real, FLAT) == 0
    assert flat.item() == pytest.approx(0.01 / (0.1 + SOFT), abs=1e-6)
    checks = 0.1 * (torch.arange(16)[:, None] + torch.arange(16)[None]).remainder(2) * 2 - 0.1
    assert paired_loss(real + checks, real, FLAT) > flat


def test_one_missing_part_outweighs_many_tiny_errors():
    real = torch.zeros(1, 3, 16, 16)
    part = real.clone()
    part[..., 8, 8] = 1.0
    spread = real + part.mean()  # the same absolute error, all over
    assert paired_loss(part, real, FLAT) > 5 * paired_loss(spread, real, FLAT)


def test_errors_are_weighted_by_place():
    real, made = torch.zeros(1, 3, 16, 16), torch.zeros(1, 3, 16, 16)
    made[..., :, 8:] = 0.5
    right = FLAT.clone()
    right[..., :, 8:] = 3
    left = FLAT.clone()
    left[..., :, :7] = 3
    assert paired_loss(made, real, right) > 2.5 * paired_loss(made, real, FLAT)
    assert paired_loss(made, real, left) == paired_loss(made, real, FLAT)


def test_small_and_large_changes_weigh_the_same():
    before = torch.zeros(2, 3, 32, 32)
    after = before.clone()
    after[0, :, 3:5, 3:5] = 0.4  # a freckle
    after[1, :, 8:24, 8:24] = 0.8  # a hat
    weight = changed_weight(torch.cat([before, after]))
    assert weight.shape == (4, 1, 32, 32) and torch.equal(weight[:2], weight[2:])
    assert weight[0, 0, 12, 12] == 0 and weight[0, 0, 3, 3] > 20 * weight[1, 0, 9, 9]
    assert weight[1, 0, 8, 8] > weight[1, 0, 16, 16]  # edges more than what they enclose
    assert weight.mean(dim=(1, 2, 3)).tolist() == pytest.approx([PART] * 4, rel=0.2)


def test_detail_excludes_slow_variation():
    slope = torch.linspace(-1, 1, 32).expand(1, 3, 32, 32)
    assert detail(slope)[..., 4:-4].abs().max() < 1e-5
    dot = torch.zeros(1, 3, 32, 32)
    dot[..., 16, 16] = 1
    assert detail(dot)[0, 0, 16, 16] == pytest.approx(1 - 1 / 49)


def test_an_invisible_change_has_no_weight():
    assert changed_weight(torch.zeros(2, 3, 8, 8)).abs().max() == 0


def test_eyes_and_mouth_weigh_most():
    weight = face_weight(64)[0, 0]
    assert weight[29, 24] > 3 and weight[45, 32] > 3
    assert weight[2, 2] == pytest.approx(1, abs=1e-3)


def test_images_are_averaged_to_a_side():
    images = torch.rand(1, 3, 128, 128) * 2 - 1
    assert torch.allclose(at_side(images, 64).mean(), images.mean(), atol=1e-5)
    assert at_side(images, 128) is images
