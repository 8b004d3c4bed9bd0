"""Converts public checkpoints of StyleGAN2, e4e, HFGI, SFE and ArcFace to safetensors.

The content of a file is compared with the public layout key by key. Tensors are copied one by one
from the memory-mapped file, so a large file needs little memory.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tmsa_core.errors import BundleError, RequestError
from tmsa_core.progress import Progress, no_progress
from tmsa_core.weights.architectures import build_network
from tmsa_core.weights.convert_pickles import is_plain, read_checkpoint
from tmsa_core.weights.convert_shapes import ARCHITECTURES, PUBLIC
from tmsa_core.weights.download import sha256
from tmsa_core.weights.network_files import (
    LATENT_AVG,
    NUMBER_TYPES,
    first_names,
    key_differences,
    save_tensors,
)

State = Mapping[str, Tensor]

WRAPPERS = ("module.", "_orig_mod.")  # key prefixes of DataParallel and torch.compile
GENERATORS = ("g_ema", "params_ema", "generator", "g")  # names of a generator, the averaged first
COUNTER = ".num_batches_tracked"
# Parts of a full StyleFeatureEditor checkpoint that are in other files too, or only for training.
OTHER_PARTS = ("e4e_encoder", "decoder", "discriminator")
ENCODER = "Encoder4Editing"  # e4e's own among the encoders that share its layout


@dataclass(frozen=True)
class Part:
    """One network of a checkpoint.

    Attributes:
        kind: The network's kind.
        file: Name of the file that it is written to.
        architecture: Arguments of its constructor.
        state: Its public state dict.
        latent_avg: The mean latent code that it adds, (w_dim,) or (L,w_dim), if any.
    """

    kind: str
    file: str
    architecture: Mapping[str, Any]
    state: State
    latent_avg: Tensor | None = None


def convert(
    kind: str, file: str | Path, out_dir: str | Path, progress: Progress = no_progress
) -> list[Path]:
    """Write the networks of a public checkpoint as safetensors files.

    Numbers keep their type. States of optimisers and discriminators are left out.

    Args:
        kind: The layout, a key of ``LAYOUTS``.
        file: A ``.pt``, ``.pth`` or ``.safetensors`` file.
        out_dir: Folder of the files ``generator``, ``e4e``, ``hfgi``, ``sfe``, ``sfe_inverter`` and
            ``arcface`` with the ending ``.safetensors``, as far as the checkpoint holds these
            networks.
        progress: Receives the bytes written.

    Returns:
        The paths of the files.

    Raises:
        RequestError: If the kind is unknown.
        BundleError: If the file is missing, damaged, unsafe or of another layout.
    """
    if kind not in LAYOUTS:
        raise RequestError(f"There is no layout {kind!r}; use one of {', '.join(LAYOUTS)}.")
    file, out_dir = Path(file), Path(out_dir)
    parts = LAYOUTS[kind](read_checkpoint(file), file.name)
    origin = {"layout": kind, "file": file.name, "sha256": sha256(file)}
    paths = []
    for part in parts:
        tensors = dict(part.state)
        if part.latent_avg is not None:
            tensors[LATENT_AVG] = part.latent_avg
        path = out_dir / part.file
        save_tensors(part.kind, tensors, path, origin, part.architecture, None, progress)
        paths.append(path)
    return paths


def _stylegan2(checkpoint: Any, name: str) -> list[Part]:
    """A generator under one of ``GENERATORS``, or bare; perhaps with ``latent_avg`` (w_dim,)."""
    fields = _fields(checkpoint, name, GENERATORS)
    key = next((key for key in GENERATORS if key in fields), None)
    average = _latent_avg(fields, name)
    centre = None if average is None else average.mean(dim=0)
    values = _bare(fields, name) if key is None else fields[key]
    return [_part("stylegan2", "generator", _state(values, name), name, centre)]


def _e4e(checkpoint: Any, name: str) -> list[Part]:
    """An encoder and its generator: ``state_dict``, ``latent_avg`` (L,w_dim) and ``opts``.

    A bare state dict counts as trained with the default options.
    """
    fields = _fields(checkpoint, name, ("state_dict",))
    return _inversion(fields, _split(fields, ("encoder", "decoder"), name), name)


def _hfgi(checkpoint: Any, name: str) -> list[Part]:
    """As e4e, and the two networks ``residue`` and ``grid_align``."""
    fields = _fields(checkpoint, name, ("state_dict",))
    own = ("residue", "grid_align")
    states = _split(fields, ("encoder", "decoder", *own), name)
    both = {f"{prefix}.{key}": states[prefix][key] for prefix in own for key in states[prefix]}
    return [*_inversion(fields, states, name), _part("hfgi", "hfgi", both, name)]


def _sfe(checkpoint: Any, name: str) -> list[Part]:
    """StyleFeatureEditor: the editor's file, or the inverter's, each light or full.

    The editor's file holds ``inverter`` and the feature editor as ``encoder``. In the inverter's
    file ``encoder`` is the inverter; without a feature editor it reconstructs, but edits badly.
    """
    fields = _fields(checkpoint, name, ("state_dict",))
    state = _state(fields["state_dict"], name) if "state_dict" in fields else _bare(fields, name)
    alone = _has(state, "encoder.fs_backbone")
    names = {"encoder": "inverter"} if alone else {"inverter": "inverter", "encoder": "encoder"}
    states = _split(fields, (*names, *(p for p in OTHER_PARTS if _has(state, p))), name)
    own = {f"{new}.{key}": v for old, new in names.items() for key, v in states[old].items()}
    return [_part("sfe", "sfe_inverter" if alone else "sfe", own, name)]


def _has(state: State, prefix: str) -> bool:
    return any(key.startswith(f"{prefix}.") for key in state)


def _arcface(checkpoint: Any, name: str) -> list[Part]:
    """A bare state dict, or one under ``state_dict``."""
    fields = _fields(checkpoint, name, ("state_dict",))
    values = fields.get("state_dict", fields)
    return [_part("arcface", "arcface", _state(values, name), name)]


LAYOUTS: dict[str, Callable[[Any, str], list[Part]]] = {
    "stylegan2": _stylegan2,
    "e4e": _e4e,
    "hfgi": _hfgi,
    "sfe": _sfe,
    "arcface": _arcface,
}


def _inversion(fields: Mapping[str, Any], states: Mapping[str, State], name: str) -> list[Part]:
    """Generator and encoder, checked against the options of their training."""
    # Encoders of other kinds have the same keys, but compute something else.
    options = _options(fields, name)
    encoder_type = _option(options, "encoder_type", ENCODER, name)
    in_w = _option(options, "learn_in_w", False, name)
    if encoder_type != ENCODER or in_w:
        raise BundleError(
            f"{name} holds another encoder (encoder_type {encoder_type!r}, learn_in_w {in_w!r}): "
            f"only {ENCODER} can be used."
        )
    average = _latent_avg(fields, name)
    adds_average = _option(options, "start_from_latent_avg", True, name)
    if average is None and adds_average:
        raise BundleError(f"{name} lacks latent_avg, which its options add to every latent code.")

    # The generator decides how many rows W+ has.
    centre = None if average is None else average.mean(dim=0)
    generator = _part("stylegan2", "generator", states["decoder"], name, centre)
    resolution = generator.architecture["resolution"]
    levels = 2 * resolution.bit_length() - 4  # 2 log2(R) - 2
    stated = _option(options, "stylegan_size", resolution, name)

    # Some encoders of cars have a head for each row of 1024 pixels; the last are never used.
    encoder = states["encoder"]
    if str(_option(options, "dataset_type", "", name)).startswith("cars"):
        heads = re.compile(r"styles\.(\d+)\.")
        encoder = {
            key: value
            for key, value in encoder.items()
            if not (head := heads.match(key)) or int(head[1]) < levels
        }
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
    """The options of the encoder's training; empty for a bare state dict."""
    if "state_dict" in fields and "opts" not in fields:
        raise BundleError(
            f"{name} has another layout: it lacks opts; its top level has "
            f"{first_names([str(key) for key in fields])}."
        )
    options = fields.get("opts", {})
    if isinstance(options, argparse.Namespace):
        options = vars(options)
    if not isinstance(options, Mapping):
        raise BundleError(f"{name} has another layout: its opts are not names with values.")
    return options


