"""Held-out portraits that reports are measured on."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tmsa_core.avatars.params import Portraits
from tmsa_core.bundles import Bundle
from tmsa_core.evaluation.avatar_images import batches, rendered
from tmsa_core.training.avatar.renders import from_uint8, held_out_portraits, to_uint8


@dataclass(frozen=True)
class Subjects:
    """Held-out portraits with their renders (N,3,R,R) and e4e codes (N,L,512)."""

    portraits: Portraits
    renders: Tensor
    codes: Tensor


@torch.inference_mode()
def make_subjects(bundle: Bundle, count: int) -> Subjects:
    """Draw and invert ``count`` held-out portraits, through 8 bits like a real image."""
    portraits = held_out_portraits(count)
    renders = from_uint8(to_uint8(rendered(portraits)))
    encoder = bundle.load("e4e")
    return Subjects(portraits, renders, torch.cat([encoder(x) for x in batches(renders)]))
