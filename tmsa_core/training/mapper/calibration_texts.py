"""Embeddings of the texts that calibrate a mapper: typical edits of a domain, without labels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from tmsa_core.domains import find_domain
from tmsa_core.editing.shift import embed_text
from tmsa_core.networks.clip import Clip

TextPairs = Sequence[tuple[Tensor, Tensor]]  # (neutral, target) embeddings, (D,) each


def embed_pairs(clip: Clip, domain: str) -> list[tuple[Tensor, Tensor]]:
    """The (neutral, target) calibration texts of a domain as embeddings (D,) on the CPU."""
    facts = find_domain(domain)
    neutral = embed_text(clip, facts.neutral_text).cpu()
    return [(neutral, embed_text(clip, text).cpu()) for text in facts.calibration_targets]


def text_centre(texts: TextPairs) -> Tensor:
    """The mean (D,) of all distinct embeddings in pairs of texts."""
    return torch.unique(torch.stack([t for pair in texts for t in pair]), dim=0).mean(dim=0)
