"""Reads checkpoint files without running any code in them.

PyTorch's files are pickles, and a pickle may run code when it is read. PyTorch's restricted reader
admits tensors and plain values only; ``is_plain`` then refuses tensors that claim more numbers
than the file holds. Safetensors files hold tensors only.
"""

from __future__ import annotations

import pickle
import re
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from tmsa_core.errors import BundleError, shortened
from tmsa_core.weights.harmless_pickles import ALLOWED, with_tensors

_SMALL = 1 << 20  # bytes that a tensor may take although the file does not hold them
_HEAD = 1 << 20  # bytes of a pickle that are searched for its author


def read_checkpoint(file: Path) -> Any:
    """Read a checkpoint; its tensors are memory-mapped where the format allows it.

    Args:
        file: A PyTorch or safetensors file; its content decides, not its name.

    Returns:
        The saved object, usually a mapping, with tensors in place of NumPy arrays.

    Raises:
        BundleError: If the file is missing, of another kind, damaged or unsafe.
    """
    if not file.is_file():
        raise BundleError(f"There is no file {file}.")
    if not file.stat().st_size:
        raise BundleError(f"{file.name} is empty: download it again.")
    if _is_safetensors(file):
        return _read_safetensors(file)
    try:
        _refuse_other_kinds(file)
        with warnings.catch_warnings(), torch.serialization.safe_globals(list(ALLOWED)):
            warnings.simplefilter("ignore")  # PyTorch warns of unusual pickles
            mmap = _can_be_mapped(file)
            return with_tensors(torch.load(file, map_location="cpu", weights_only=True, mmap=mmap))
    except BundleError:
        raise
    except Exception as error:  # a damaged pickle or archive may raise anything
        raise BundleError(_reason(file, error)) from error


def _reason(file: Path, error: Exception) -> str:
    unsafe = re.search(r"GLOBAL ([\w.]+)", str(error))
    if isinstance(error, pickle.UnpicklingError) and unsafe:
        return (
            f"{file.name} was refused, and nothing in it was run: it asks for "
            f"{shortened(unsafe[1])}, which a weights file never needs."
        )
    size = file.stat().st_size
    return f"{file.name} ({size} bytes) is not a complete PyTorch file: get it again."


def _is_safetensors(file: Path) -> bool:
    """Whether a file begins like safetensors: the length of a JSON header and its bracket."""
    with file.open("rb") as opened:
        head = opened.read(9)
    return len(head) == 9 and head[8:] == b"{" and int.from_bytes(head[:8], "little") < 1 << 32


def _read_safetensors(file: Path) -> dict[str, Tensor]:
    try:
        with safe_open(file, framework="pt") as opened:
            return {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise BundleError(
            f"{file.name} is a damaged or incomplete safetensors file: get it again."
        ) from error


def _refuse_other_kinds(file: Path) -> None:
    """Raise BundleError for known kinds of files that are not checkpoints."""
    if zipfile.is_zipfile(file):
        _refuse_other_archives(file)
        return
    with file.open("rb") as opened:
        head = opened.read(_HEAD)
    if head[:1] == b"\x80" and (b"torch_utils" in head or b"dnnlib" in head):
        raise BundleError(
            f"{file.name} is a pickle of NVIDIA's StyleGAN code, which only that code can read, by "
            "running the pickle: save its weights as a .pt file in the layout of "
            "rosinality's stylegan2-pytorch (its convert_weight.py), and convert that."
        )


def _refuse_other_archives(file: Path) -> None:
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
    inside = {name.partition("/")[2] for name in names}
    if "constants.pkl" in inside or any(name.startswith("code/") for name in inside):
        raise BundleError(
            f"{file.name} is a TorchScript archive, a program with its weights: load it with "
            "torch.jit.load, save its state_dict() with torch.save, and convert that file."
        )
    if "data.pkl" in inside:
        return
    weights = [n for n in names if n.lower().endswith((".pt", ".pth", ".safetensors", ".pkl"))]
    found = f" (it holds {weights[0][-60:]!r})" if weights else ""
    raise BundleError(
        f"{file.name} is an ordinary ZIP archive{found}, not a checkpoint: unpack it, and convert "
        "the .pt, .pth or .safetensors file inside."
    )


def _can_be_mapped(file: Path) -> bool:
    """Whether tensors have the same bytes in the file as in memory.

    Files from before PyTorch 1.6 are not archives. In an archive that was compressed later,
    PyTorch would map the compressed bytes and take them for numbers.
    """
    if not zipfile.is_zipfile(file):
        return False
    with zipfile.ZipFile(file) as archive:
        return all(member.compress_type == zipfile.ZIP_STORED for member in archive.infolist())


def is_plain(value: Any) -> bool:
    """Whether a value is a tensor (any shape) with all its numbers in the file, in sequence.

    A small pickle can hold tensors of any size: without numbers, sparse, or one number repeated
    by its strides.
    """
    return (
        isinstance(value, Tensor)
        and value.layout == torch.strided
        and value.device.type == "cpu"
        and not value.is_neg()
        and 0 < value.nbytes <= max(value.untyped_storage().nbytes(), _SMALL)
    )
