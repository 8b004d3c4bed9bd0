"""Stand-ins that rebuild Python's and NumPy's plain values in PyTorch's checkpoint files.

Checkpoints often hold a loss as a NumPy number, a mean latent code as a NumPy array, or a path in
their options, and PyTorch's restricted reader admits none of these. NumPy's own functions for
unpickling are not safe for untrusted data, so each name that such a pickle asks for gets a small
stand-in here that only keeps bytes and numbers.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np
import torch

# NumPy's codes of the number types that are read; arrays of other types stay stand-ins.
NUMBERS = ("b1", "i1", "i2", "i4", "i8", "u1", "f2", "f4", "f8")


class DType:
    """Stand-in for ``numpy.dtype``: a type's code, and its byte order, which follows later."""

    def __init__(self, code: object = "", *_: object) -> None:
        self.code = code if isinstance(code, str) else ""
        self.order = "<"

    def __setstate__(self, state: object) -> None:
        if isinstance(state, tuple) and len(state) > 1 and state[1] in ("<", ">", "|", "="):
            self.order = "<" if state[1] in ("|", "=") else state[1]

    def read(self, data: object) -> np.ndarray | None:
        """Read bytes as numbers, (N,); None where they cannot be read."""
        if self.code not in NUMBERS or not isinstance(data, bytes):
            return None
        kind = np.dtype(self.order + self.code)
        if len(data) % kind.itemsize:
            return None
        return np.frombuffer(data, kind)


class Array:
    """Stand-in for ``numpy.ndarray``; ``value`` is its tensor, None if it cannot be read."""

    value: torch.Tensor | None = None

    def __setstate__(self, state: object) -> None:
        if not isinstance(state, tuple) or len(state) != 5:
            return
        _, shape, dtype, by_columns, data = state
        numbers = dtype.read(data) if isinstance(dtype, DType) else None
        if numbers is None or not _is_shape(shape) or math.prod(shape) != len(numbers):
            return
        array = numbers.reshape(shape, order="F" if by_columns else "C")
        self.value = torch.from_numpy(np.array(array, array.dtype.newbyteorder("="), order="C"))


def new_array(*_: object) -> Array:
    """Return an empty array; its content follows in the pickle."""
    return Array()


def new_number(dtype: object, data: object = b"") -> bool | int | float | None:
    """Return a NumPy number as a plain one; None for any other value."""
    numbers = dtype.read(data) if isinstance(dtype, DType) else None
    return numbers[0].item() if numbers is not None and len(numbers) == 1 else None


def new_dict(*_: object) -> dict[Any, Any]:
    """Return a plain dict in place of a ``defaultdict``; its factory is never called."""
    return {}


def no_bytes(*_: object) -> bytes:
    """Return empty bytes, which old protocols write as a call."""
    return b""


def no_call(*_: object) -> None:
    """Stand in for types that a ``defaultdict`` may name as its factory."""


# (stand-in, name that pickles use)
ALLOWED: tuple[tuple[Callable[..., object], str], ...] = (
    (argparse.Namespace, "argparse.Namespace"),
    (new_dict, "collections.defaultdict"),
    (no_bytes, "builtins.bytes"),
    *((no_call, f"builtins.{name}") for name in ("int", "float", "list", "dict", "str", "bool")),
    *(
        (kind, f"{module}.{name}")
        for module in ("pathlib", "pathlib._local")
        for kind, name in (
            (PurePosixPath, "PosixPath"),
            (PurePosixPath, "PurePosixPath"),
            (PureWindowsPath, "WindowsPath"),
            (PureWindowsPath, "PureWindowsPath"),
        )
    ),
    (DType, "numpy.dtype"),
    (Array, "numpy.ndarray"),
    *((new_array, f"numpy.{core}.multiarray._reconstruct") for core in ("core", "_core")),
    *((new_number, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")),
)


def with_tensors(value: Any, done: dict[int, Any] | None = None) -> Any:
    """Replace arrays by tensors in mappings, lists and options at any depth.

    Args:
        value: The content of a checkpoint.
        done: Results by the identity of their source, as one list may be in many places.

    Returns:
        The content with tensors. Arrays that cannot be read, such as those of words, stay
        stand-ins.

    Raises:
        RecursionError: If values contain each other without end.
    """
    done = {} if done is None else done
    if isinstance(value, Array):
        return value if value.value is None else value.value
    if not isinstance(value, (Mapping, list, tuple, argparse.Namespace)):
        return value
    if id(value) not in done:
        if isinstance(value, argparse.Namespace):
            named = with_tensors(vars(value), done)
            result: Any = argparse.Namespace(**{str(key): item for key, item in named.items()})
        elif isinstance(value, Mapping):
            result = {key: with_tensors(item, done) for key, item in value.items()}
        else:
            result = [with_tensors(item, done) for item in value]
        done[id(value)] = result
    return done[id(value)]


def _is_shape(shape: object) -> bool:
    return isinstance(shape, tuple) and all(type(side) is int and side >= 0 for side in shape)
