"""What the inversions draw, and how reconstructions are scored."""

import pytest
import torch

from tmsa_core.evaluation.bundle.inversion import drawings, judge_features, put_back, reconstruction
from tmsa_core.evaluation.subjects import Subjects, draw_subjects
from tmsa_core.networks.hfgi import HFGI
from tmsa_core.networks.sfe import SFE
from tmsa_core.training.avatar import hfgi, sfe


class WithDetails:
    """The avatar bundle with HFGI and SFE of random weights."""

    def __init__(self, bundle) -> None:
        torch.manual_seed(0)
        self.bundle, self.own = (
            bundle,
            {
                "hfgi": HFGI(**hfgi.ARCHITECTURE).eval(),
                "sfe": SFE(**sfe.ARCHITECTURE).eval(),
            },
        )

    def has(self, role: str) -> bool:
        return role in self.own

    def load(self, role: str) -> torch.nn.Module:
        return self.own[role] if role in self.own else self.bundle.load(role)


@pytest.fixture(scope="module")
def bundle(editor):
    return WithDetails(editor.bundle)


@pytest.fixture(scope="module")
def subjects(bundle) -> Subjects:
    return draw_subjects(bundle.load("e4e"), 3, bundle.load("generator").resolution)


@torch.inference_mode()
def test_each_inversion_draws_the_subjects_it_is_asked_for(bundle, subjects):
    draws = drawings(bundle, subjects)
    generator = bundle.load("generator")
    plain = generator.synthesise(subjects.codes).clamp(-1, 1)
    everyone = torch.arange(3)
    assert torch.allclose(draws["e4e"](subjects.codes, everyone), plain, atol=1e-4)
    fused = draws["hfgi"](subjects.codes, everyone)
    expected = bundle.load("hfgi")(generator, subjects.images, subjects.codes, subjects.codes)
    assert torch.allclose(fused, expected.clamp(-1, 1), atol=1e-4)
    for name in ("hfgi", "sfe"):
        every = draws[name](subjects.codes, everyone)
        last = draws[name](subjects.codes[2:], everyone[2:])
        assert torch.allclose(last, every[2:], atol=1e-3) and not torch.allclose(every, plain)


@torch.inference_mode()
def test_an_unchanged_inversion_is_put_back_as_the_portrait(bundle, subjects):
    whole = put_back(drawings(bundle, subjects)["e4e"], subjects)
    assert torch.equal(whole(subjects.codes, torch.arange(3)), subjects.images)
    other = whole(subjects.codes[[0, 2]] + 1.0, torch.tensor([1, 2]))  # a different person
    assert other.shape == subjects.images[1:].shape
    assert (other - subjects.images[1:]).abs().amax((1, 2, 3)).min() > 0.5


@torch.inference_mode()
def test_scores_of_a_perfect_and_of_a_bad_reconstruction(bundle, subjects):
    figures, distances = reconstruction(bundle, subjects, subjects.images)
    assert figures["pixels"] == 0 and distances["perceptual"].max() < 1e-6
    assert figures["ssim"] == pytest.approx(1, abs=1e-4) and figures["psnr"] > 100
    assert figures["identity"] == pytest.approx(1, abs=1e-4) and figures["attributes"] > 0.9
    spoilt, _ = reconstruction(bundle, subjects, (subjects.images + 0.2).clamp(-1, 1))
    assert 0.1 < spoilt["pixels"] <= 0.2 and spoilt["perceptual"] > 0.01
    assert spoilt["psnr"] == pytest.approx(20, abs=3)


@torch.inference_mode()
def test_the_judges_layers_halve_the_image(bundle, subjects):
    features = judge_features(bundle.load("classifier"), subjects.images)
    assert [f.shape[-1] for f in features] == [128, 64, 32, 16, 8]
