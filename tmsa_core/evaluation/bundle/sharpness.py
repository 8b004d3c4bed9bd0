"""How crisply the generator draws: its fine detail beside the renderer's, whole and part by part.

Portraits are drawn from their own codes, so that nothing is measured but the generator.
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
from tmsa_core.evaluation.avatar_images import rendered, synthesise
from tmsa_core.imaging.contact_sheet import grid
from tmsa_core.imaging.images import to_image
from tmsa_core.networks.stylegan2 import Generator
from tmsa_core.training.avatar.pixels import detail, psnr
from tmsa_core.training.avatar.renders import held_out_portraits
from tmsa_core.training.avatar.stylegan_mapping import LIFT
from tmsa_core.training.avatar.w_codes import portrait_codes

PORTRAITS = 192
ASKED = 48  # portraits that each part is drawn on


class Part(NamedTuple):
    """Something that an attribute's option draws and another option does not."""

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
    """Of two stacks of detail, 1 where one is the other up to its strength."""
    return float((made * real).sum() / (made.norm() * real.norm()))


def share_drawn(made: Tensor, real: Tensor) -> float:
    """How much of a difference ``real`` is in ``made``: 1 for all of it, 0 for nothing like it.

    The projection <made, real> / <real, real>, of differences in detail (B,3,H,W).
    """
    return float((made * real).sum() / real.square().sum())


@torch.inference_mode()
def sharpness_report(bundle: Bundle) -> dict[str, float]:
    """PSNR, correlation and strength of detail, and the share drawn of each of ``PARTS``."""
    generator = bundle.load("generator")
    people = held_out_portraits(PORTRAITS, seed=2)
    made, real = _drawn(generator, people), rendered(people)
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
    """Held-out renders, each beside what the generator draws of its code, then random portraits."""
    generator = bundle.load("generator")
    people = held_out_portraits(2 * rows, seed=4)
    z = torch.randn(2 * rows, 512, generator=torch.Generator().manual_seed(4))
    random = synthesise(generator, generator.broadcast(generator.map(z)))
    columns = (rendered(people), _drawn(generator, people), random)
    shown = zip(*([to_image(x) for x in images] for images in columns), strict=True)
    pairs = [(real, made, drawn) for real, made, drawn in shown]
    table = [(*a[:2], *b[:2], a[2], b[2]) for a, b in zip(pairs[::2], pairs[1::2], strict=True)]
    return grid(table, ("render", "generator", "render", "generator", "random", "random"))


def _part_share(generator: Generator, part: Part) -> float:
    people = held_out_portraits(PORTRAITS, seed=3)
    shown = people.with_(**{part.attribute: part.option})
    rows = visible(shown, part.attribute).nonzero()[:ASKED, 0]
    both = [people[rows].with_(**{part.attribute: o}) for o in (part.option, part.without)]
    real = [detail(rendered(p)) for p in both]
    made = [detail(_drawn(generator, p)) for p in both]
    return share_drawn(made[0] - made[1], real[0] - real[1])


def _drawn(generator: Generator, people: Portraits) -> Tensor:
    return synthesise(generator, generator.broadcast(portrait_codes(people) + LIFT))