def _option(options: Mapping[str, Any], key: str, default: str | int, name: str) -> str | int:
    """A string, a number or a truth value; ``default`` where the options lack it."""
    value = options.get(key)
    if value is not None and not isinstance(value, (str, int)):
        raise BundleError(
            f"{name} has another layout: its option {key} is neither a word nor a number."
        )
    return default if value is None else value


def _latent_avg(fields: Mapping[str, Any], name: str) -> Tensor | None:
    """The mean latent code as (rows,w_dim): one row for all levels or one for each."""
    if fields.get(LATENT_AVG) is None:
        return None
    average = _state({LATENT_AVG: fields[LATENT_AVG]}, name)[LATENT_AVG]
    if average.ndim == 0:
        raise BundleError(f"{name} has another layout: its latent_avg is a single number.")
    return average.reshape(-1, average.shape[-1])


def _fields(checkpoint: Any, name: str, wanted: Sequence[str]) -> Mapping[str, Any]:
    """The top level of a file: a mapping with one of the names ``wanted``, or a state dict."""
    found = checkpoint if isinstance(checkpoint, Mapping) else {}
    if any(key in found for key in wanted):
        return found
    if any(isinstance(value, Tensor) and key != LATENT_AVG for key, value in found.items()):
        return found
    names = first_names([str(key) for key in found])
    raise BundleError(
        f"{name} has another layout: its top level has neither a state dict nor "
        f"{' or '.join(wanted)}, but {names or 'no names'}."
    )


