import pytest
import torch
from torch import Tensor

from tmsa_core.avatars.params import ATTRIBUTES
from tmsa_core.avatars.visibility import visible
from tmsa_core.networks.stylegan2 import Generator
from tmsa_core.training import data, generator, hfgi
from tmsa_core.training.codes import portrait_codes, read_code
from tmsa_core.training.data import held_out_portraits, open_pool, render_chunk, to_range
from tmsa_core.training.perceptual import clip_features, feature_distance


def test_one_visible_attribute_of_each_portrait_changes():
    before = held_out_portraits(300)
    after = hfgi.one_change(before, torch.Generator().manual_seed(0))
    differs = torch.stack([before.attributes[n] != after.attributes[n] for n in ATTRIBUTES])
    assert (differs.sum(dim=0) == 1).all()
    assert all(torch.equal(before.traits[n], after.traits[n]) for n in before.traits)
    for name, changed in zip(ATTRIBUTES, differs, strict=True):
        assert changed.any() and visible(before, name)[changed].all(), name


@pytest.fixture
def pool(tmp_path, monkeypatch):
    monkeypatch.setattr(data, "CHUNK", 16)
    render_chunk(tmp_path, 0, 0, 64)
    return open_pool(tmp_path)


def test_edited_pairs_are_the_same_people_with_a_known_shift(pool, tmp_path):
    pairs = hfgi.edited_pairs(pool, tmp_path, seed=0)
    assert pairs.rows.tolist() == [0, 8] and pairs.images.shape == (2, 3, 64, 64)
    change = (to_range(pairs.images) - pool.images(pairs.rows)).abs()
    assert (change.amax(dim=(1, 2, 3)) > 0.1).all() and change.mean() < 0.3
    spelt = read_code(portrait_codes(pool.portraits[pairs.rows]) + pairs.shifts)
    moved = (spelt - read_code(portrait_codes(pool.portraits[pairs.rows]))).abs() > 1e-3
    assert (moved.sum(dim=1) == 2).all()  # one option off, another one on
    written = (tmp_path / "edited-2-0.npy").stat().st_mtime_ns
    again = hfgi.edited_pairs(pool, tmp_path, seed=0)
    assert torch.equal(again.images, pairs.images)
    assert (tmp_path / "edited-2-0.npy").stat().st_mtime_ns == written


@torch.no_grad()
def test_untrained_networks_change_nothing():
    torch.manual_seed(0)
    model, drawing = hfgi.new_hfgi().eval(), Generator(**generator.ARCHITECTURE).eval()
    w_plus, images = torch.randn(1, 12, 512), torch.zeros(1, 3, 128, 128)
    assert torch.equal(model(drawing, images, w_plus, w_plus), drawing.synthesise(w_plus))
    half = sum(2 * p.numel() for p in model.state_dict().values())
    assert half < 3_000_000  # bytes of the committed file


def vectors(*rows: list[float]) -> Tensor:
    return torch.tensor(rows).T[None, :, :, None]  # (1,C,positions,1)


def test_feature_distance_of_known_vectors():
    same, opposite = vectors([1.0, 0.0], [0.0, 2.0]), vectors([-3.0, 0.0], [0.0, 5.0])
    assert feature_distance([same], [same]).item() == 0
    assert feature_distance([same], [opposite]).item() == pytest.approx(2.0)  # 4 and 0
    assert feature_distance([same, same], [opposite, opposite]).item() == pytest.approx(4.0)


@torch.no_grad()
def test_clip_features_know_portraits_apart(editor):
    clip = editor.bundle.load("clip")
    images = torch.rand(2, 3, 64, 64) * 2 - 1
    features = clip_features(clip, images)
    assert [f.shape[0] for f in features] == [2] * 5
    assert feature_distance(features, features).abs().max() < 1e-5
    assert feature_distance(features, [f.flip(0) for f in features]).min() > 0.01
