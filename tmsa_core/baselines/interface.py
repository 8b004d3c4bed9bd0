"""The interface of the compared methods: their arguments, their result, and files they keep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tmsa_core.bundles import Bundle
from tmsa_core.networks.clip import Clip
from tmsa_core.networks.stylegan2 import Generator
from tmsa_core.networks.tmsa import Mapper
from tmsa_core.progress import Progress, no_progress
from tmsa_core.weights.network_files import load_tensors, read_metadata, save_tensors

FROZEN_ROLES = ("generator", "e4e", "clip", "identity")  # networks that parts belong to
BASELINES = "baselines"  # folder of a bundle for parts that take long to compute


@dataclass(frozen=True)
class Texts:
    """The description of an image and the one wanted: "human face", "smiling human face"."""

    neutral: str
    target: str


@dataclass(frozen=True)
class FrozenNetworks:
    """The frozen networks of a domain that methods may use: all but the attribute classifier.

    Attributes:
        domain: Key of the domain.
        generator: G.
        encoder: e4e.
        clip: CLIP.
        mapper: TMSA's mapper M.
        identity: The identity network; None if the domain does not show people.
        parts: Folder for what a method trains or measures once, for these weights only.
        mapper_seconds: Training time of the mapper, if known.
        device: Device of the networks.
        with_bundle: Folder of such parts that the bundle includes.
        progress: Called at every step of long work; an exception that it raises stops the work.
    """

    domain: str
    generator: Generator
    encoder: nn.Module
    clip: Clip
    mapper: Mapper
    identity: nn.Module | None
    parts: Path
    mapper_seconds: float | None = None
    device: str = "cpu"
    with_bundle: Path | None = None
    progress: Progress = no_progress


def open_networks(bundle: Bundle, parts: Path, device: str = "cpu") -> FrozenNetworks:
    """Load a bundle's networks.

    Args:
        bundle: The bundle.
        parts: Folder for what methods compute once. They use a folder below it, named after the
            weights; the bundle's folder ``baselines`` may have one of the same name.
        device: Device of the networks.

    Returns:
        The networks.
    """
    weights = bundle.fingerprint(FROZEN_ROLES)
    return FrozenNetworks(
        bundle.domain,
        bundle.load("generator", device),
        bundle.load("e4e", device),
        bundle.load("clip", device),
        bundle.load("mapper", device),
        bundle.load("identity", device) if "identity" in bundle.files else None,
        parts / weights,
        bundle.seconds("mapper"),
        device,
        bundle.folder / BASELINES / weights,
    )


@dataclass(frozen=True)
class Edit:
    """An edit of B codes, found once and applied at any strength. It has one of two shifts.

    Attributes:
        w_shift: Shift (B or 1,L,512) in W+.
        style_shift: Shift in the style space: (B or 1,channels) for each vector of
            ``Generator.to_styles``.
    """

    w_shift: Tensor | None = None
    style_shift: tuple[Tensor, ...] = ()

    def apply(self, generator: Generator, w_plus: Tensor, alpha: float) -> Tensor:
        """Edit w_plus (B,L,512) at strength ``alpha`` -> images (B,3,R,R) in [-1, 1]."""
        if self.w_shift is not None:
            w_plus = w_plus + alpha * self.w_shift
        styles = generator.to_styles(w_plus)
        if self.style_shift:
            pairs = zip(styles, self.style_shift, strict=True)
            styles = [style + alpha * shift for style, shift in pairs]
        return generator.synthesise_styles(styles).clamp(-1, 1)


def encoder_input(images: Tensor) -> Tensor:
    """Images (B,3,R,R) at the input size of e4e, at most 256 pixels."""
    return F.adaptive_avg_pool2d(images, min(images.shape[-1], 256))


def part_path(networks: FrozenNetworks, name: str) -> Path:
    """Path of a part: in the bundle if it is there, otherwise in this machine's folder."""
    file = f"{name}.safetensors"
    if networks.with_bundle is not None and (networks.with_bundle / file).exists():
        return networks.with_bundle / file
    return networks.parts / file


def save_part(
    networks: FrozenNetworks,
    name: str,
    tensors: Mapping[str, Tensor],
    seconds: float,
    **settings: Any,
) -> None:
    """Save tensors in half precision, with the seconds and the settings that they took."""
    origin = {"seconds": round(seconds, 2)} | settings
    save_tensors("baseline", tensors, part_path(networks, name), origin)


def load_part(networks: FrozenNetworks, name: str) -> dict[str, Tensor]:
    """Load the tensors of ``save_part``; raises BundleError if there are none."""
    return load_tensors("baseline", part_path(networks, name), networks.device)


def part_seconds(networks: FrozenNetworks, name: str) -> float:
    """The seconds that a part took."""
    return float(read_metadata(part_path(networks, name))["origin"]["seconds"])


def plain_text(clip: Clip, text: str) -> Tensor:
    """Unit embedding (D,) of one text, without templates."""
    with torch.no_grad():
        return clip.embed_texts([text])[0]
