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


def test_pairs_differ_in_one_attribute_only(work):
    renders, changed = data.open_pairs(work)
    assert len(renders) == len(changed) == 16  # rows that both pools have
    a, b = renders.portraits, changed.portraits
    assert all(torch.equal(a.traits[name], b.traits[name]) for name in a.traits)
    differs = torch.stack([a.attributes[n] != b.attributes[n] for n in ATTRIBUTES])
    assert (differs.sum(dim=0) == 1).all()
    moved = (read_code(portrait_codes(b)) - read_code(portrait_codes(a))).abs() > 1e-3
    assert (moved.sum(dim=1) == 2).all()  # one option off, another one on
    rows = torch.arange(16)
    change = (renders.images(rows) - changed.images(rows)).abs()
    assert (change.amax(dim=(1, 2, 3)) > 0.1).all() and change.mean() < 0.3


def test_changes_depend_on_seed_and_chunk_only():
    once, again = (data.changed_portraits(0, 3, 16).to_matrix() for _ in range(2))
    assert torch.equal(once, again)
    assert not torch.equal(once, data.changed_portraits(1, 3, 16).to_matrix())


def test_a_chunk_has_several_looks_of_each_person():
    people = data.chunk_portraits(seed=0, chunk=3, count=2 * data.LOOKS)
    tones = people.traits["skin_tone"].view(2, data.LOOKS)
    assert (tones == tones[:, :1]).all() and tones[0, 0] != tones[1, 0]
    assert len(people.attributes["eyewear"][: data.LOOKS].unique()) > 1
    other = data.chunk_portraits(seed=0, chunk=4, count=2 * data.LOOKS)
    assert not torch.equal(people.to_matrix(), other.to_matrix())


def test_held_out_portraits_are_not_in_the_training_set():
    trained = data.chunk_portraits(seed=0, chunk=0, count=512).traits["skin_tone"]
    assert not torch.isin(data.held_out_portraits(64).traits["skin_tone"], trained).any()
