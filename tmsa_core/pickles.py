"""PyTorch's checkpoint files, read without running anything that is in them.

Such a file is a pickle, and a pickle may run code when it is read. PyTorch's restricted reader
admits tensors and plain values only; what remains are tensors that are not what they seem.
"""

from __future__ import annotations

import argparse
import pickle
import re
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tmsa_core.errors import BundleError

_SMALL = 1 << 20  # bytes that a tensor may take without having them in the file


def read_checkpoint(file: Path) -> Any:
    """What a PyTorch file holds, tensors memory-mapped where its format allows it.

    Nothing in it is run. Raises BundleError in one sentence.
    """
    if not file.is_file():
        raise BundleError(f"There is no file {file}.")
    if not file.stat().st_size:
        raise BundleError(f"{file.name} is empty: download it again.")
    try:
        mapped = _can_be_mapped(file)
        with (
            warnings.catch_warnings(),
            torch.serialization.safe_globals([argparse.Namespace]),  # how options are kept
        ):
            warnings.simplefilter("ignore")  # of odd pickles, in PyTorch's own terms
            return torch.load(file, map_location="cpu", weights_only=True, mmap=mapped)
    except Exception as error:  # whatever a damaged pickle or archive leads to
        unsafe = re.search(r"GLOBAL ([\w.]+)", str(error))
        if isinstance(error, pickle.UnpicklingError) and unsafe:
            raise BundleError(
                f"{file.name} was refused, and nothing in it was run: reading it asks for "
                f"{unsafe[1]}, which no weights file needs."
            ) from error
        size = file.stat().st_size
        raise BundleError(
            f"{file.name} ({size} bytes) is no PyTorch file or an incomplete one: get it again."
        ) from error


def _can_be_mapped(file: Path) -> bool:
    """Whether tensors lie in a file as they are in memory.

    Files from before PyTorch 1.6 are no archives; of an archive that somebody has packed again,
    compressed, PyTorch would map the compressed bytes and take them for numbers.
    """
    if not zipfile.is_zipfile(file):
        return False
    with zipfile.ZipFile(file) as archive:
        return all(member.compress_type == zipfile.ZIP_STORED for member in archive.infolist())


def is_plain(value: Any) -> bool:
    """Whether a value is a tensor whose numbers all lie in the file, one after the other.

    A pickle of few bytes can hold tensors of any size: without numbers, sparse, or one number
    seen many times.
    """
    return (
        isinstance(value, Tensor)
        and value.layout == torch.strided
        and value.device.type == "cpu"
        and not value.is_neg()
        and 0 < value.nbytes <= max(value.untyped_storage().nbytes(), _SMALL)
    )
