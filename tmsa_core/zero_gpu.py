"""GPU work on a ZeroGPU Space, where the GPU is there for the length of a decorated call only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

try:
    import spaces  # installed on ZeroGPU Spaces; must come before anything that touches CUDA
except ImportError:
    spaces = None

SECONDS = 10  # asked for per call: an edit takes one, and short calls wait least


def on_gpu() -> Callable[..., Any] | None:
    """What makes a function run on a ZeroGPU Space's GPU; None anywhere else."""
    return spaces.GPU(duration=SECONDS) if spaces else None
