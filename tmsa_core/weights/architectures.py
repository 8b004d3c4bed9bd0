"""The kinds of networks, and the class that builds each.

Weights files and manifests name a network by its kind. A class is imported when it is first
built, because most commands need few of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from torch import nn

from tmsa_core.errors import BundleError, quoted

PUBLIC_CLIPS = {"clip_vit_b_32": "ViT-B-32-quickgelu"}  # kinds that open_clip builds and reads
BUILDERS = {  # kind -> "module:class or function"
    "stylegan2": "tmsa_core.networks.stylegan2:Generator",
    "e4e": "tmsa_core.networks.e4e:Encoder",
    "hfgi": "tmsa_core.networks.hfgi:HFGI",
    "sfe": "tmsa_core.networks.sfe:SFE",
    "arcface": "tmsa_core.networks.identity:IdentityNet",
    "mapper": "tmsa_core.networks.tmsa:Mapper",
    "clip": "tmsa_core.networks.clip:compact_clip",
    "attributes": "tmsa_core.networks.attributes:AttributeNet",
    "styleclip_mapper": "tmsa_core.networks.styleclip:LevelsMapper",
}


def build_network(kind: str, architecture: Mapping[str, Any]) -> nn.Module:
    """Build an untrained network.

    Args:
        kind: A key of ``BUILDERS``.
        architecture: Keyword arguments of the constructor.

    Returns:
        The network, with random weights.

    Raises:
        BundleError: If the kind is unknown.
    """
    if kind not in BUILDERS:
        raise BundleError(
            f"There is no network kind {quoted(kind)}; use one of {', '.join(BUILDERS)}."
        )
    module, _, name = BUILDERS[kind].partition(":")
    network: nn.Module = getattr(import_module(module), name)(**architecture)
    return network
