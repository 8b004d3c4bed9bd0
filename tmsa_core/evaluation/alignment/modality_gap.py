"""How far texts lie from images in CLIP's space, and what helps a map that saw images only.

Each treatment is a way from two texts to a direction of W, learnt from the same bank. All are tried
at their own length and at one common length, so that direction and length are told apart.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cache
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from tmsa_core.avatars.language.captions import captions
from tmsa_core.editing.shift_refinement import cluster_direction, refine
from tmsa_core.evaluation.alignment.setup import (
    COMMON_LENGTH,
    Direction,
    Log,
    Row,
    StudySetup,
    judge,
    raw_direction,
    study_bank,
)
from tmsa_core.evaluation.prompts import SIX, Prompt
from tmsa_core.networks.tmsa import Mapper
from tmsa_core.training.avatar.renders import chunk_portraits
from tmsa_core.training.mapper.bank import Bank
from tmsa_core.training.mapper.calibration_texts import embed_pairs, text_centre
from tmsa_core.training.mapper.closed_form import closed_form, ridge
from tmsa_core.training.mapper.losses import in_domain

PAIRS = 4_096
SUBSPACES = (8, 16, 32, 64, 128, 256)
LEADING = 64  # dimensions of the image subspace that texts are projected on
SHARP = 0.1  # noise of a map that inverts images as well as it can
NOISE = 1.2
NETWORK_STEPS = 300
DELTAS = 8_192


@torch.no_grad()
def measure_gap(stage: StudySetup, bank: Bank, captioned: int = 512) -> Row:
    """Offset, subspace shares, and how far M's codes of texts lie off those of images."""
    portraits = chunk_portraits(0, 0, captioned)
    sentences = [caption.text for caption in captions(portraits, random.Random(0))]
    with torch.inference_mode():
        texts = torch.cat([stage.embedder.clip.embed_texts(sentences[i : i + 128])
                           for i in range(0, captioned, 128)])  # fmt: skip
    images = bank.synthetic
    offset = images.mean(dim=0) - texts.mean(dim=0)
    shares = {f"text_share_{k}": subspace_share(images, texts, k) for k in SUBSPACES}
    own = {f"image_share_{k}": subspace_share(images, images, k) for k in SUBSPACES}
    off = {}
    for name, noise in (("sharp", SHARP), ("noisy", NOISE)):
        mapper = closed_form(bank, noise)
        codes = {"image": mapper(images[:captioned]), "text": mapper.from_point(texts)}
        for kind, code in codes.items():
            away = (code[:, 0] - mapper.latent_avg[0]).norm(dim=1).mean()
            off[f"{name}_{kind}_distance"] = float(away) / bank.spread()
    return {
        "offset": float(offset.norm()),
        "cosine_of_means": float(F.cosine_similarity(images.mean(0), texts.mean(0), dim=0)),
        "within_images": mean_cosine(images[:captioned]),
        "within_texts": mean_cosine(texts),
        **shares,
        **own,
        **off,
    }


def subspace_share(images: Tensor, others: Tensor, dimensions: int) -> float:
    """Share of the variance of ``others`` in the leading principal directions of ``images``."""
    centred = images - images.mean(dim=0)
    _, vectors = torch.linalg.eigh(centred.T @ centred)
    leading = vectors[:, -dimensions:]
    rest = others - others.mean(dim=0)
    return float((rest @ leading).square().sum() / rest.square().sum())


def mean_cosine(x: Tensor) -> float:
    """Mean cosine between different rows of unit vectors (N,D)."""
    return float((x.sum(dim=0).square().sum() - len(x)) / (len(x) * (len(x) - 1)))


