"""How far a text shift should go: calibration of M for text, without any label.

Text differences are longer than image differences and lie at an angle to them, so the raw shift
M(t) - M(t0) has no reliable length. The rule: at alpha = 1 an edited portrait should fit the
target text as well as those portraits of the bank do that fit it best. The best ``TOP_SHARE`` share
stands for portraits that have the attribute. Going further than they is no merit, and longer
shifts harm all else, so the length is the shortest that goes nearly as much of that way, averaged
over the calibration texts, as any length does.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from tmsa_core.editing.shift import calibrate, shift_direction
from tmsa_core.networks.tmsa import Mapper
from tmsa_core.training.mapper.bank import Bank, ImageEmbedder
from tmsa_core.training.mapper.calibration_texts import TextPairs, text_centre

TOP_SHARE = 0.25
REFERENCES = 1_536
SUBJECTS = 16
FACTORS = (0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5)  # of the spread of codes
ENOUGH_SHARE = 0.95  # of what the best length reaches


@torch.inference_mode()
def calibrate_mapper(
    mapper: Mapper, bank: Bank, embedder: ImageEmbedder, texts: TextPairs, subjects: int = SUBJECTS
) -> dict[str, float]:
    """Set ``gap``, references and ``shift_length`` of a trained mapper; the figures behind them."""
    mapper.set_references(bank.synthetic[:REFERENCES], bank.w[:REFERENCES])
    mapper.gap.copy_(bank.embeddings.mean(dim=0) - text_centre(texts))
    spread = bank.spread()
    codes = bank.subjects(subjects)
    before = embedder.embed(codes)
    reached = torch.stack(
        [_fit(embedder, mapper, bank, codes, before, pair, spread) for pair in texts]
    )
    mean = reached.clamp(max=1).mean(dim=0)  # (factors,)
    factor = first_crossing(FACTORS, mean.tolist(), ENOUGH_SHARE * float(mean.max()))
    mapper.shift_length.fill_(factor * spread)
    return {"shift_factor": round(factor, 4), "shift_length": round(factor * spread, 3)}


def first_crossing(xs: Sequence[float], ys: Sequence[float], level: float) -> float:
    """Where a piecewise linear curve first reaches ``level``, or else where it is highest."""
    if ys[0] >= level:
        return xs[0]
    for (x0, y0), (x1, y1) in pairwise(zip(xs, ys, strict=True)):
        if y1 >= level:
            return x0 + (x1 - x0) * (level - y0) / (y1 - y0)
    return max(zip(ys, xs, strict=True))[1]


def _fit(
    embedder: ImageEmbedder,
    mapper: Mapper,
    bank: Bank,
    codes: Tensor,
    before: Tensor,
    texts: tuple[Tensor, Tensor],
    spread: float,
) -> Tensor:
    """(factors,): how much of the way to the best-fitting portraits each length goes, 1 = all."""
    neutral, target = texts
    similarity = bank.embeddings @ target
    best = similarity.topk(max(1, int(TOP_SHARE * len(similarity)))).values.mean()
    start = (before @ target).mean()
    direction = shift_direction(mapper, neutral, target)
    shifts = [calibrate(direction, factor * spread) for factor in FACTORS]
    ends = torch.stack([(embedder.embed(codes + shift) @ target).mean() for shift in shifts])
    return (ends - start) / (best - start)
