"""Calibration of the length of text shifts, without labels.

Differences of text embeddings are longer than those of image embeddings and point in other
directions, so the raw shift M(t) - M(t0) has no reliable length. The rule: at alpha = 1 an edited
image should fit the target text as well as the best-fitting images of the bank do. The best
``TOP_SHARE`` of the bank stands for images with the attribute. Fitting better than these does not
help, and longer shifts damage everything else, so the rule takes the shortest length that reaches
``ENOUGH_SHARE`` of the best length's fit, averaged over the calibration texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from tmsa_core.editing.shift import calibrate, shift_direction
from tmsa_core.networks.tmsa import Mapper
from tmsa_core.training.mapper.bank import Bank, ImageEmbedder
from tmsa_core.training.mapper.cache import Parts, kept
from tmsa_core.training.mapper.calibration_texts import TextPairs, text_centre

# The same in every domain. No search over these values is recorded.
TOP_SHARE = 0.25
ENOUGH_SHARE = 0.95
REFERENCES = 1_536  # synthetic pairs that the mapper stores
SUBJECTS = 16  # images that are edited
FIRST_PART = 100  # number of the first of this module's parts
FACTORS = (0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5)  # lengths to try, in units of the codes' spread


@torch.inference_mode()
def calibrate_mapper(
    mapper: Mapper,
    bank: Bank,
    embedder: ImageEmbedder,
    texts: TextPairs,
    subjects: int = SUBJECTS,
    parts: Parts | None = None,
) -> dict[str, float]:
    """Set the references, ``gap`` and ``shift_length`` of a trained mapper, in place.

    Args:
        mapper: The mapper.
        bank: The pairs that it was trained on.
        embedder: Synthesises and embeds the edited images.
        texts: Calibration texts.
        subjects: Number of images to edit.
        parts: Keeps what each text has given; None to keep nothing.

    Returns:
        The length chosen, also in units of the codes' spread.
    """
    # 1. Store references, and the gap between the embeddings of images and of texts.
    mapper.set_references(bank.synthetic[:REFERENCES], bank.w[:REFERENCES])
    mapper.gap.copy_(bank.embeddings.mean(dim=0) - text_centre(texts))
    # 2. Try all lengths with all texts.
    lengths = [factor * bank.spread() for factor in FACTORS]
    codes = bank.subjects(subjects)
    before = embedder.embed(codes)
    rows = []
    for number, (neutral, target) in enumerate(texts):
        direction = shift_direction(mapper, neutral, target)

        def try_lengths(direction: Tensor = direction, target: Tensor = target) -> Tensor:
            shifts = [calibrate(direction, length) for length in lengths]
            return torch.stack([(embedder.embed(codes + x) @ target).mean() for x in shifts])

        after = kept(parts, FIRST_PART + number, try_lengths)  # (lengths,)
        similarity = bank.embeddings @ target
        goal = similarity.topk(max(1, int(TOP_SHARE * len(similarity)))).values.mean()
        start = (before @ target).mean()
        rows.append((after - start) / (goal - start))  # (lengths,), 1 at the goal
    # 3. Choose the shortest length that is good enough.
    mean = torch.stack(rows).clamp(max=1).mean(dim=0)
    factor = first_crossing(FACTORS, mean.tolist(), ENOUGH_SHARE * float(mean.max()))
    length = factor * bank.spread()
    mapper.shift_length.fill_(length)
    return {"shift_factor": round(factor, 4), "shift_length": round(length, 3)}


def first_crossing(xs: Sequence[float], ys: Sequence[float], level: float) -> float:
    """First x where a piecewise linear curve reaches ``level``, or the x of its maximum."""
    if ys[0] >= level:
        return xs[0]
    for (x0, y0), (x1, y1) in pairwise(zip(xs, ys, strict=True)):
        if y1 >= level:
            return x0 + (x1 - x0) * (level - y0) / (y1 - y0)
    return max(zip(ys, xs, strict=True))[1]
