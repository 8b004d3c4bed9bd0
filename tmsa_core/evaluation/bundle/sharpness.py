"""Measures how sharp the generator's images are, compared with renders, as a whole and by part.

The generator draws portraits from their true codes, so that only the generator is measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor

from tmsa_core.avatars.params import Portraits
from tmsa_core.avatars.visibility import visible
from tmsa_core.bundles import Bundle
from tmsa_core.evaluation.subjects import render_portraits, synthesise
from tmsa_core.imaging.contact_sheet import contact_sheet
from tmsa_core.imaging.images import to_image
from tmsa_core.networks.stylegan2 import Generator
from tmsa_core.training.avatar.pixels import detail, psnr
from tmsa_core.training.avatar.renders import held_out_portraits
from tmsa_core.training.avatar.stylegan_mapping import LIFT
from tmsa_core.training.avatar.w_codes import portrait_codes

PORTRAITS = 192
SHOWN = 48  # portraits that measure each part


class Part(NamedTuple):
    """A detail that one option of an attribute draws and another option does not."""

    attribute: str
    option: str
    without: str


PARTS: Mapping[str, Part] = {
    "glasses": Part("eyewear", "glasses", "none"),
    "wrinkles": Part("wrinkles", "yes", "no"),
    "freckles": Part("freckles", "yes", "no"),
    "earrings": Part("earrings", "yes", "no"),
    "make-up": Part("makeup", "yes", "no"),
    "curls": Part("hair_style", "curly", "short"),
    "spikes": Part("hair_style", "spiky", "short"),
    "mohawk": Part("hair_style", "mohawk", "short"),
    "vampire": Part("costume", "vampire", "none"),
    "rock star": Part("costume", "rock_star", "none"),
    "clown": Part("costume", "clown", "none"),
}


def correlation(made: Tensor, real: Tensor) -> float:
    """Returns the correlation of two stacks of detail (B,3,H,W), 1 for proportional ones."""
    return float((made * real).sum() / (made.norm() * real.norm()))


def share_drawn(made: Tensor, real: Tensor) -> float:
    """Returns how much of a difference ``real`` the difference ``made`` contains, 1 for all of it.

    This is the projection <made, real> / <real, real> of differences in detail (B,3,H,W).
    """
    return float((made * real).sum() / real.square().sum())


@torch.inference_mode()
def sharpness_report(bundle: Bundle) -> dict[str, float]:
    """Returns PSNR, correlation and strength of detail, and the share drawn of each part."""
    generator = bundle.load("generator")
    people = held_out_portraits(PORTRAITS, seed=2)
    made = _generated(generator, people)
    real = render_portraits(people, generator.resolution)
    fine, true = detail(made), detail(real)
    report = {
        "psnr": psnr(made, real),
        "correlation": correlation(fine, true),
        "strength": float(fine.norm() / true.norm()),
    }
    for name, part in PARTS.items():
        report[f"part_{name}"] = _part_share(generator, part)
    return report


@torch.inference_mode()
def samples_sheet(bundle: Bundle, rows: int) -> Image.Image:
    """Returns renders, the generator's images of the same codes, and random portraits."""
    generator = bundle.load("generator")
    people = held_out_portraits(2 * rows, seed=4)
    z = torch.randn(2 * rows, 512, generator=torch.Generator().manual_seed(4))
    random = synthesise(generator, generator.broadcast(generator.map(z)))
    renders = render_portraits(people, generator.resolution)
    columns = (renders, _generated(generator, people), random)
    shown = list(zip(*([to_image(x) for x in images] for images in columns), strict=True))
    table = [(*a[:2], *b[:2], a[2], b[2]) for a, b in zip(shown[::2], shown[1::2], strict=True)]
    titles = ("render", "generator", "render", "generator", "random", "random")
    return contact_sheet(table, titles)


def _part_share(generator: Generator, part: Part) -> float:
    people = held_out_portraits(PORTRAITS, seed=3)
    shown = people.with_(**{part.attribute: part.option})
    rows = visible(shown, part.attribute).nonzero()[:SHOWN, 0]
    both = [people[rows].with_(**{part.attribute: o}) for o in (part.option, part.without)]
    real = [detail(render_portraits(p, generator.resolution)) for p in both]
    made = [detail(_generated(generator, p)) for p in both]
    return share_drawn(made[0] - made[1], real[0] - real[1])


def _generated(generator: Generator, people: Portraits) -> Tensor:
    return synthesise(generator, generator.broadcast(portrait_codes(people) + LIFT))
