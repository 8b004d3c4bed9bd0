"""The kinds of networks, and the class that each is built from.

A weights file and a manifest name a network by its kind. Classes are imported when they are first
built: most commands need few of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from tmsa_core.errors import BundleError, quoted

PUBLIC_CLIPS = {"clip_vit_b_32": "ViT-B-32-quickgelu"}  # kinds that open_clip builds and reads


def _stylegan2(**architecture: Any) -> nn.Module:
    from tmsa_core.networks.stylegan2 import Generator

    return Generator(**architecture)


def _e4e(**architecture: Any) -> nn.Module:
    from tmsa_core.networks.e4e import Encoder

    return Encoder(**architecture)


def _hfgi(**architecture: Any) -> nn.Module:
    from tmsa_core.networks.hfgi import HFGI

    return HFGI(**architecture)


def _arcface(**architecture: Any) -> nn.Module:
    from tmsa_core.networks.identity import IdentityNet

    return IdentityNet(**architecture)


def _mapper(**architecture: Any) -> nn.Module:
    from tmsa_core.networks.tmsa import Mapper

    return Mapper(**architecture)


def _clip(**architecture: Any) -> nn.Module:
    from tmsa_core.networks.clip import compact_clip

    return compact_clip(**architecture)


def _styleclip_mapper(**architecture: Any) -> nn.Module:
    from tmsa_core.networks.styleclip import LevelsMapper

    return LevelsMapper(**architecture)


def _attributes(**architecture: Any) -> nn.Module:
    from tmsa_core.networks.attributes import AttributeNet

    return AttributeNet(**architecture)


BUILDERS: dict[str, Callable[..., nn.Module]] = {
    "stylegan2": _stylegan2,
    "e4e": _e4e,
    "hfgi": _hfgi,
    "arcface": _arcface,
    "mapper": _mapper,
    "clip": _clip,
    "attributes": _attributes,
    "styleclip_mapper": _styleclip_mapper,
}


def build_network(kind: str, architecture: Mapping[str, Any]) -> nn.Module:
    """An untrained network of a kind; a BundleError lists the kinds there are."""
    if kind not in BUILDERS:
        raise BundleError(
            f"There is no network kind {quoted(kind)}; use one of {', '.join(BUILDERS)}."
        )
    return BUILDERS[kind](**architecture)
