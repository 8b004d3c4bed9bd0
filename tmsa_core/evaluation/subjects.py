"""The images that are edited: held-out drawn portraits, images of a folder, or random samples."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from tmsa_core.avatars.params import Portraits
from tmsa_core.avatars.render import render
from tmsa_core.baselines import FrozenNetworks
from tmsa_core.baselines.interface import encoder_input
from tmsa_core.domains import find_domain
from tmsa_core.errors import RequestError
from tmsa_core.imaging.images import load_image, to_tensor
from tmsa_core.imaging.metadata import SUFFIXES
from tmsa_core.networks.stylegan2 import Generator
from tmsa_core.training.avatar.renders import from_uint8, held_out_portraits, to_uint8

TEST, VALIDATION = 0, 2  # seeds of two sets of portraits without a common person
BATCH = 16


@dataclass(frozen=True)
class Subjects:
    """N images and their inversions.

    Attributes:
        images: (N,3,R,R) in [-1,1].
        codes: (N,L,w_dim), the w_plus of e4e.
        portraits: The true attributes and traits; None for images that were not drawn.
    """

    images: Tensor
    codes: Tensor
    portraits: Portraits | None


def draw_subjects(
    encoder: nn.Module, count: int, resolution: int, seed: int = TEST, device: str = "cpu"
) -> Subjects:
    """Renders ``count`` held-out portraits, rounded to 8 bits like an image file, and inverts them.

    Args:
        encoder: e4e.
        count: Number of portraits.
        resolution: Side of the images in pixels.
        seed: Which set of portraits.
        device: Device of the images and of the encoder.
    """
    portraits = held_out_portraits(count, seed)
    images = from_uint8(to_uint8(render_portraits(portraits, resolution)))
    return _invert(encoder, images.to(device), portraits)


def find_subjects(
    networks: FrozenNetworks, count: int, seed: int = TEST, folder: Path | None = None
) -> Subjects:
    """Returns the first ``count`` images of a domain, or of a folder, with their inversions.

    Args:
        networks: The networks of the domain.
        count: Number of images.
        seed: Which set of drawn portraits or random samples.
        folder: Aligned crops to use instead, in the order of their names.

    Raises:
        RequestError: The folder does not exist or has too few images.
    """
    side, device = networks.generator.resolution, networks.device
    if folder is not None:
        return _invert(networks.encoder, _read_folder(folder, count, side).to(device))
    if find_domain(networks.domain).has_truth:
        return draw_subjects(networks.encoder, count, side, seed, device)
    generator, rng = networks.generator, torch.Generator().manual_seed(seed)
    z = torch.randn(count, generator.w_dim, generator=rng).to(device)
    with torch.inference_mode():
        images = synthesise(generator, generator.broadcast(generator.map(z, 0.7)))
    return _invert(networks.encoder, images)


@torch.inference_mode()
def _invert(encoder: nn.Module, images: Tensor, portraits: Portraits | None = None) -> Subjects:
    codes = torch.cat([encoder(encoder_input(x)) for x in images.split(BATCH)])
    return Subjects(images, codes, portraits)


def _read_folder(folder: Path, count: int, side: int) -> Tensor:
    """Returns the first ``count`` images of a folder, by name, (count,3,side,side) in [-1,1]."""
    if not folder.is_dir():
        raise RequestError(f"There is no folder {folder}: name one with aligned crops.")
    paths = sorted(p for p in folder.glob("*") if p.suffix.lower() in SUFFIXES)[:count]
    if len(paths) < count:
        raise RequestError(f"{folder} has {len(paths)} images, not {count}: ask for fewer.")
    return torch.cat([to_tensor(load_image(path).resize((side, side))) for path in paths])


def render_portraits(portraits: Portraits, resolution: int) -> Tensor:
    """Renders N portraits in batches at R pixels, (N,3,R,R) in [-1,1]."""
    parts = torch.arange(len(portraits)).split(BATCH)
    return torch.cat([render(portraits[part], resolution).images for part in parts])


@torch.inference_mode()
def synthesise(generator: Generator, codes: Tensor) -> Tensor:
    """Generates images in batches: w_plus (N,L,w_dim) -> (N,3,R,R), clamped to [-1,1]."""
    return torch.cat([generator.synthesise(w).clamp(-1, 1) for w in codes.split(BATCH)])
