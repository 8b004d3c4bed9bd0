"""Whose images are edited: held-out drawn portraits, images of a folder, or samples."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from tmsa_core.avatars.params import Portraits
from tmsa_core.baselines import FrozenNetworks
from tmsa_core.baselines.interface import encoder_input
from tmsa_core.domains import find_domain
from tmsa_core.errors import RequestError
from tmsa_core.imaging.images import load_image, to_tensor

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
TEST, VALIDATION = 0, 2  # seeds of the two sets of portraits, which share nobody
BATCH = 16


@dataclass(frozen=True)
class Subjects:
    """N images (N,3,R,R), their codes (N,L,w_dim), and who was drawn, where anybody was."""

    images: Tensor
    codes: Tensor
    portraits: Portraits | None


@torch.inference_mode()
def find_subjects(
    world: FrozenNetworks, count: int, seed: int = TEST, folder: Path | None = None
) -> Subjects:
    """``count`` images and their e4e codes.

    folder: aligned crops to take instead of drawn portraits or samples. Raises RequestError if it
    holds too few.
    """
    portraits = None
    if folder is not None:
        images = _read_folder(world, folder, count)
    elif find_domain(world.domain).has_truth:
        images, portraits = _draw(world, count, seed)
    else:
        images = _sample(world, count, seed)
    images = images.to(world.device)
    codes = torch.cat([world.encoder(encoder_input(x)) for x in images.split(BATCH)])
    return Subjects(images, codes, portraits)


def _draw(world: FrozenNetworks, count: int, seed: int) -> tuple[Tensor, Portraits]:
    from tmsa_core.avatars.render import render
    from tmsa_core.training.avatar.renders import from_uint8, held_out_portraits, to_uint8

    portraits = held_out_portraits(count, seed)
    side = world.generator.resolution
    parts = [render(portraits[i], side).images for i in torch.arange(count).split(BATCH)]
    return from_uint8(to_uint8(torch.cat(parts))), portraits


def _sample(world: FrozenNetworks, count: int, seed: int) -> Tensor:
    z = torch.randn(count, world.generator.w_dim, generator=torch.Generator().manual_seed(seed))
    w = world.generator.map(z.to(world.device), 0.7)
    parts = [world.generator.synthesise(world.generator.broadcast(x)) for x in w.split(BATCH)]
    return torch.cat(parts).clamp(-1, 1)


def _read_folder(world: FrozenNetworks, folder: Path, count: int) -> Tensor:
    """The first ``count`` images of a folder, by name, (count,3,R,R) in [-1,1]."""
    if not folder.is_dir():
        raise RequestError(f"There is no folder {folder}: name one with aligned crops.")
    paths = sorted(p for p in folder.glob("*") if p.suffix.lower() in SUFFIXES)[:count]
    if len(paths) < count:
        raise RequestError(f"{folder} holds {len(paths)} images, not {count}: ask for fewer.")
    side = world.generator.resolution
    return torch.cat([to_tensor(load_image(path).resize((side, side))) for path in paths])
