"""Weights files: the only module that opens them.

A weights file is safetensors whose metadata holds the kind and the architecture, so that every
file describes itself. Loading is strict.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from tmsa_core.errors import BundleError, shortened
from tmsa_core.files import write_whole
from tmsa_core.weights.architectures import PUBLIC_CLIPS, build_network

SIDE_TENSORS = ("latent_avg",)  # belong to a network's use, not to its public state dict
MAPPED = ("stylegan2", "e4e", "hfgi", "arcface")  # kinds whose every tensor comes from the file


def save_network(
    kind: str,
    module: nn.Module,
    path: Path,
    architecture: Mapping[str, Any],
    origin: Mapping[str, Any],
    dtype: torch.dtype = torch.float16,
) -> None:
    """Write a network as safetensors, floats as ``dtype``, with all that loading it needs.

    architecture: the constructor's arguments. origin: how the weights were made, for the reader.
    """
    tensors = {**module.state_dict(), **_side_tensors(module)}
    save_tensors(kind, tensors, path, origin, architecture, dtype)


def save_tensors(
    kind: str,
    tensors: Mapping[str, Tensor],
    path: Path,
    origin: Mapping[str, Any],
    architecture: Mapping[str, Any] | None = None,
    dtype: torch.dtype = torch.float16,
) -> None:
    """Write named tensors as safetensors, floats as ``dtype``, with what they are and whence.

    The file is written aside and moved into place. The same tensors and words give the same bytes.
    Raises BundleError where the disk does not take it.
    """
    tensors = {
        k: (v.to(dtype) if v.is_floating_point() else v).contiguous().cpu().clone()
        for k, v in tensors.items()
    }
    metadata = {
        "kind": kind,
        "architecture": json.dumps(architecture or {}),
        "origin": json.dumps(origin),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, _with_sorted_metadata(save(tensors, metadata)), BundleError)


def _with_sorted_metadata(data: bytes) -> bytes:
    """A safetensors file with its metadata in the order of their keys.

    The library writes them in a random order. A bundle's fingerprint hashes its files, so equal
    weights have to be equal files.
    """
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False)
    return data[:8] + text.encode().ljust(size) + data[8 + size :]


def read_metadata(path: Path) -> dict[str, Any]:
    """Kind, architecture and origin of a weights file."""
    with _open(path) as file:
        raw = file.metadata() or {}
    missing = {"kind", "architecture"} - raw.keys()
    if missing:
        raise BundleError(
            f"{path.name} does not say its {' and '.join(sorted(missing))}: "
            "make the file with `tmsa convert` or `tmsa train`."
        )
    try:
        return {
            "kind": raw["kind"],
            "architecture": json.loads(raw["architecture"]),
            "origin": json.loads(raw.get("origin", "{}")),
        }
    except (ValueError, RecursionError) as error:
        raise BundleError(
            f"{path.name} describes itself in no JSON ({shortened(error)}): get it again."
        ) from error


def load_network(
    kind: str, path: str | Path, device: str = "cpu", dtype: torch.dtype = torch.float32
) -> nn.Module:
    """A network in evaluation mode from a file that ``save_network`` or ``convert`` wrote.

    Weights that need no conversion stay memory-mapped: they are read when they are used, and
    several processes share them. Raises BundleError if the file is missing, damaged, of another
    kind, or does not fit its architecture key by key.
    """
    path = Path(path)
    if kind in PUBLIC_CLIPS:
        return _public_clip(kind, path).to(device=device, dtype=dtype)
    metadata = read_metadata(path)
    if metadata["kind"] != kind:
        raise BundleError(f"{path.name} holds a {shortened(metadata['kind'])} network, not {kind}.")
    network = _unfilled(kind, metadata["architecture"], path)
    with _open(path) as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    sides = _side_tensors(network)
    given = {name: side for name, side in sides.items() if name in tensors}
    _check_fit(path, {**network.state_dict(), **given}, tensors)
    for name, side in sides.items():
        setattr(network, name, tensors.pop(name, torch.zeros(side.shape)).float())
    network.load_state_dict(tensors, strict=True, assign=kind in MAPPED)
    network.requires_grad_(False)
    return network.eval().to(device=device, dtype=dtype)


def _side_tensors(network: nn.Module) -> dict[str, Tensor]:
    own = network.state_dict()
    found = {name: getattr(network, name, None) for name in SIDE_TENSORS if name not in own}
    return {name: value for name, value in found.items() if isinstance(value, Tensor)}


def _unfilled(kind: str, architecture: Mapping[str, Any], path: Path) -> nn.Module:
    with torch.device("meta" if kind in MAPPED else "cpu"):
        try:
            return build_network(kind, architecture)
        except (LookupError, TypeError, ValueError) as error:
            raise BundleError(
                f"{path.name} states numbers that no {kind} network has ({shortened(error)}): make "
                "the file with `tmsa convert` or `tmsa train`."
            ) from error


def _public_clip(kind: str, path: Path) -> nn.Module:
    """A CLIP in the file that open_clip itself downloads."""
    from tmsa_core.networks.clip import public_clip

    _open(path)  # says what is wrong with a missing or damaged file
    return public_clip(PUBLIC_CLIPS[kind], path).requires_grad_(False).eval()


def load_tensors(kind: str, path: Path, device: str = "cpu") -> dict[str, Tensor]:
    """Named tensors that ``save_tensors`` wrote, floats as float32; a BundleError as above."""
    if (found := read_metadata(path)["kind"]) != kind:
        raise BundleError(f"{path.name} holds {shortened(found)}, not {kind}.")
    with _open(path) as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    return {k: (v.float() if v.is_floating_point() else v).to(device) for k, v in tensors.items()}


def _open(path: Path) -> Any:
    if not path.is_file():
        raise BundleError(f"The weights file {path.name} is missing: get it or train it again.")
    try:
        return safe_open(path, framework="pt")
    except (SafetensorError, OSError) as error:
        raise BundleError(
            f"{path.name} is damaged or no safetensors file ({shortened(error)}): get it again."
        ) from error


def key_differences(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> str:
    """How one state dict differs from another by keys, shapes and number types; empty if not."""
    shaped = [
        f"{k} {tuple(v.shape)} instead of {tuple(expected[k].shape)}"
        for k, v in found.items()
        if k in expected and v.shape != expected[k].shape
    ]
    groups = {
        "missing": [k for k in expected if k not in found],
        "unexpected": [k for k in found if k not in expected],
        "of another shape": shaped,
        "of whole numbers instead of fractions": [
            k
            for k, v in found.items()
            if k in expected and expected[k].is_floating_point() and not v.is_floating_point()
        ],
    }
    return "; ".join(f"{len(keys)} {what}: {few(keys)}" for what, keys in groups.items() if keys)


def few(keys: Sequence[str], count: int = 3) -> str:
    """The first names of a list, for a message: strangers chose them, so on one line and short."""
    shown = [shortened(key) for key in keys[:count]]
    return ", ".join([*shown, *(["..."] if len(keys) > count else [])])


def _check_fit(path: Path, expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> None:
    differences = key_differences(expected, found)
    if differences:
        raise BundleError(f"{path.name} does not fit its architecture: {differences}.")
