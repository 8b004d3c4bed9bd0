"""What each loss contributes: the mapper trained alike with losses left out or weighted otherwise.

Figures 11 and 12 of the paper show the first two: without the in-domain adjustment (losses 2 and
3), and without the adaption to e4e (loss 4). All start at random, so that the losses alone count.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from tmsa_core.avatars.render import render
from tmsa_core.bundles import Bundle
from tmsa_core.evaluation.alignment.setup import (
    COMMON_LENGTH,
    Log,
    Row,
    StudySetup,
    judge,
    raw_direction,
    study_bank,
)
from tmsa_core.evaluation.prompts import SIX, Prompt
from tmsa_core.networks.tmsa import Mapper
from tmsa_core.training.avatar.renders import chunk_portraits, from_uint8, to_uint8
from tmsa_core.training.mapper.loop import train_alignment
from tmsa_core.training.mapper.presets import FAST, Weights
from tmsa_core.training.run import Options

PAIRS = 2_048
REAL = 1_024
STEPS = FAST.iterations  # as many as our own schedule has
PRESET = replace(FAST, iterations=STEPS, bank=PAIRS, closed_form=False, batch=64)
FULL = Weights()
ABLATIONS = {
    "all losses": FULL,
    "without in-domain adjustment": replace(FULL, ia=0.0, iai=0.0),
    "without adaption": replace(FULL, ada=0.0),
    "without space alignment": replace(FULL, sa=0.0),
    "without the in-domain image loss": replace(FULL, iai=0.0),
}
SENSITIVITY = {
    f"{name} x {factor:g}": replace(FULL, **{name: factor * getattr(FULL, name)})
    for name in ("sa", "ia", "iai", "ada")
    for factor in (0.25, 4.0)
}
VARIANTS = ABLATIONS | SENSITIVITY


class RenderedImages:
    """Real images of the avatar world, drawn when they are asked for."""

    def __init__(self, count: int, resolution: int) -> None:
        self.portraits = chunk_portraits(0, 0, count)
        self.resolution = resolution

    def __len__(self) -> int:
        return len(self.portraits)

    def images(self, index: Tensor) -> Tensor:
        """(N,) indices -> (N,3,R,R) in [-1,1]."""
        drawn = render(self.portraits[index], self.resolution).images
        return from_uint8(to_uint8(drawn))

    def shown(self, count: int) -> Tensor:
        """Indices of the first ``count`` images, for the sample grid."""
        return torch.arange(len(self))[:count]

    def digest(self) -> str:
        """Tells this set of images from others."""
        return f"{len(self)} drawn portraits of {self.resolution} pixels"


def trained_mapper(bundle: Bundle, name: str, work: Path) -> Mapper:
    """The mapper of a variant, trained now or taken from its finished state in ``work``."""
    preset = replace(PRESET, weights=VARIANTS[name])
    images = RenderedImages(REAL, 128)
    folder = "losses-" + name.replace(" ", "-")
    state = train_alignment(bundle, preset, Options(work, bundle.folder), images, folder)
    return state.average.requires_grad_(False)


def run(stage: StudySetup, out: Path, work: Path, prompts: tuple[Prompt, ...] = SIX) -> list[Row]:
    """Train and try every variant; rows that are in ``out`` already are kept."""
    log = Log(out, "losses", stage.bundle)
    for name, weights in VARIANTS.items():
        key = {"row": "variant", "variant": name, "steps": STEPS, "portraits": len(stage.codes)}
        log.add(key, lambda n=name, w=weights: vars(w) | _try(stage, n, work, prompts))
    return log.rows


def _try(stage: StudySetup, name: str, work: Path, prompts: tuple[Prompt, ...]) -> Row:
    """The edits' figures; reconstruction: mean cosine of E_I of an image and of G(M(E_I))."""
    mapper, bank = trained_mapper(stage.bundle, name, work), study_bank(stage, PAIRS, work)
    with torch.inference_mode():
        again = stage.embedder.embed(mapper(bank.synthetic[:64]))
    cosines = F.cosine_similarity(again, bank.synthetic[:64], dim=1)
    figures = judge(stage, bank, raw_direction(mapper), prompts, COMMON_LENGTH * bank.spread())
    return {"reconstruction": float(cosines.mean())} | figures
