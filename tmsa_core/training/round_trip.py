"""The label-free round trip: does a text shift move pictures the way the texts differ?

M is trained on images, and the map that inverts images best amplifies what texts have and images
lack. So its regularisation is chosen by going once around: edit with the shift between two
texts, embed the pictures, and compare their movement in CLIP's space with the texts' own.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from tmsa_core.networks.tmsa import Mapper
from tmsa_core.shift import calibrate
from tmsa_core.training.bank import Studio

TextPairs = Sequence[tuple[Tensor, Tensor]]
"""(neutral, target) text embeddings, (D,) each."""


@torch.inference_mode()
def round_trip(
    mapper: Mapper, studio: Studio, subjects: Tensor, texts: TextPairs, length: float
) -> float:
    """Mean of cos(E_I(G(w + dw)) - E_I(G(w)), t - t0), every shift dw of the given length.

    subjects: codes w (N,L,512).
    """
    before = studio.embed(subjects)
    cosines = []
    for neutral, target in texts:
        w_neutral, w_target = mapper.from_text(torch.stack([neutral, target]))
        shift = calibrate(w_target - w_neutral, length)
        moved = studio.embed(subjects + shift) - before
        cosines.append(F.cosine_similarity(moved, (target - neutral)[None], dim=1).mean())
    return float(torch.stack(cosines).mean())
