"""Where networks run."""

from __future__ import annotations

import torch

from tmsa_core.errors import RequestError


def find_device(name: str, mps: bool = True) -> str:
    """The device of a name; "auto" takes CUDA, or else MPS where ``mps`` allows it, or the CPU.

    Training does not take MPS by itself. Raises RequestError for a device that is not here.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if mps and torch.backends.mps.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise RequestError(
            f"The device {name!r} is not available here; use 'cpu' or 'auto'."
        ) from error
    return name
