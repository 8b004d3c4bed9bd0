"""Public checkpoints of StyleGAN2, e4e, HFGI and ArcFace to safetensors, once.

What a file holds is compared with the public layout key by key, and tensors are copied one by one
out of the memory-mapped file, so that a large file is converted in little memory.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from tmsa_core.errors import BundleError, RequestError
from tmsa_core.files import replacing
from tmsa_core.weights.architectures import build_network
from tmsa_core.weights.convert_pickles import is_plain, read_checkpoint
from tmsa_core.weights.convert_shapes import ARCHITECTURES, PUBLIC
from tmsa_core.weights.download import sha256
from tmsa_core.weights.network_files import few, key_differences

State = Mapping[str, Tensor]

WRAPPERS = ("module.", "_orig_mod.")  # before every key: DataParallel's, torch.compile's
GENERATORS = ("g_ema", "params_ema", "generator", "g")  # names of a generator, the averaged first
AVERAGE = "latent_avg"
COUNTER = ".num_batches_tracked"
ENCODER = "Encoder4Editing"  # e4e's own among the encoders that share its layout
MADV_PAGEOUT = 21  # drops clean pages of files, and harms no others

NUMBERS = {  # safetensors' names of the number types that checkpoints hold
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
}


@dataclass(frozen=True)
class Part:
    """One network of a checkpoint, and the file it goes to."""

    kind: str
    file: str
    architecture: Mapping[str, Any]
    state: State
    latent_avg: Tensor | None = None


def convert(kind: str, file: str | Path, out_dir: str | Path, progress: bool = False) -> list[Path]:
    """Write the networks that a public checkpoint holds as safetensors files.

    kind: the layout, one of ``LAYOUTS``. file: a ``.pt``, ``.pth`` or ``.safetensors`` file. Into
    ``out_dir`` go whichever of generator, e4e, hfgi and arcface ``.safetensors`` the file holds,
    each complete or not at all; their paths are returned. Numbers keep their type; states of
    optimisers and discriminators are left behind. Raises RequestError for an unknown kind and
    BundleError for a file that is missing, damaged, unsafe or of another layout.
    """
    if kind not in LAYOUTS:
        raise RequestError(f"There is no layout {kind!r}; use one of {', '.join(LAYOUTS)}.")
    file, out_dir = Path(file), Path(out_dir)
    parts = LAYOUTS[kind](read_checkpoint(file), file.name)
    origin = {"layout": kind, "file": file.name, "sha256": sha256(file)}
    out_dir.mkdir(parents=True, exist_ok=True)
    for part in parts:
        tensors = dict(part.state)
        if part.latent_avg is not None:
            tensors["latent_avg"] = part.latent_avg
        metadata = {
            "kind": part.kind,
            "architecture": json.dumps(part.architecture),
            "origin": json.dumps(origin),
        }
        write_tensors(tensors, metadata, out_dir / part.file, progress)
    return [out_dir / part.file for part in parts]


def _stylegan2(checkpoint: Any, name: str) -> list[Part]:
    """A generator: under one of ``GENERATORS``, perhaps with ``latent_avg`` (512,), or bare."""
    fields = _fields(checkpoint, name, GENERATORS)
    key = next((key for key in GENERATORS if key in fields), None)
    average = _latent_avg(fields, name)
    centre = None if average is None else average.mean(dim=0)
    values = _bare(fields, name) if key is None else fields[key]
    return [_part("stylegan2", "generator", _state(values, name), name, centre)]


def _e4e(checkpoint: Any, name: str) -> list[Part]:
    """An encoder and its generator: ``state_dict``, ``latent_avg`` (L,512) and ``opts``.

    A bare state dict is taken to be trained with the usual options.
    """
    fields = _fields(checkpoint, name, ("state_dict",))
    return _inversion(fields, _split(fields, ("encoder", "decoder"), name), name)


def _hfgi(checkpoint: Any, name: str) -> list[Part]:
    """As e4e, and beside encoder and decoder the two networks ``residue`` and ``grid_align``."""
    fields = _fields(checkpoint, name, ("state_dict",))
    own = ("residue", "grid_align")
    states = _split(fields, ("encoder", "decoder", *own), name)
    both = {f"{prefix}.{key}": states[prefix][key] for prefix in own for key in states[prefix]}
    return [*_inversion(fields, states, name), _part("hfgi", "hfgi", both, name)]


def _arcface(checkpoint: Any, name: str) -> list[Part]:
    """A bare state dict, or one under ``state_dict``."""
    fields = _fields(checkpoint, name, ("state_dict",))
    values = fields.get("state_dict", fields)
    return [_part("arcface", "arcface", _state(values, name), name)]


LAYOUTS: dict[str, Callable[[Any, str], list[Part]]] = {
    "stylegan2": _stylegan2,
    "e4e": _e4e,
    "hfgi": _hfgi,
    "arcface": _arcface,
}


def _inversion(fields: Mapping[str, Any], states: Mapping[str, State], name: str) -> list[Part]:
    """Generator and encoder, compared with the options that they were trained with."""
    options = _options(fields, name)
    encoder_type = _option(options, "encoder_type", ENCODER, name)
    in_w = _option(options, "learn_in_w", False, name)
    if encoder_type != ENCODER or in_w:
        raise BundleError(
            f"{name} holds an encoder that computes something else (encoder_type "
            f"{encoder_type!r}, learn_in_w {in_w!r}): only {ENCODER} can be used."
        )
    average = _latent_avg(fields, name)
    adds_average = _option(options, "start_from_latent_avg", True, name)
    if average is None and adds_average:
        raise BundleError(f"{name} lacks latent_avg, which its options add to every code.")
    centre = None if average is None else average.mean(dim=0)
    generator = _part("stylegan2", "generator", states["decoder"], name, centre)
    resolution = generator.architecture["resolution"]
    levels = 2 * resolution.bit_length() - 4  # 2 log2(R) - 2
    stated = _option(options, "stylegan_size", resolution, name)
    encoder = states["encoder"]
    if str(_option(options, "dataset_type", "", name)).startswith("cars"):
        encoder = _without_spare_heads(encoder, levels)
    if average is not None:
        average = average[:levels] if len(average) >= levels else average[:1].expand(levels, -1)
    part = _part("e4e", "e4e", encoder, name, average if adds_average else None)
    if stated != resolution or part.architecture["levels"] != levels:
        raise BundleError(
            f"{name} contradicts itself: its options say {stated!r} pixels, its generator draws "
            f"{resolution} and takes {levels} rows, its encoder has "
            f"{part.architecture['levels']} heads."
        )
    return [generator, part]


def _options(fields: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """What the encoder was trained with; a bare state dict, which cannot say it, has none."""
    if "state_dict" in fields and "opts" not in fields:
        raise BundleError(
            f"{name} has another layout: it lacks opts; at its top it has "
            f"{few([str(key) for key in fields])}."
        )
    options = fields.get("opts", {})
    if isinstance(options, argparse.Namespace):
        options = vars(options)
    if not isinstance(options, Mapping):
        raise BundleError(f"{name} has another layout: its opts are no names with values.")
    return options


def _option(options: Mapping[str, Any], key: str, usual: str | int, name: str) -> str | int:
    """A word, a number or a truth value among the options; ``usual`` where they do not say."""
    value = options.get(key)
    if value is not None and not isinstance(value, (str, int)):
        raise BundleError(f"{name} has another layout: its option {key} is no word or number.")
    return usual if value is None else value


def _latent_avg(fields: Mapping[str, Any], name: str) -> Tensor | None:
    """The mean code if the file has one, (rows,w_dim): one row for all or one for each."""
    if fields.get(AVERAGE) is None:
        return None
    average = _state({AVERAGE: fields[AVERAGE]}, name)[AVERAGE]
    if average.ndim == 0:
        raise BundleError(f"{name} has another layout: its latent_avg is a single number.")
    return average.reshape(-1, average.shape[-1])


def _without_spare_heads(encoder: State, levels: int) -> State:
    """Some encoders of cars have a head for each row of 1024 pixels; the last are never used."""
    head = re.compile(r"styles\.(\d+)\.")
    spare = {key for key in encoder if (match := head.match(key)) and int(match[1]) >= levels}
    return {key: value for key, value in encoder.items() if key not in spare}


def _fields(checkpoint: Any, name: str, wanted: Sequence[str]) -> Mapping[str, Any]:
    """What is at the top of a file: one of the names ``wanted``, or a bare state dict."""
    if isinstance(checkpoint, Mapping):
        if any(key in checkpoint for key in wanted):
            return checkpoint
        if any(isinstance(value, Tensor) and key != AVERAGE for key, value in checkpoint.items()):
            return checkpoint
    found = list(checkpoint) if isinstance(checkpoint, Mapping) else []
    raise BundleError(
        f"{name} has another layout: at its top it has neither a state dict nor "
        f"{' or '.join(wanted)}, but {few([str(key) for key in found]) or 'no names'}."
    )


def _bare(fields: Mapping[str, Any], name: str) -> dict[str, Tensor]:
    """The state dict that the top of a file is, without the mean code that may lie beside it."""
    return _state({key: value for key, value in fields.items() if key != AVERAGE}, name)


def _state(values: Any, name: str) -> dict[str, Tensor]:
    """A state dict, checked to be one, without what wrappers put before its keys."""
    if not isinstance(values, Mapping) or not values:
        raise BundleError(f"{name} has another layout: it holds no state dict where one should be.")
    odd = [str(k) for k, v in values.items() if not is_plain(v) or v.dtype not in NUMBERS]
    if odd:
        raise BundleError(f"{name} has another layout: {few(odd)} should be tensors of numbers.")
    return _unwrapped({str(key): value for key, value in values.items()})


def _unwrapped(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same without the prefixes of ``WRAPPERS`` that all keys share, in whatever order."""
    while prefix := next((w for w in WRAPPERS if all(k.startswith(w) for k in state)), ""):
        if not state:
            break
        state = {key.removeprefix(prefix): value for key, value in state.items()}
    return state


