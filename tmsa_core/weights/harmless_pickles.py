"""Plain values of Python and NumPy in PyTorch's checkpoint files, rebuilt without NumPy's own code.

Checkpoints often hold a loss as a NumPy number, a mean code as a NumPy array, or a path among
their options. PyTorch's restricted reader knows none of these. Here each name that such a pickle
asks for is given a small stand-in that can do nothing but keep bytes and numbers; NumPy's functions
for unpickling were never meant for data from strangers.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np
import torch

NUMBERS = ("b1", "i1", "i2", "i4", "i8", "u1", "f2", "f4", "f8")
"""NumPy's codes of the number types that are read; values of other types are kept unread."""


class DType:
    """What a pickle says of a NumPy type: its code, and later the order of its bytes."""

    def __init__(self, code: object = "", *_: object) -> None:
        self.code = code if isinstance(code, str) else ""
        self.order = "<"

    def __setstate__(self, state: object) -> None:
        if isinstance(state, tuple) and len(state) > 1 and state[1] in ("<", ">", "|", "="):
            self.order = "<" if state[1] in ("|", "=") else state[1]

    def read(self, data: object) -> np.ndarray | None:
        """The numbers that bytes hold, one after the other; None where they cannot be read."""
        if self.code not in NUMBERS or not isinstance(data, bytes):
            return None
        kind = np.dtype(self.order + self.code)
        if len(data) % kind.itemsize:
            return None
        return np.frombuffer(data, kind)


class Array:
    """A NumPy array as a pickle describes it; ``value`` is its tensor, None where it has none."""

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
    """An empty array, whose content the pickle gives next."""
    return Array()


def new_number(dtype: object, data: object = b"") -> bool | int | float | None:
    """A NumPy number as a plain one; None for what is no number."""
    numbers = dtype.read(data) if isinstance(dtype, DType) else None
    return numbers[0].item() if numbers is not None and len(numbers) == 1 else None


def new_dict(*_: object) -> dict[Any, Any]:
    """A plain dict in place of a ``defaultdict``, whose factory is never called."""
    return {}


def no_bytes(*_: object) -> bytes:
    """How pickles of old protocols spell a text of no bytes, such as an empty array's."""
    return b""


def no_call(*_: object) -> None:
    """In place of types that a ``defaultdict`` may name as its factory."""


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
"""Stand-in and the name that a pickle asks for it by."""


def with_tensors(value: Any) -> Any:
    """What a checkpoint holds, its arrays as tensors: in mappings, lists and options at any depth.

    Arrays that cannot be read, such as those of words, stay the stand-ins that they are. Raises
    RecursionError for values that hold each other without end.
    """
    return _with_tensors(value, {})


def _with_tensors(value: Any, done: dict[int, Any]) -> Any:
    """done: results by the identity of what they are of, as one list may stand in many places."""
    if isinstance(value, Array):
        return value if value.value is None else value.value
    if not isinstance(value, (Mapping, list, tuple, argparse.Namespace)):
        return value
    if id(value) not in done:
        if isinstance(value, argparse.Namespace):
            named = _with_tensors(vars(value), done)
            result: Any = argparse.Namespace(**{str(key): item for key, item in named.items()})
        elif isinstance(value, Mapping):
            result = {key: _with_tensors(item, done) for key, item in value.items()}
        else:
            result = [_with_tensors(item, done) for item in value]
        done[id(value)] = result
    return done[id(value)]


def _is_shape(shape: object) -> bool:
    return isinstance(shape, tuple) and all(type(side) is int and side >= 0 for side in shape)
