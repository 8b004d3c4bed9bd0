"""Arrays kept on disk and memory-mapped, under a name that says what they were made from."""

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
    """The parts of a long drawing, each kept on disk as soon as it is made.

    A drawing that was stopped at any moment goes on with the first part that is not there. Parts
    made from another key are not used.
    """

    def __init__(self, folder: Path, key: object) -> None:
        """folder: where the parts go, and nothing else. key: all that they depend on, as JSON."""
        self.folder = folder
        self._name = _digest(key)

    def get(self, number: int, make: Callable[[], Tensors]) -> Tensors:
        """The tensors of a part: from disk, or else made and kept.

        Raises BundleError where the disk does not take them.
        """
        path = self.folder / f"{self._name}-{number:04d}.safetensors"
        if path.is_file():
            with suppress(OSError, SafetensorError):  # damaged, as by a machine that went down
                return load(path.read_bytes())
        tensors = make()
        _make_folder(self.folder)
        write_whole(path, save({k: v.contiguous() for k, v in tensors.items()}), BundleError)
        return tensors

    def clear(self) -> None:
        """Remove all parts, when what they were for is kept elsewhere."""
        shutil.rmtree(self.folder, ignore_errors=True)


def cached(folder: Path, kind: str, key: object, make: Callable[[Parts], Tensors]) -> Tensors:
    """The tensors that ``make`` returns, from disk if they were made from the same ``key`` before.

    Args:
        folder: Where they are kept.
        kind: What they are; there is one set of each kind in a folder.
        key: Everything the result depends on, as JSON. Arrays made from another key are deleted: a
            changed network or folder makes them useless. Damaged ones are made again.
        make: Makes them; what it gets keeps the parts that are ready, should it be stopped.

    Returns:
        The tensors by name, memory-mapped.

    Raises:
        BundleError: The disk does not take them.
    """
    ready = folder / f"{kind}-{_digest(key)}"
    if ready.is_dir():
        with suppress(OSError, ValueError, EOFError):  # cut short, as by a machine that went down
            return _open(ready)
    half = folder / f"{kind}.half"
    shutil.rmtree(half, ignore_errors=True)
    parts = Parts(folder / f"{kind}.parts", key)
    tensors = make(parts)
    for old in folder.glob(f"{kind}-*"):
        shutil.rmtree(old)
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


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BundleError(write_problem(folder, error)) from error


def _open(folder: Path) -> dict[str, Tensor]:
    # copy on write: the file is never changed, and torch needs no warning about that
    return {p.stem: torch.from_numpy(np.load(p, mmap_mode="c")) for p in folder.glob("*.npy")}
