"""Texts that calibrate a mapper: what people ask of a domain. They carry no labels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from tmsa_core.domains import find_domain
from tmsa_core.editing.shift import embed_text
from tmsa_core.networks.clip import Clip

TextPairs = Sequence[tuple[Tensor, Tensor]]
"""(neutral, target) text embeddings, (D,) each."""


def calibration_texts(domain: str) -> tuple[tuple[str, str], ...]:
    """(neutral, target) pairs of a domain."""
    facts = find_domain(domain)
    return tuple((facts.neutral_text, target) for target in facts.calibration_targets)


def embed_pairs(clip: Clip, domain: str) -> list[tuple[Tensor, Tensor]]:
    """The calibration texts of a domain as embeddings (D,) on the CPU."""
    pairs = calibration_texts(domain)
    embedded = {text: embed_text(clip, text).cpu() for pair in pairs for text in pair}
    return [(embedded[neutral], embedded[target]) for neutral, target in pairs]


def text_centre(texts: list[tuple[Tensor, Tensor]]) -> Tensor:
    """The mean (D,) of all distinct embeddings in pairs of texts."""
    return torch.unique(torch.stack([t for pair in texts for t in pair]), dim=0).mean(dim=0)
