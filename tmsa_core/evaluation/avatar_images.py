"""Many images in parts, so that memory stays small: renders, and what a generator draws."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from tmsa_core.avatars.params import Portraits
from tmsa_core.avatars.render import render
from tmsa_core.networks.stylegan2 import Generator

BATCH = 32


def batches(x: Tensor) -> Iterator[Tensor]:
    """A tensor in parts of ``BATCH`` rows."""
    yield from x.split(BATCH)


def rendered(portraits: Portraits) -> Tensor:
    """The renders of N portraits, (N,3,R,R) in [-1,1]."""
    rows = batches(torch.arange(len(portraits)))
    return torch.cat([render(portraits[part]).images for part in rows])


def synthesise(generator: Generator, codes: Tensor) -> Tensor:
    """(N,L,512) -> (N,3,R,R), clamped."""
    return torch.cat([generator.synthesise(w).clamp(-1, 1) for w in batches(codes)])
