import pytest
import torch

from tmsa_core.avatars.params import ATTRIBUTES
from tmsa_core.avatars.visibility import visible
from tmsa_core.training.avatar import renders as data
from tmsa_core.training.avatar.w_codes import portrait_codes, read_code


def test_one_visible_attribute_of_each_portrait_changes():
    before = data.held_out_portraits(300)
    after = data.one_change(before, torch.Generator().manual_seed(0))
    differs = torch.stack([before.attributes[n] != after.attributes[n] for n in ATTRIBUTES])
    assert (differs.sum(dim=0) == 1).all()
    assert all(torch.equal(before.traits[n], after.traits[n]) for n in before.traits)
    for name, changed in zip(ATTRIBUTES, differs, strict=True):
        assert changed.any() and visible(before, name)[changed].all(), name


@pytest.fixture
def work(tmp_path, monkeypatch):
    monkeypatch.setattr(data, "CHUNK", 16)
    for chunk in (0, 1):
        data.render_chunk(tmp_path / "renders", 0, chunk, 64)
    data.render_chunk(tmp_path / "changed", 0, 0, 64, data.changed_portraits)
    return tmp_path


def test_pairs_show_the_same_people_but_for_one_attribute(work):
    renders, changed = data.open_pairs(work)
    assert len(renders) == len(changed) == 16  # as many as both have
    a, b = renders.portraits, changed.portraits
    assert all(torch.equal(a.traits[name], b.traits[name]) for name in a.traits)
    differs = torch.stack([a.attributes[n] != b.attributes[n] for n in ATTRIBUTES])
    assert (differs.sum(dim=0) == 1).all()
    moved = (read_code(portrait_codes(b)) - read_code(portrait_codes(a))).abs() > 1e-3
    assert (moved.sum(dim=1) == 2).all()  # one option off, another one on
    rows = torch.arange(16)
    change = (renders.images(rows) - changed.images(rows)).abs()
    assert (change.amax(dim=(1, 2, 3)) > 0.1).all() and change.mean() < 0.3


def test_changes_depend_on_seed_and_chunk_alone():
    once, again = (data.changed_portraits(0, 3, 16).to_matrix() for _ in range(2))
    assert torch.equal(once, again)
    assert not torch.equal(once, data.changed_portraits(1, 3, 16).to_matrix())
