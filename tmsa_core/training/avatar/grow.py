"""Doubles the resolution of a trained avatar bundle without changing what it draws.

StyleGAN2 adds the image of each resolution to the upsampled one below (Karras et al. 2020, section
4.1). A new block whose to-RGB weights are zero therefore adds nothing: the picture stays the old
one, upsampled, until the block is trained (``fine_block.py``). The two new rows of W+ are read by
that block alone; encoder and mapper give them what they give the last present row.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from tmsa_core.networks.e4e import Encoder
from tmsa_core.networks.stylegan2 import Generator
from tmsa_core.networks.tmsa import Mapper
from tmsa_core.training.avatar.generator import TEXTURE_STRENGTH, texture_maps

# Channels of the new block, as far as the formula gives fewer. Processors convolve 16 channels as
# fast as 12, which the committed generator would have at 256 pixels.
CHANNEL_MIN = 16
NEW_LEVELS = 2  # rows of W+ that each doubling adds
MODULATION = 0.1  # size of new modulation weights, as in ``new_generator``


def grown_architecture(architecture: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a ``Generator`` of twice the resolution."""
    doubled = {"resolution": 2 * architecture["resolution"], "channel_min": CHANNEL_MIN}
    return {**architecture, **doubled}


def grown_generator(old: Generator, architecture: Mapping[str, Any]) -> Generator:
    """A generator with one more block, which does not change the image yet.

    The noise maps of the new block hold the renderer's strands and skin marks. The initial weights
    come from PyTorch's global generator.

    Args:
        old: The trained generator.
        architecture: The arguments of the new one, from ``grown_architecture``.

    Returns:
        The new generator; its image is the old one, upsampled.
    """
    model = Generator(**architecture)
    for name, module in model.named_modules():
        if name.endswith("modulation"):
            module.weight.data.mul_(MODULATION)
    model.load_state_dict({**model.state_dict(), **old.state_dict()})
    model.latent_avg = old.latent_avg.clone()
    model.to_rgbs[-1].conv.weight.data.zero_()
    last = model.levels - 2  # number of the last noise map
    for number, texture in zip((last - 1, last), texture_maps(model.resolution)[1:], strict=True):
        model.noises.get_buffer(f"noise_{number}").copy_(texture)
        strength = model.convs[number - 1].noise.weight
        strength.requires_grad_(False).fill_(TEXTURE_STRENGTH)
    return model


def grown_levels(architecture: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a network with ``NEW_LEVELS`` more rows of W+."""
    return {**architecture, "levels": architecture["levels"] + NEW_LEVELS}


def grown_encoder(old: Encoder, architecture: Mapping[str, Any]) -> Encoder:
    """An encoder whose new rows are copies of the last row of ``old``.

    Args:
        old: The trained encoder.
        architecture: The arguments of the new one, from ``grown_levels``.
    """
    model = Encoder(**architecture)
    last = old.styles[-1].state_dict()
    copies = {
        f"styles.{row}.{key}": value
        for row in range(old.levels, model.levels)
        for key, value in last.items()
    }
    model.load_state_dict({**old.state_dict(), **copies})
    model.latent_avg = _repeat_last(old.latent_avg)
    return model


def grown_mapper(old: Mapper) -> Mapper:
    """A mapper whose new rows are copies of the last row of ``old``; the rest is the same."""
    model = Mapper(**grown_levels(old.architecture()))
    by_level = ("linear.", "layers.", "latent_avg")
    state = {
        key: _repeat_last(value) if key.startswith(by_level) else value
        for key, value in old.state_dict().items()
    }
    model.load_state_dict(state)
    return model


def _repeat_last(rows: Tensor) -> Tensor:
    """(L,...) -> (L + NEW_LEVELS,...): the last row once more for each new level."""
    return torch.cat([rows, *[rows[-1:]] * NEW_LEVELS])
