"""What every method of the comparison is given, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
from tmsa_core.weights.network_files import load_tensors, read_metadata, save_tensors

FROZEN_ROLES = ("generator", "e4e", "clip", "identity")  # networks that parts belong to

BASELINES = "baselines"  # folder of a bundle: parts that are long in the making


@dataclass(frozen=True)
class Texts:
    """What an image shows and what it should show: "human face", "smiling human face"."""

    neutral: str
    target: str


Tick = Callable[[int, int], object]  # steps done, and of how many


def no_tick(done: int, steps: int) -> None:
    """For callers that show nothing."""


@dataclass(frozen=True)
class FrozenNetworks:
    """The frozen networks of a domain, as methods may use them.

    The classifier that scores edits is none of them. identity is None where a domain has no
    notion of a person. parts: folder for what a method trains or measures beforehand; it belongs
    to these very weights. with_bundle: the same, of what came with the bundle. tick: told of
    every step of work that takes long; what it raises ends that work.
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
    tick: Tick = no_tick


def open_networks(bundle: Bundle, parts: Path, device: str = "cpu") -> FrozenNetworks:
    """Load a bundle's networks; parts go into a folder of ``parts`` named after the weights.

    Those that lie in the bundle's own ``baselines`` folder, under the same name, need not be made.
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
    """An edit of B codes, found once and applied at any strength.

    w_shift: (B or 1,L,w_dim), a step in W+. style_shift: a step in the style space, one (B or
    1,channels) for each vector of ``Generator.to_styles``. A method fills in one of the two.
    """

    w_shift: Tensor | None = None
    style_shift: tuple[Tensor, ...] = ()

    def apply(self, generator: Generator, w_plus: Tensor, alpha: float) -> Tensor:
        """w_plus (B,L,w_dim) -> (B,3,R,R) in [-1,1]: the images of the edit at ``alpha``."""
        if self.w_shift is not None:
            w_plus = w_plus + alpha * self.w_shift
        styles = generator.to_styles(w_plus)
        if self.style_shift:
            steps = zip(styles, self.style_shift, strict=True)
            styles = [style + alpha * step for style, step in steps]
        return generator.synthesise_styles(styles).clamp(-1, 1)


def encoder_input(images: Tensor) -> Tensor:
    """Images (B,3,R,R) at the size that e4e looks at: at most 256 pixels."""
    return F.adaptive_avg_pool2d(images, min(images.shape[-1], 256))


def part_path(world: FrozenNetworks, name: str) -> Path:
    """Where a part of this name lies: with the bundle, or where this machine made it, or would."""
    file = f"{name}.safetensors"
    if world.with_bundle is not None and (world.with_bundle / file).exists():
        return world.with_bundle / file
    return world.parts / file


def save_part(
    world: FrozenNetworks, name: str, tensors: Mapping[str, Tensor], seconds: float, **settings: Any
) -> None:
    """Keep tensors, in half precision, with what they cost."""
    origin = {"seconds": round(seconds, 2)} | settings
    save_tensors("baseline", tensors, part_path(world, name), origin)


def load_part(world: FrozenNetworks, name: str) -> dict[str, Tensor]:
    """Tensors that ``save_part`` kept; BundleError if there are none."""
    return load_tensors("baseline", part_path(world, name), world.device)


def part_seconds(world: FrozenNetworks, name: str) -> float:
    """What a part cost."""
    return float(read_metadata(part_path(world, name))["origin"]["seconds"])


def plain_text(clip: Clip, text: str) -> Tensor:
    """(clip_dim,) unit embedding of one text as it stands, in no template."""
    with torch.no_grad():
        return clip.embed_texts([text])[0]
