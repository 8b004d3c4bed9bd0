"""The devices that networks run on."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import torch

from tmsa_core.errors import MemoryFullError, RequestError, quoted

P = ParamSpec("P")
R = TypeVar("R")


def find_device(name: str | torch.device, mps: bool = True) -> str:
    """Check the name of a device, and choose one for "auto": CUDA, else MPS, else the CPU.

    Args:
        name: "auto" or one of PyTorch's devices.
        mps: Whether "auto" may choose MPS; training does not.

    Raises:
        RequestError: The device is not available.
    """
    if isinstance(name, torch.device):
        name = str(name)
    if not isinstance(name, str):
        raise RequestError(f"The device is {quoted(name)}; use 'cpu', 'cuda', 'mps' or 'auto'.")
    if name == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if mps and torch.backends.mps.is_available() else "cpu"
    try:
        if torch.device(name).type == "meta":  # its tensors have no content
            raise ValueError("nothing can be computed on the device meta")
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError, ValueError) as error:
        raise RequestError(
            f"The device {quoted(name)} is not available here; use 'cpu' or 'auto'."
        ) from error
    return name


def report_out_of_memory(function: Callable[P, R]) -> Callable[P, R]:
    """Make a function raise MemoryFullError if the device has too little memory."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except torch.OutOfMemoryError as error:
            raise MemoryFullError(
                "The device has too little free memory: try again in a moment, end other programs "
                "that use it, or use the device 'cpu'."
            ) from error

    return call
