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
from torch import Tensor

from tmsa_core.errors import BundleError


def cached(folder: Path, kind: str, key: object, make: Callable[[], dict[str, Tensor]]) -> dict:
    """The tensors that ``make`` returns, from disk if they were made from the same ``key`` before.

    key: everything the result depends on, as JSON. Arrays made from another key are deleted: a
    changed network or folder makes them useless. Damaged ones are made again. Raises BundleError
    where the disk does not take them.
    """
    name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:12]
    ready = folder / f"{kind}-{name}"
    if ready.is_dir():
        with suppress(OSError, ValueError, EOFError):  # cut short, as by a machine that went down
            return _open(ready)
    half = folder / f"{kind}.half"
    shutil.rmtree(half, ignore_errors=True)
    tensors = make()
    for old in folder.glob(f"{kind}-*"):
        shutil.rmtree(old)
    try:
        half.mkdir(parents=True)
        for tensor_name, tensor in tensors.items():
            np.save(half / f"{tensor_name}.npy", tensor.numpy())
        half.rename(ready)
    except OSError as error:
        shutil.rmtree(half, ignore_errors=True)
        raise BundleError(
            f"What was drawn cannot be written to {folder} ({error}): make room on that disk."
        ) from error
    return _open(ready)


def _open(folder: Path) -> dict[str, Tensor]:
    # copy on write: the file is never changed, and torch needs no warning about that
    return {p.stem: torch.from_numpy(np.load(p, mmap_mode="c")) for p in folder.glob("*.npy")}
