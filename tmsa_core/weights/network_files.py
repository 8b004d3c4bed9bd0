"""Weights files: the only module that reads and writes them.

A weights file is safetensors. Its metadata holds the network's kind, architecture and origin, so
every file describes itself. Loading is strict.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from tmsa_core.errors import BundleError, shortened
from tmsa_core.files import replacing
from tmsa_core.progress import Progress, no_progress
from tmsa_core.weights.architectures import PUBLIC_CLIPS, build_network

_BLOCK = 1 << 20  # bytes read at once
LATENT_AVG = "latent_avg"  # a buffer that files hold although the public state dict lacks it
NUMBER_TYPES = {  # safetensors' names of the number types
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
}


def save_network(
    kind: str,
    module: nn.Module,
    path: Path,
    architecture: Mapping[str, Any],
    origin: Mapping[str, Any],
    dtype: torch.dtype = torch.float16,
) -> None:
    """Write a network and everything that ``load_network`` needs as safetensors.

    Args:
        kind: The network's kind.
        module: The network.
        path: The file to write.
        architecture: Keyword arguments of the network's constructor.
        origin: How the weights were made, for the reader of the file.
        dtype: Type of the floating-point numbers in the file.

    Raises:
        BundleError: If the file cannot be written.
    """
    tensors = {**module.state_dict(), **_side_buffers(module)}
    save_tensors(kind, tensors, path, origin, architecture, dtype)


def save_tensors(
    kind: str,
    tensors: Mapping[str, Tensor],
    path: Path,
    origin: Mapping[str, Any],
    architecture: Mapping[str, Any] | None = None,
    dtype: torch.dtype | None = torch.float16,
    progress: Progress = no_progress,
) -> None:
    """Write named tensors of any shape as safetensors, one after the other.

    safetensors' own writer needs all tensors in memory and orders the metadata at random. Here
    equal input gives equal bytes, because a bundle's fingerprint hashes its files.

    Args:
        kind: The kind of network or data.
        tensors: Name -> tensor; the types of ``NUMBER_TYPES`` can be written.
        path: The file to write; its folder is created. An earlier file is replaced as a whole.
        origin: How the tensors were made, for the reader of the file.
        architecture: Keyword arguments of the network's constructor.
        dtype: Type of the floating-point numbers in the file; None keeps each tensor's own.
        progress: Receives the bytes written.

    Raises:
        BundleError: If the file cannot be written.
    """
    types = {k: dtype if dtype and v.is_floating_point() else v.dtype for k, v in tensors.items()}
    names = sorted(tensors, key=lambda name: (-types[name].itemsize, name))
    metadata = {
        "architecture": json.dumps(architecture or {}),
        "kind": kind,
        "origin": json.dumps(origin),
    }
    header: dict[str, Any] = {"__metadata__": metadata}
    total = 0
    for name in names:
        begin, total = total, total + tensors[name].numel() * types[name].itemsize
        header[name] = {
            "dtype": NUMBER_TYPES[types[name]],
            "shape": list(tensors[name].shape),
            "data_offsets": [begin, total],
        }
    encoded = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    encoded += b" " * (-len(encoded) % 8)  # aligns the numbers that follow
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path, BundleError) as file:
        file.write(len(encoded).to_bytes(8, "little") + encoded)
        for name in names:
            numbers = tensors[name].detach().to("cpu", types[name])
            numbers = numbers.clone(memory_format=torch.contiguous_format).flatten()
            file.write(numbers.view(torch.uint8).numpy().data)
            progress(header[name]["data_offsets"][1], total, f"Writing {path.name}")


def read_metadata(path: Path) -> dict[str, Any]:
    """Read what a weights file says about itself.

    Args:
        path: The file.

    Returns:
        Its ``kind`` (a string), ``architecture`` and ``origin`` (as they were saved).

    Raises:
        BundleError: If the file is missing or damaged, or lacks this metadata.
    """
    with _open(path) as file:
        raw = file.metadata() or {}
    missing = {"kind", "architecture"} - raw.keys()
    if missing:
        raise BundleError(
            f"{path.name} lacks {' and '.join(sorted(missing))} in its metadata: "
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
            f"{path.name} has invalid JSON metadata ({shortened(error)}): get it again."
        ) from error


def tensors_digest(path: Path) -> str:
    """SHA-256 of a file's tensors: their names, types, shapes and numbers, not its metadata.

    Files that were converted from copies of one checkpoint under other names have the same one.

    Raises:
        BundleError: If the file is missing or damaged.
    """
    with _open(path):  # which checks the header against the file's size
        pass
    digest = hashlib.sha256()
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        for name in sorted(header.keys() - {"__metadata__"}):
            entry = header[name]
            digest.update(json.dumps([name, entry["dtype"], entry["shape"]]).encode())
            begin, end = entry["data_offsets"]
            file.seek(8 + length + begin)
            for start in range(begin, end, _BLOCK):
                digest.update(file.read(min(_BLOCK, end - start)))
    return digest.hexdigest()


def load_network(
    kind: str, path: str | Path, device: str = "cpu", dtype: torch.dtype = torch.float32
) -> nn.Module:
    """Load a frozen network in evaluation mode.

    Weights that need no conversion stay memory-mapped: they are read when they are used, and
    several processes share them.

    Args:
        kind: The network's kind.
        path: A file that ``save_network`` or ``convert`` wrote, or open_clip's own for a kind of
            ``PUBLIC_CLIPS``.
        device: Where the network runs.
        dtype: Type of its floating-point numbers.

    Returns:
        The network.

    Raises:
        BundleError: If the file is missing, damaged, of another kind, or does not fit its
            architecture key by key.
    """
    path = Path(path)
    if kind not in PUBLIC_CLIPS:
        network = _read_network(kind, path)
    else:
        from tmsa_core.networks.clip import public_clip

        with _open(path):  # refuses a missing or damaged file
            network = public_clip(PUBLIC_CLIPS[kind], path)
    return network.requires_grad_(False).eval().to(device=device, dtype=dtype)


def _read_network(kind: str, path: Path) -> nn.Module:
    """A network with the tensors of a file, which may stay memory-mapped."""
    metadata = read_metadata(path)
    if metadata["kind"] != kind:
        raise BundleError(f"{path.name} holds a {shortened(metadata['kind'])} network, not {kind}.")
    # CLIP computes buffers that its file lacks; all other networks take every tensor from theirs.
    with torch.device("cpu" if kind == "clip" else "meta"):
        try:
            network = build_network(kind, metadata["architecture"])
        except (LookupError, TypeError, ValueError) as error:
            raise BundleError(
                f"{path.name} declares an invalid {kind} architecture ({shortened(error)}): make "
                "the file with `tmsa convert` or `tmsa train`."
            ) from error
    tensors = _read_tensors(path)
    side = _side_buffers(network)
    expected = network.state_dict() | {key: side[key] for key in side if key in tensors}
    if differences := key_differences(expected, tensors):
        raise BundleError(f"{path.name} does not fit its architecture: {differences}.")
    for name, buffer in side.items():
        value = tensors.pop(name, torch.zeros(buffer.shape)).float()
        network.register_buffer(name, value, persistent=False)
    network.load_state_dict(tensors, strict=True, assign=True)
    return network


def _side_buffers(network: nn.Module) -> dict[str, Tensor]:
    """``latent_avg``, (w_dim,) or (L,w_dim), of networks whose state dict lacks it."""
    own = network.state_dict()
    buffers = network.named_buffers(recurse=False)
    return {name: value for name, value in buffers if name == LATENT_AVG and name not in own}


def load_tensors(kind: str, path: Path, device: str = "cpu") -> dict[str, Tensor]:
    """Load tensors that ``save_tensors`` wrote.

    Args:
        kind: The kind that the file must be of.
        path: The file.
        device: Where the tensors go.

    Returns:
        Name -> tensor of the saved shape; floating-point numbers are float32.

    Raises:
        BundleError: If the file is missing, damaged or of another kind.
    """
    if (found := read_metadata(path)["kind"]) != kind:
        raise BundleError(f"{path.name} holds {shortened(found)}, not {kind}.")
    return {
        k: (v.float() if v.is_floating_point() else v).to(device)
        for k, v in _read_tensors(path).items()
    }


def _read_tensors(path: Path) -> dict[str, Tensor]:
    with _open(path) as file:
        return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118


def _open(path: Path) -> Any:
    if not path.is_file():
        raise BundleError(f"The weights file {path.name} is missing: get it or train it again.")
    try:
        return safe_open(path, framework="pt")
    except (SafetensorError, OSError) as error:
        raise BundleError(
            f"{path.name} is damaged or not a safetensors file ({shortened(error)}): get it again."
        ) from error


def key_differences(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> str:
    """Compare two state dicts by keys, shapes and number types.

    Args:
        expected: The state dict of the network.
        found: The state dict of a file.

    Returns:
        The differences as part of a sentence; empty if there are none.
    """
    shared = [key for key in found if key in expected]
    groups = {
        "missing": [k for k in expected if k not in found],
        "unexpected": [k for k in found if k not in expected],
        "of another shape": [
            f"{k} {tuple(found[k].shape)} instead of {tuple(expected[k].shape)}"
            for k in shared
            if found[k].shape != expected[k].shape
        ],
        "with integers instead of floating-point numbers": [
            k
            for k in shared
            if expected[k].is_floating_point() and not found[k].is_floating_point()
        ],
    }
    return "; ".join(
        f"{len(keys)} {what}: {first_names(keys)}" for what, keys in groups.items() if keys
    )


def first_names(names: Sequence[str], count: int = 3) -> str:
    """Join the first names of an untrusted list, each printable, on one line and truncated."""
    return ", ".join([*map(shortened, names[:count]), *(["..."] if len(names) > count else [])])
