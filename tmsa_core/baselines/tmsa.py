"""TMSA itself, in the form of the comparison."""

from __future__ import annotations

from torch import Tensor

from tmsa_core.baselines.interface import Edit, FrozenNetworks, Texts
from tmsa_core.editing.shift import embed_text, semantic_shift


def find_edit(world: FrozenNetworks, w_plus: Tensor, texts: Texts) -> Edit:
    """dw = M(t_target) - M(t_neutral), the same for every code (section 3.3 of the paper)."""
    neutral, target = (embed_text(world.clip, t) for t in (texts.neutral, texts.target))
    return Edit(w_shift=semantic_shift(world.mapper, neutral, target)[None])


def prepare(world: FrozenNetworks) -> float | None:
    """Seconds that training M took, if its bundle says so; it is trained already."""
    return world.mapper_seconds
