"""Derives a network's architecture from the shapes of a public state dict.

A checkpoint does not state how many levels, channels or units its network has, but its shapes do.
Each function takes key -> shape and returns the constructor's arguments. A LookupError or a
ValueError, also from the constructor, means that the tensors have another layout.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

Shapes = Mapping[str, tuple[int, ...]]

MAX_BLOCKS = 10  # of a generator; gives 4096 pixels


def count(shapes: Shapes, pattern: str) -> int:
    """Count the keys that match a whole regular expression."""
    return sum(re.fullmatch(pattern, key) is not None for key in shapes)


def stylegan2(shapes: Shapes) -> dict[str, Any]:
    """Arguments of ``Generator``: the last layer gives the multiplier, the first the maximum."""
    blocks = count(shapes, r"to_rgbs\.\d+\.bias")
    if blocks > MAX_BLOCKS:
        raise ValueError(f"{blocks} blocks would make images too large for any memory")
    resolution = 4 * 2**blocks
    narrowest = shapes[f"to_rgbs.{blocks - 1}.conv.weight"][2]
    return {
        "resolution": resolution,
        "w_dim": shapes["style.1.weight"][0],
        "channel_multiplier": narrowest * resolution / 16384,
        "channel_max": shapes["input.input"][1],
        "mapping_layers": count(shapes, r"style\.\d+\.weight"),
    }


def e4e(shapes: Shapes) -> dict[str, Any]:
    """Arguments of ``Encoder``: the first head halves its features down to one pixel."""
    halvings = count(shapes, r"styles\.0\.convs\.\d+\.weight")
    w_dim, head_width = shapes["styles.0.linear.weight"]
    return {
        "levels": count(shapes, r"styles\.\d+\.linear\.weight"),
        "w_dim": w_dim,
        "input_size": 16 * 2**halvings,
        "head_width": head_width,
        **_trunk(shapes),
    }


def arcface(shapes: Shapes) -> dict[str, Any]:
    """Arguments of ``IdentityNet``: the last layer reads all pixels of the trunk's output."""
    embedding_dim, inputs = shapes["output_layer.3.weight"]
    trunk = _trunk(shapes)
    side = math.isqrt(inputs // trunk["widths"][-1])
    return {"embedding_dim": embedding_dim, "input_size": 16 * side, **trunk}


def hfgi(shapes: Shapes) -> dict[str, Any]:
    """Arguments of ``HFGI`` at 256 pixels."""

    def width(network: str, layer: int) -> int:
        within = "0.weight" if layer == 1 else "0.res_layer.1.weight"
        return shapes[f"{network}.conv_layer{layer}.{within}"][0]

    return {
        "channels": shapes["residue.condition_scale3.2.weight"][0],
        "aligner_widths": [width("grid_align", layer) for layer in (1, 2, 3, 4)],
        "residual_widths": [width("residue", layer) for layer in (1, 2, 3)],
        "units": count(shapes, r"grid_align\.conv_layer2\.\d+\.res_layer\.1\.weight"),
    }


def sfe(shapes: Shapes) -> dict[str, Any]:
    """Arguments of ``SFE`` at 256 pixels; the feature editor may be missing."""
    backbone, stages = "inverter.fs_backbone", (1, 2, 3, 4)
    units = [rf"{re.escape(backbone)}\.block_{i}\.\d+\.conv1\.weight" for i in stages]
    return {
        "levels": count(shapes, rf"{re.escape(backbone)}\.styles\.\d+\.weight"),
        "w_dim": shapes[f"{backbone}.styles.0.weight"][0],
        "channels": shapes["inverter.fuser.conv.weight"][0],
        "widths": [shapes[f"{backbone}.block_{i}.0.conv1.weight"][0] for i in stages],
        "units": [count(shapes, pattern) for pattern in units],
        "blocks": count(shapes, r"inverter\.fuser\.body\.\d+\.body\.1\.weight"),
        "editor": "encoder.conv.weight" in shapes,
    }


def _trunk(shapes: Shapes) -> dict[str, Any]:
    """Widths and units of an IR-SE trunk: a stage begins where a shortcut changes the width."""
    total = count(shapes, r"body\.\d+\.res_layer\.1\.weight")
    wider = [i for i in range(1, total) if f"body.{i}.shortcut_layer.0.weight" in shapes]
    first = [0, *wider]
    return {
        "widths": [shapes[f"body.{i}.res_layer.1.weight"][0] for i in first],
        "units": [b - a for a, b in pairwise([*first, total])],
    }


ARCHITECTURES: dict[str, Callable[[Shapes], dict[str, Any]]] = {
    "stylegan2": stylegan2,
    "e4e": e4e,
    "hfgi": hfgi,
    "sfe": sfe,
    "arcface": arcface,
}
# The published architectures: the comparison where shapes give none.
PUBLIC: dict[str, dict[str, Any]] = {
    "stylegan2": {"resolution": 1024},
    "e4e": {"levels": 18},
    "hfgi": {},
    "sfe": {},
    "arcface": {},
}