def _split(
    fields: Mapping[str, Any], prefixes: Sequence[str], name: str
) -> dict[str, dict[str, Tensor]]:
    """The state dict of each prefix, cut off at its dot."""
    state = _state(fields["state_dict"], name) if "state_dict" in fields else _bare(fields, name)
    parts: dict[str, dict[str, Tensor]] = {prefix: {} for prefix in prefixes}
    other = []
    for key, value in state.items():
        prefix, _, rest = key.partition(".")
        if prefix in parts:
            parts[prefix][rest] = value
        else:
            other.append(key)
    absent = [prefix for prefix, part in parts.items() if not part]
    if absent:
        raise BundleError(
            f"{name} has another layout: it has nothing under {', '.join(absent)}; its keys are "
            f"{few(list(state))}."
        )
    if other:
        raise BundleError(
            f"{name} has another layout: {len(other)} of its keys belong to none of "
            f"{', '.join(prefixes)}: {few(other)}."
        )
    return {prefix: _unwrapped(part) for prefix, part in parts.items()}


def _part(kind: str, file: str, state: State, name: str, latent_avg: Tensor | None = None) -> Part:
    """A network whose architecture its shapes tell and whose keys are exactly the public ones."""
    try:
        architecture = ARCHITECTURES[kind]({key: tuple(v.shape) for key, v in state.items()})
        expected = _state_on_meta(kind, architecture)
    except (LookupError, ValueError):  # shapes of no such network
        architecture = PUBLIC[kind]
        expected = _state_on_meta(kind, architecture)
    state = _with_counters(state, expected)
    if differences := key_differences(expected, state):
        raise BundleError(f"{name} is not of the public {kind} layout: {differences}.")
    if latent_avg is not None and latent_avg.shape[-1] != architecture["w_dim"]:
        raise BundleError(
            f"{name} has another layout: latent_avg has {latent_avg.shape[-1]} values in place of "
            f"{architecture['w_dim']}."
        )
    return Part(kind, f"{file}.safetensors", architecture, state, latent_avg)


