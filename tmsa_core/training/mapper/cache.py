"""Tensors on disk that are recomputed only when their inputs change."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from tmsa_core.errors import BundleError
from tmsa_core.files import write_problem, write_whole

Tensors = dict[str, Tensor]


class Parts:
    """The parts of a long computation, each saved as soon as it is ready.

    A computation that was stopped continues with the first part that is missing.

    Args:
        folder: Folder for the parts and for nothing else.
        key: Everything that the parts depend on, as JSON. Parts with another key are not used.
    """

    def __init__(self, folder: Path, key: object) -> None:
        self.folder = folder
        self._name = _digest(key)

    def load(self, number: int) -> Tensors | None:
        """The tensors of a part; None if it is missing or damaged."""
        with suppress(OSError, SafetensorError):
            return load(self._path(number).read_bytes())
        return None

    def save(self, number: int, tensors: Tensors) -> None:
        """Save a part; raises BundleError if the disk does not take it."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BundleError(write_problem(self.folder, error)) from error
        content = save({name: tensor.contiguous() for name, tensor in tensors.items()})
        write_whole(self._path(number), content, BundleError)

    def clear(self) -> None:
        """Remove all parts, once the complete result is saved."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, number: int) -> Path:
        return self.folder / f"{self._name}-{number:04d}.safetensors"


def kept(parts: Parts | None, number: int, make: Callable[[], Tensor]) -> Tensor:
    """Load one saved tensor, or compute and save it; without ``parts`` nothing is saved."""
    found = parts.load(number) if parts else None
    if found is None:
        found = {"value": make()}
        if parts:
            parts.save(number, found)
    return found["value"]


def cached(folder: Path, kind: str, key: object, make: Callable[[Parts], Tensors]) -> Tensors:
    """Load the result of an earlier call with the same key, or compute and save it.

    Args:
        folder: Folder of the saved results.
        kind: Name of the result; a folder keeps one result of each kind.
        key: Everything that the result depends on, as JSON. A result with another key is deleted,
            since a changed network or image folder makes it useless; a damaged one is recomputed.
        make: Computes the result. Its argument saves parts, in case the computation is stopped.

    Returns:
        The tensors by name, memory-mapped.

    Raises:
        BundleError: If the disk does not take the result.
    """
    # 1. Load an earlier result. An incomplete file is recomputed.
    ready = folder / f"{kind}-{_digest(key)}"
    if ready.is_dir():
        with suppress(OSError, ValueError, EOFError):
            return _open(ready)
    # 2. Compute it, and delete the results of other keys.
    half = folder / f"{kind}.half"
    shutil.rmtree(half, ignore_errors=True)
    parts = Parts(folder / f"{kind}.parts", key)
    tensors = make(parts)
    for old in folder.glob(f"{kind}-*"):
        shutil.rmtree(old)
    # 3. Save it under a temporary name, and rename it when it is complete.
    try:
        half.mkdir(parents=True)
        for tensor_name, tensor in tensors.items():
            np.save(half / f"{tensor_name}.npy", tensor.numpy())
        half.rename(ready)
    except OSError as error:
        shutil.rmtree(half, ignore_errors=True)
        raise BundleError(write_problem(folder, error)) from error
    parts.clear()
    return _open(ready)


def _digest(key: object) -> str:
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:12]


def _open(folder: Path) -> Tensors:
    # Copy on write: PyTorch warns of read-only arrays, although nothing writes to these.
    return {p.stem: torch.from_numpy(np.load(p, mmap_mode="c")) for p in folder.glob("*.npy")}
