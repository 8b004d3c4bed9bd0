"""Checkpoints in the public layouts, with weights computed from names.

``write_checkpoint(kind, path)`` writes a file like a public one: in full size with ``PUBLIC``, in
miniature with ``SMALL``.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from tmsa_core.weights.architectures import build_network

SMALL: dict[str, dict[str, Any]] = {
    "stylegan2": {
        "resolution": 64,
        "channel_multiplier": 0.0625,
        "channel_max": 24,
        "mapping_layers": 2,
    },
    "e4e": {
        "levels": 10,
        "input_size": 64,
        "widths": [4, 8, 12, 16],
        "units": [1, 1, 2, 1],
        "head_width": 8,
    },
    "hfgi": {
        "channels": 16,
        "aligner_widths": [4, 6, 8, 10],
        "residual_widths": [6, 8, 10],
        "units": 2,
    },
    "sfe": {
        "levels": 10,
        "channels": 16,
        "widths": [4, 6, 8, 10],
        "units": [1, 1, 2, 1],
        "blocks": 1,
    },
    "arcface": {"input_size": 32, "widths": [4, 8, 12, 16], "units": [1, 1, 2, 1]},
}
PUBLIC: dict[str, dict[str, Any]] = {
    "stylegan2": {"resolution": 1024},
    "e4e": {"levels": 18},
    "hfgi": {},
    "sfe": {},
    "arcface": {},
}


def synthetic_weights() -> ModuleType:
    """The module that computes weights and inputs from names."""
    name = "goldens_synthetic_weights"
    if name not in sys.modules:
        path = Path(__file__).parent / "goldens" / "synthetic_weights.py"
        spec = spec_from_file_location(name, path)
        assert spec is not None and spec.loader is not None
        module = sys.modules[name] = module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[name]


def network_state(
    kind: str, architecture: Mapping[str, Any], namespace: str, prefix: str = ""
) -> dict[str, Tensor]:
    """Synthetic weights of one network, under its public keys after ``prefix``."""
    rule = synthetic_weights()
    with torch.device("meta"):
        shapes = {
            prefix + k: v.shape for k, v in build_network(kind, architecture).state_dict().items()
        }
    filters = build_network("stylegan2", SMALL["stylegan2"]).state_dict()
    state = {}
    for key, shape in shapes.items():
        if key.endswith("num_batches_tracked"):
            state[key] = torch.zeros((), dtype=torch.int64)
        elif rule.leave_alone(key):
            state[key] = filters["convs.0.conv.blur.kernel"]  # the same in every layer
        else:
            state[key] = torch.from_numpy(rule.make_tensor(namespace, key, tuple(shape), shapes))
    return state


def checkpoint(
    kind: str, sizes: Mapping[str, Mapping[str, Any]], namespace: str = "synthetic/", **opts: Any
) -> dict[str, Any]:
    """The content of a public file of a kind: stylegan2, e4e, hfgi, sfe or arcface."""
    if kind == "arcface":
        return network_state("arcface", sizes["arcface"], namespace)
    if kind == "sfe":
        return {"state_dict": network_state("sfe", sizes["sfe"], namespace)}
    if kind == "stylegan2":
        state = network_state("stylegan2", sizes["stylegan2"], namespace)
        average = torch.from_numpy(
            synthetic_weights().hash_normal(namespace + "latent_avg", (512,))
        )
        return {"g_ema": state, "latent_avg": 0.5 * average}
    state = network_state("e4e", sizes["e4e"], namespace, "encoder.")
    state |= network_state("stylegan2", sizes["stylegan2"], namespace, "decoder.")
    if kind == "hfgi":
        state |= network_state("hfgi", sizes["hfgi"], namespace)
    levels = sizes["e4e"]["levels"]
    average = synthetic_weights().hash_normal(namespace + "latent_avg", (levels, 512))
    options = {
        "encoder_type": "Encoder4Editing",
        "stylegan_size": sizes["stylegan2"]["resolution"],
        "start_from_latent_avg": True,
        "dataset_type": "ffhq_encode",
    }
    return {
        "state_dict": state,
        "latent_avg": 0.5 * torch.from_numpy(average),
        "opts": options | opts,
    }


def write_checkpoint(
    kind: str,
    path: Path,
    sizes: Mapping[str, Mapping[str, Any]] = SMALL,
    namespace: str = "synthetic/",
    **opts: Any,
) -> Path:
    """Write such a file; ``opts`` are added to its options."""
    torch.save(checkpoint(kind, sizes, namespace, **opts), path)
    return path
