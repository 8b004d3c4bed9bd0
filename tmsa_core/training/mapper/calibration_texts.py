"""Texts that calibrate a mapper: what people ask of a domain. They carry no labels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from tmsa_core.domains import DOMAINS
from tmsa_core.editing.shift import embed_text
from tmsa_core.networks.clip import Clip

TextPairs = Sequence[tuple[Tensor, Tensor]]
"""(neutral, target) text embeddings, (D,) each."""

FACE_TARGETS = (
    "human face with glasses",
    "human face with sunglasses",
    "human face with a beard",
    "human face with a moustache",
    "smiling human face",
    "sad human face",
    "male human face",
    "female human face",
    "face of a kid",
    "face of an old person",
    "human face with a hat",
    "human face with blond hair",
    "human face with black hair",
    "human face with long hair",
    "bald human face",
    "human face with closed eyes",
)
CAR_TARGETS = (
    "a sports car",
    "a red car",
    "a black car",
    "a white car",
    "an old car",
    "a pickup truck",
    "a jeep",
    "a convertible car",
)
CHURCH_TARGETS = (
    "a gothic church",
    "a wooden church",
    "a white church",
    "a church in winter",
    "a church at night",
    "a church at sunset",
    "a ruined church",
    "a church with a tall tower",
)
TARGETS = {
    "avatar": FACE_TARGETS,
    "ffhq": FACE_TARGETS,
    "car": CAR_TARGETS,
    "church": CHURCH_TARGETS,
}


def calibration_texts(domain: str) -> tuple[tuple[str, str], ...]:
    """(neutral, target) pairs of a domain."""
    return tuple((DOMAINS[domain].neutral_text, target) for target in TARGETS[domain])


def embed_pairs(clip: Clip, domain: str) -> list[tuple[Tensor, Tensor]]:
    """The calibration texts of a domain as embeddings (D,) on the CPU."""
    pairs = calibration_texts(domain)
    embedded = {text: embed_text(clip, text).cpu() for pair in pairs for text in pair}
    return [(embedded[neutral], embedded[target]) for neutral, target in pairs]


def text_centre(texts: list[tuple[Tensor, Tensor]]) -> Tensor:
    """The mean (D,) of all distinct embeddings in pairs of texts."""
    return torch.unique(torch.stack([t for pair in texts for t in pair]), dim=0).mean(dim=0)