def _bare(fields: Mapping[str, Any], name: str) -> dict[str, Tensor]:
    """A top level that is itself a state dict, without the mean code that may be in it."""
    return _state({key: value for key, value in fields.items() if key != LATENT_AVG}, name)


def _state(values: Any, name: str) -> dict[str, Tensor]:
    """A checked state dict, without the key prefixes of wrappers."""
    if not isinstance(values, Mapping) or not values:
        raise BundleError(f"{name} has another layout: it lacks a state dict where one should be.")
    odd = [str(k) for k, v in values.items() if not is_plain(v) or v.dtype not in NUMBER_TYPES]
    if odd:
        raise BundleError(
            f"{name} has another layout: {first_names(odd)} should be tensors of numbers."
        )
    return _unwrapped({str(key): value for key, value in values.items()})


def _unwrapped(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same without the prefixes of ``WRAPPERS`` that all keys share, in any order."""
    while state and (
        prefix := next((w for w in WRAPPERS if all(k.startswith(w) for k in state)), "")
    ):
        state = {key.removeprefix(prefix): value for key, value in state.items()}
    return state


def _split(
    fields: Mapping[str, Any], prefixes: Sequence[str], name: str
) -> dict[str, dict[str, Tensor]]:
    """The state dict of each prefix, without the prefix and its dot."""
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
            f"{first_names(list(state))}."
        )
    if other:
        raise BundleError(
            f"{name} has another layout: {len(other)} of its keys belong to none of "
            f"{', '.join(prefixes)}: {first_names(other)}."
        )
    return {prefix: _unwrapped(part) for prefix, part in parts.items()}


def _part(kind: str, file: str, state: State, name: str, latent_avg: Tensor | None = None) -> Part:
    """A network with the architecture of its shapes, whose keys are exactly the public ones."""
    try:
        architecture = ARCHITECTURES[kind]({key: tuple(v.shape) for key, v in state.items()})
        expected = _public_state(kind, architecture)
    except (LookupError, ValueError):  # these are shapes of something else
        architecture = PUBLIC[kind]
        expected = _public_state(kind, architecture)
    if not any(key.endswith(COUNTER) for key in state):
        # PyTorch counts batches since 0.4.1; evaluation does not need the counters
        zero = torch.zeros((), dtype=torch.int64)
        state = {**state, **{key: zero for key in expected if key.endswith(COUNTER)}}
    if differences := key_differences(expected, state):
        raise BundleError(f"{name} does not have the public {kind} layout: {differences}.")
    if latent_avg is not None and latent_avg.shape[-1] != architecture["w_dim"]:
        raise BundleError(
            f"{name} has another layout: latent_avg has {latent_avg.shape[-1]} values instead of "
            f"{architecture['w_dim']}."
        )
    return Part(kind, f"{file}.safetensors", architecture, state, latent_avg)


def _public_state(kind: str, architecture: Mapping[str, Any]) -> State:
    with torch.device("meta"):
        state: State = build_network(kind, architecture).state_dict()
    return state
