"""Measures the gap between texts and images in CLIP's space, and treatments of it.

Each treatment learns, from the same bank of images, a map from two texts to a direction of W. All
are tried at their own length and at one common length, to separate direction from length.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from tmsa_core.avatars.language.captions import captions
from tmsa_core.editing.shift_refinement import cluster_direction, refine
from tmsa_core.evaluation.alignment.setup import (
    COMMON_LENGTH,
    Direction,
    StudySetup,
    judge,
    open_log,
    raw_direction,
    study_bank,
)
from tmsa_core.evaluation.json_lines import Row
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
SHARP = 0.1  # noise of the map that inverts images best
NOISE = 1.2
NETWORK_STEPS = 300
DELTAS = 8_192


@torch.no_grad()
def measure_gap(setup: StudySetup, bank: Bank, captioned: int = 512) -> Row:
    """Returns the offset, shares of subspaces, and distances of M's codes from the mean code."""
    portraits = chunk_portraits(0, 0, captioned)
    sentences = [caption.text for caption in captions(portraits, random.Random(0))]
    with torch.inference_mode():
        texts = torch.cat([setup.embedder.clip.embed_texts(sentences[i : i + 128])
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
    """Returns the share of the variance of ``others`` in the main directions of ``images``.

    Both are embeddings (N,D) and (M,D); ``dimensions`` is the number of principal directions.
    """
    centred = images - images.mean(dim=0)
    _, vectors = torch.linalg.eigh(centred.T @ centred)
    leading = vectors[:, -dimensions:]
    rest = others - others.mean(dim=0)
    return float((rest @ leading).square().sum() / rest.square().sum())


def mean_cosine(x: Tensor) -> float:
    """Returns the mean cosine between different rows of unit vectors (N,D)."""
    return float((x.sum(dim=0).square().sum() - len(x)) / (len(x) * (len(x) - 1)))


def treatments(setup: StudySetup, bank: Bank) -> dict[str, Callable[[], Direction]]:
    """Returns the treatments by name; each learns when it is called."""

    def centred() -> Direction:
        return raw_direction(_centred(setup, bank, train_network(bank, 0.0)))

    def noised() -> Direction:
        return raw_direction(_centred(setup, bank, train_network(bank, NOISE)))

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


def _centred(setup: StudySetup, bank: Bank, mapper: Mapper) -> Mapper:
    """Makes a mapper move texts by the offset between texts and images."""
    centre = text_centre(embed_pairs(setup.embedder.clip, setup.bundle.domain))
    mapper.gap.copy_(bank.synthetic.mean(dim=0) - centre)
    return mapper


def train_network(bank: Bank, noise: float, steps: int = NETWORK_STEPS, batch: int = 128) -> Mapper:
    """Trains a network with loss (2) alone, its inputs moved by ``noise`` on the sphere."""
    torch.manual_seed(0)
    mapper = Mapper(bank.levels, (256,))
    start = closed_form(bank, SHARP)
    mapper.clip_mean.copy_(start.clip_mean)
    mapper.clip_spread.copy_(start.clip_spread)
    mapper.latent_avg.copy_(start.latent_avg)
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
    """Returns (D,512), a ridge regression of differences of codes on those of embeddings."""
    rng = torch.Generator().manual_seed(0)
    a, b = torch.randint(len(bank.w), (2, DELTAS), generator=rng)
    x, y = bank.synthetic[a] - bank.synthetic[b], bank.w[a] - bank.w[b]
    length = x.norm(dim=1, keepdim=True).clamp_min(1e-6)
    return ridge(x / length, y / length, NOISE**2 / x.shape[1])


def leading_projector(images: Tensor, dimensions: int) -> Tensor:
    """Returns (D,D), the projection on the leading principal directions of images (N,D)."""
    centred = images - images.mean(dim=0)
    vectors = torch.linalg.eigh(centred.T @ centred)[1][:, -dimensions:]
    return vectors @ vectors.T


def run(setup: StudySetup, out: Path, work: Path, prompts: tuple[Prompt, ...] = SIX) -> list[Row]:
    """Measures the gap, then every treatment; keeps the rows that are in ``out``."""
    bank, log = study_bank(setup, PAIRS, work), open_log(out, "gap", setup.bundle)
    if not log.find(row="gap", pairs=PAIRS):
        log.add([{"row": "gap", "pairs": PAIRS} | measure_gap(setup, bank)])
    lengths = {"own length": 0.0, "common length": COMMON_LENGTH * bank.spread()}
    for name, learn in treatments(setup, bank).items():
        common = {"row": "treatment", "treatment": name}
        keys = {s: common | {"scale": s, "portraits": len(setup.codes)} for s in lengths}
        missing = [scale for scale, key in keys.items() if not log.find(**key)]
        direction = learn() if missing else None
        for scale in missing:
            figures = judge(setup, bank, direction, prompts, lengths[scale])
            log.add([keys[scale] | figures])
    return log.rows
