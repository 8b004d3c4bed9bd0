import pytest
import torch
from torch import Tensor

from tmsa_core.networks.stylegan2 import Generator
from tmsa_core.training.avatar import generator, hfgi
from tmsa_core.training.avatar.perceptual import clip_features, feature_distance


@torch.no_grad()
def test_untrained_networks_do_not_change_the_image():
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
def test_clip_features_distinguish_images(editor):
    clip = editor.bundle.load("clip")
    images = torch.rand(2, 3, 64, 64) * 2 - 1
    features = clip_features(clip, images)
    assert [f.shape[0] for f in features] == [2] * 5
    assert feature_distance(features, features).abs().max() < 1e-5
    assert feature_distance(features, [f.flip(0) for f in features]).min() > 0.01
