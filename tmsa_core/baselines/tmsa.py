"""TMSA with the interface of the compared methods."""

from __future__ import annotations

from torch import Tensor

from tmsa_core.baselines.interface import Edit, FrozenNetworks, Texts
from tmsa_core.editing.shift import embed_text, semantic_shift


def find_edit(networks: FrozenNetworks, w_plus: Tensor, texts: Texts) -> Edit:
    """The shift M(t_target) - M(t_neutral) (section 3.3), the same for all w_plus (B,L,512)."""
    neutral, target = (embed_text(networks.clip, t) for t in (texts.neutral, texts.target))
    return Edit(w_shift=semantic_shift(networks.mapper, neutral, target)[None])


def prepare(networks: FrozenNetworks) -> float | None:
    """Seconds that the training of M took, if its bundle states them."""
    return networks.mapper_seconds
