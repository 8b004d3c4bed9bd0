"""The sharpness of the generator, by known answers and on the committed weights."""

import pytest
import torch
from PIL import Image

from tmsa_core.bundles import open_bundle
from tmsa_core.domains import DOMAINS
from tmsa_core.evaluation.bundle import sharpness
from tmsa_core.evaluation.bundle.sharpness import (
    PARTS,
    correlation,
    samples_sheet,
    share_drawn,
    sharpness_report,
)
from tmsa_core.imaging.images import to_tensor
from tmsa_core.training.avatar.pixels import psnr

SIDE = DOMAINS["avatar"].resolution


def test_the_share_drawn_of_a_known_difference():
    real = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    assert share_drawn(real, real) == pytest.approx(1)
    assert share_drawn(0.5 * real, real) == pytest.approx(0.5)
    assert share_drawn(torch.zeros_like(real), real) == 0
    other = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    assert abs(share_drawn(other, real)) < 0.1


def test_correlation_ignores_the_strength():
    real = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    assert correlation(0.1 * real, real) == pytest.approx(1, abs=1e-5)
    assert correlation(-real, real) == pytest.approx(-1, abs=1e-5)


def test_the_committed_generator_is_nearly_as_sharp_as_the_renderer(monkeypatch):
    monkeypatch.setattr(sharpness, "PORTRAITS", 32)
    monkeypatch.setattr(sharpness, "SHOWN", 8)
    report = sharpness_report(open_bundle("avatar"))
    assert report["psnr"] > 27 and report["correlation"] > 0.88 and report["strength"] > 0.9
    assert {name.removeprefix("part_") for name in report if "part_" in name} == set(PARTS)
    assert report["part_glasses"] > 0.8 and report["part_freckles"] > 0.6
    assert report["part_earrings"] > 0.55
    assert min(report[f"part_{name}"] for name in PARTS) > 0.3


def test_the_sheet_shows_renders_next_to_generated_images():
    sheet = samples_sheet(open_bundle("avatar"), 1)
    assert isinstance(sheet, Image.Image) and sheet.width > 6 * SIDE and sheet.height < SIDE + 32
    render, drawn = (to_tensor(sheet.crop((x, 22, x + SIDE, 22 + SIDE))) for x in (0, SIDE + 2))
    assert 22 < psnr(drawn, render) < 60  # the same portrait, drawn twice