def _with_counters(state: State, expected: State) -> State:
    """Files from before PyTorch 0.4.1 do not count batches; evaluation does not ask for it."""
    if any(key.endswith(COUNTER) for key in state):
        return state
    zero = torch.zeros((), dtype=torch.int64)
    return {**state, **{key: zero for key in expected if key.endswith(COUNTER)}}


def _state_on_meta(kind: str, architecture: Mapping[str, Any]) -> State:
    with torch.device("meta"):
        return build_network(kind, architecture).state_dict()


def write_tensors(
    tensors: State, metadata: Mapping[str, str], path: Path, progress: bool = False
) -> None:
    """Write a safetensors file tensor by tensor, aside, and move it into place.

    The library's own writer wants all tensors in memory. Raises BundleError if the disk refuses.
    """
    names = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    total = 0
    for name in names:
        begin, total = total, total + tensors[name].numel() * tensors[name].element_size()
        header[name] = {
            "dtype": NUMBERS[tensors[name].dtype],
            "shape": list(tensors[name].shape),
            "data_offsets": [begin, total],
        }
    encoded = json.dumps(header).encode()
    encoded += b" " * (-len(encoded) % 8)  # so that all numbers lie aligned
    bar = tqdm(total=total, desc=path.name, unit="B", unit_scale=True, disable=not progress)
    with bar, replacing(path, BundleError) as file:
        file.write(len(encoded).to_bytes(8, "little") + encoded)
        for name in names:
            numbers = tensors[name].detach().contiguous()
            # A single number may have any stride, and only 1 is viewed as bytes.
            numbers = numbers.as_strided((numbers.numel(),), (1,))
            file.write(numbers.view(torch.uint8).numpy())
            release(tensors[name])
            bar.update(tensors[name].nbytes)


def release(tensor: Tensor) -> None:
    """Ask Linux to take back the pages of a memory-mapped tensor; it reads them again if needed."""
    if sys.platform != "linux":
        return
    page, storage = os.sysconf("SC_PAGE_SIZE"), tensor.untyped_storage()
    start = -(-storage.data_ptr() // page) * page
    length = storage.data_ptr() + storage.nbytes() - start
    if length > 0:
        madvise = ctypes.CDLL(None).madvise
        madvise(ctypes.c_void_p(start), ctypes.c_size_t(length), MADV_PAGEOUT)


def peak_memory() -> int:
    """The most memory in bytes that this process has held so far, mapped files included."""
    status = Path("/proc/self/status")
    if status.exists():
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        if "VmHWM" in lines:
            return int(lines["VmHWM"].split()[0]) * 1024
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