def treatments(stage: StudySetup, bank: Bank) -> dict[str, Callable[[], Direction]]:
    """What is compared, by name; each is learnt when it is called."""

    def centred() -> Direction:
        return raw_direction(_centred(stage, bank, train_network(bank, 0.0)))

    def noised() -> Direction:
        return raw_direction(_centred(stage, bank, train_network(bank, NOISE)))

    def projected() -> Direction:
        direction = raw_direction(closed_form(bank, SHARP))
        projector = leading_projector(bank.synthetic, LEADING)
        return lambda neutral, target: direction(neutral, neutral + projector @ (target - neutral))

    def deltas() -> Direction:
        found = delta_map(bank)
        return lambda neutral, target: ((target - neutral) @ found).expand(bank.levels, -1)

    def clusters() -> Direction:
        def direction(neutral: Tensor, target: Tensor) -> Tensor:
            found = cluster_direction(bank.synthetic, bank.w, target - neutral)
            return found.expand(bank.levels, -1)

        return direction

    def refined() -> Direction:
        raw, found = raw_direction(closed_form(bank, NOISE)), clusters()
        return lambda neutral, target: refine(raw(neutral, target), found(neutral, target)[0])

    return {
        "none (a network, as in the paper)": lambda: raw_direction(train_network(bank, 0.0)),
        "mean-centring": centred,
        "projection": projected,
        "sphere noise": noised,
        "difference training": deltas,
        "closed form, for images": lambda: raw_direction(closed_form(bank, SHARP)),
        "closed form, for texts": lambda: raw_direction(closed_form(bank, NOISE)),
        "two clusters": clusters,
        "closed form, for texts, refined by two clusters": refined,
    }


def _centred(stage: StudySetup, bank: Bank, mapper: Mapper) -> Mapper:
    """A mapper that moves texts by the offset between the two clouds."""
    centre = text_centre(embed_pairs(stage.embedder.clip, stage.bundle.domain))
    mapper.gap.copy_(bank.synthetic.mean(dim=0) - centre)
    return mapper


def train_network(bank: Bank, noise: float, steps: int = NETWORK_STEPS, batch: int = 128) -> Mapper:
    """A network from the codes alone, loss (2), its inputs moved by ``noise`` on the sphere."""
    torch.manual_seed(0)
    mapper = Mapper(bank.levels, (256,))
    start = closed_form(bank, SHARP)
    for name in ("clip_mean", "clip_spread", "latent_avg"):
        getattr(mapper, name).copy_(getattr(start, name))
    optimiser = torch.optim.Adam(mapper.parameters(), lr=5e-4)
    rng = torch.Generator().manual_seed(0)
    for _ in range(steps):
        pick = torch.randint(len(bank.w), (batch,), generator=rng)
        x = bank.synthetic[pick]
        x = F.normalize(x + noise * torch.randn(x.shape, generator=rng) / x.shape[1] ** 0.5, dim=1)
        loss = in_domain(mapper.from_point(x), bank.w[pick]) / mapper.latent_avg.numel()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return mapper.requires_grad_(False)


def delta_map(bank: Bank) -> Tensor:
    """(D,512) the ridge regression of codes' differences on unit differences of embeddings."""
    rng = torch.Generator().manual_seed(0)
    a, b = torch.randint(len(bank.w), (2, DELTAS), generator=rng)
    x, y = bank.synthetic[a] - bank.synthetic[b], bank.w[a] - bank.w[b]
    length = x.norm(dim=1, keepdim=True).clamp_min(1e-6)
    return ridge(x / length, y / length, NOISE**2 / x.shape[1])


def leading_projector(images: Tensor, dimensions: int) -> Tensor:
    """(D,D) the orthogonal projection on the leading principal directions of images (N,D)."""
    centred = images - images.mean(dim=0)
    vectors = torch.linalg.eigh(centred.T @ centred)[1][:, -dimensions:]
    return vectors @ vectors.T


def run(stage: StudySetup, out: Path, work: Path, prompts: tuple[Prompt, ...] = SIX) -> list[Row]:
    """Measure the gap, then every treatment; rows that are in ``out`` already are kept."""
    bank, log = study_bank(stage, PAIRS, work), Log(out, "gap", stage.bundle)
    log.add({"row": "gap", "pairs": PAIRS}, lambda: measure_gap(stage, bank))
    lengths = {"own length": 0.0, "common length": COMMON_LENGTH * bank.spread()}
    for name, learn in treatments(stage, bank).items():
        learn = cache(learn)
        for scale, length in lengths.items():
            key = {"row": "treatment", "treatment": name, "scale": scale}
            log.add(
                key | {"portraits": len(stage.codes)},
                lambda d=learn, n=length: judge(stage, bank, d(), prompts, n),
            )
    return log.rows
