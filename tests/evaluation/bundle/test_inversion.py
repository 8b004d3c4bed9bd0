import pytest
import torch

from tmsa_core.evaluation.bundle.inversion import drawings, judge_features, put_back, reconstruction
from tmsa_core.evaluation.bundle.readme import results_section
from tmsa_core.evaluation.held_out import Subjects, make_subjects
from tmsa_core.networks.hfgi import HFGI
from tmsa_core.training.avatar import hfgi


class WithHfgi:
    """The avatar bundle with an aligner and residual encoder of random weights."""

    def __init__(self, bundle) -> None:
        torch.manual_seed(0)
        self.bundle, self.hfgi = bundle, HFGI(**hfgi.ARCHITECTURE).eval()

    def load(self, role: str) -> torch.nn.Module:
        return self.hfgi if role == "hfgi" else self.bundle.load(role)


@pytest.fixture(scope="module")
def bundle(editor):
    return WithHfgi(editor.bundle)


@pytest.fixture(scope="module")
def subjects(bundle) -> Subjects:
    return make_subjects(bundle, 3)


@torch.inference_mode()
def test_each_inversion_draws_the_subjects_it_is_asked_for(bundle, subjects):
    draws = drawings(bundle, subjects)
    generator = bundle.load("generator")
    plain = generator.synthesise(subjects.codes).clamp(-1, 1)
    everyone = torch.arange(3)
    assert torch.allclose(draws["e4e"](subjects.codes, everyone), plain, atol=1e-4)
    fused = draws["hfgi"](subjects.codes, everyone)
    expected = bundle.hfgi(generator, subjects.renders, subjects.codes, subjects.codes)
    assert torch.allclose(fused, expected.clamp(-1, 1), atol=1e-4)
    last = draws["hfgi"](subjects.codes[2:], everyone[2:])
    assert torch.allclose(last, fused[2:], atol=1e-3) and not torch.allclose(fused, plain)


@torch.inference_mode()
def test_what_is_put_back_without_a_change_is_the_portrait(bundle, subjects):
    whole = put_back(drawings(bundle, subjects)["e4e"], subjects)
    assert torch.equal(whole(subjects.codes, torch.arange(3)), subjects.renders)
    other = whole(
        subjects.codes[[0, 2]] + 1.0, torch.tensor([1, 2])
    )  # somebody else, and much else
    assert other.shape == subjects.renders[1:].shape
    assert (other - subjects.renders[1:]).abs().amax((1, 2, 3)).min() > 0.5


@torch.inference_mode()
def test_figures_of_a_perfect_and_of_a_spoilt_reconstruction(bundle, subjects):
    figures, distances = reconstruction(bundle, subjects, subjects.renders)
    assert figures["pixels"] == 0 and distances["perceptual"].max() < 1e-6
    assert figures["ssim"] == pytest.approx(1, abs=1e-4) and figures["psnr"] > 100
    assert figures["identity"] == pytest.approx(1, abs=1e-4) and figures["attributes"] > 0.9
    spoilt, _ = reconstruction(bundle, subjects, (subjects.renders + 0.2).clamp(-1, 1))
    assert 0.1 < spoilt["pixels"] <= 0.2 and spoilt["perceptual"] > 0.01
    assert spoilt["psnr"] == pytest.approx(20, abs=3)


@torch.inference_mode()
def test_the_judges_layers_halve_the_image(bundle, subjects):
    features = judge_features(bundle.load("classifier"), subjects.renders)
    assert [f.shape[-1] for f in features] == [128, 64, 32, 16, 8]


def test_the_table_of_inversions():
    common = {"weights": "w", "portraits": 200}
    figures = {"psnr": 20.0, "ssim": 0.5, "pixels": 0.1, "perceptual": 1.5, "identity": 0.6}
    rows = [
        common | {"report": "samples", "frechet_samples": 2.0, "frechet_renders": 1.0},
        common
        | {"report": "inversion", "e4e_mean": 0.9, "judge_mean": 1.0, "psnr": 1.0, "identity": 1.0},
        common | {"report": "zero_shot", "smile": 1.0},
        common
        | {"report": "crispness", "psnr": 25.04, "correlation": 0.876, "strength": 0.9}
        | {"part_freckles": 0.714},
    ]
    assert "inversion, 200" not in results_section(rows)
    for name, success in (("e4e", 0.5), ("hfgi", 0.7)):
        rows.append(common | {"report": "reconstruction", "inversion": name} | figures)
        edits = {"report": "edit_by_inversion", "inversion": name, "kept": 0.9}
        rows += [common | edits | {"success": success}, common | edits | {"success": success + 0.2}]
        whole = {"report": "edit_put_back", "inversion": name, "kept": 0.8, "identity": 0.7}
        rows += [common | whole | {"success": success}, common | whole | {"success": 0.9}]
    section = results_section(rows)
    assert "within 25.0 dB of its render; the fine detail of the two correlates by 0.88" in section
    assert "has 90.0 % of the strength" in section and "draws: freckles 71 %." in section
    assert "| hfgi | 80.0 % | 80.0 % | 0.70 |" in section
    assert "inversion, 200 held-out portraits" in section
    assert "| hfgi | 1.500 | 5.0 % | 20.0 dB | 0.500 | 0.60 | 80.0 % | 90.0 % |" in section
