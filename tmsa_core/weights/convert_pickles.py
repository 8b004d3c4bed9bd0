"""Checkpoint files, read without running anything that is in them.

PyTorch's files are pickles, and a pickle may run code when it is read. PyTorch's restricted reader
admits tensors and plain values only; what remains are tensors that are not what they seem.
Safetensors files hold tensors alone.
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

from tmsa_core.errors import BundleError
from tmsa_core.weights.harmless_pickles import ALLOWED, with_tensors

_SMALL = 1 << 20  # bytes that a tensor may take without having them in the file
_HEAD = 1 << 20  # bytes at the beginning of a pickle that tell who wrote it


def read_checkpoint(file: Path) -> Any:
    """What a checkpoint file holds, tensors memory-mapped where its format allows it.

    Nothing in it is run. Arrays of NumPy are given as tensors.

    Args:
        file: A file of PyTorch (``.pt``, ``.pth``) or of safetensors, whatever its name.

    Returns:
        What was saved: mostly a mapping; of a safetensors file a mapping of tensors.

    Raises:
        BundleError: In one sentence, for a file of another kind, and one that is damaged or unsafe.
    """
    if not file.is_file():
        raise BundleError(f"There is no file {file}.")
    if not file.stat().st_size:
        raise BundleError(f"{file.name} is empty: download it again.")
    if _is_safetensors(file):
        return _read_safetensors(file)
    try:
        _refuse_other_kinds(file)
        return _read_pytorch(file)
    except BundleError:
        raise
    except Exception as error:  # whatever a damaged pickle or archive leads to
        raise BundleError(_reason(file, error)) from error


def _read_pytorch(file: Path) -> Any:
    with warnings.catch_warnings(), torch.serialization.safe_globals(list(ALLOWED)):
        warnings.simplefilter("ignore")  # of odd pickles, in PyTorch's own terms
        mapped = _can_be_mapped(file)
        return with_tensors(torch.load(file, map_location="cpu", weights_only=True, mmap=mapped))


def _reason(file: Path, error: Exception) -> str:
    unsafe = re.search(r"GLOBAL ([\w.]+)", str(error))
    if isinstance(error, pickle.UnpicklingError) and unsafe:
        return (
            f"{file.name} was refused, and nothing in it was run: reading it asks for "
            f"{unsafe[1][:60]}, which no weights file needs."
        )
    size = file.stat().st_size
    return f"{file.name} ({size} bytes) is no PyTorch file or an incomplete one: get it again."


def _is_safetensors(file: Path) -> bool:
    """Whether a file begins as safetensors do: the length of a header in JSON, and its bracket."""
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
    """Raise BundleError for files that are no checkpoints and can be told by their content."""
    if zipfile.is_zipfile(file):
        _refuse_other_archives(file)
        return
    with file.open("rb") as opened:
        head = opened.read(_HEAD)
    if head[:1] == b"\x80" and (b"torch_utils" in head or b"dnnlib" in head):
        raise BundleError(
            f"{file.name} is a pickle of NVIDIA's StyleGAN code, which only that code can read, by "
            "running what is in it: save its weights as a .pt file in the layout of "
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
        f"{file.name} is an ordinary ZIP archive{found} and no checkpoint: unpack it, and convert "
        "the .pt, .pth or .safetensors file that is inside."
    )


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
