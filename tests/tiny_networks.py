"""Tiny networks with random weights, shaped like those of the photo domains."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import torch

from tmsa_core.baselines import (
    FrozenNetworks,
    clip2stylegan,
    styleclip_global,
    styleclip_mapper,
    styleclip_optimise,
    tedigan,
)
from tmsa_core.domains import Domain, find_domain
from tmsa_core.networks.clip import compact_clip
from tmsa_core.networks.e4e import Encoder
from tmsa_core.networks.identity import IdentityNet
from tmsa_core.networks.stylegan2 import Generator
from tmsa_core.networks.tmsa import Mapper

RESOLUTION, LEVELS, W_DIM, CLIP_DIM = 64, 10, 32, 16
WORDS = ("face", "happy", "a", "of", "photo", "the")
SETTINGS = {  # method -> settings with as few steps as possible
    styleclip_mapper: styleclip_mapper.Settings(steps=2, batch=1),
    styleclip_global: styleclip_global.Settings(codes=32, pairs=2),
    clip2stylegan: clip2stylegan.Settings(samples=40, components=4),
    styleclip_optimise: styleclip_optimise.Settings(steps=3),
    tedigan: tedigan.Settings(steps=3),
}


@cache
def networks() -> tuple[torch.nn.Module, ...]:
    """Returns generator, encoder, CLIP, mapper and identity network, always the same."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        vision = {"layers": [1, 1, 1, 1], "width": 8, "head_width": 16, "image_size": 32}
        text = {"context_length": 12, "width": 16, "heads": 2, "layers": 1}
        widths, units = (8, 8, 8, 8), (1, 1, 1, 1)
        made = (
            Generator(RESOLUTION, w_dim=W_DIM, channel_max=4, mapping_layers=2),
            Encoder(LEVELS, W_DIM, RESOLUTION, widths, units, head_width=8, stem_stride=2),
            compact_clip(CLIP_DIM, vision, text, WORDS),
            Mapper(LEVELS, (8,), CLIP_DIM, W_DIM),
            IdentityNet(8, 64, (0, 64, 0, 64), 32, widths, units),
        )
    for network in made:
        network.eval().requires_grad_(False)
    return made


def tiny_networks(parts: Path) -> FrozenNetworks:
    """Returns tiny networks of the domain "car"; methods keep what they prepare in ``parts``."""
    return FrozenNetworks("car", *networks(), parts)


def few_calibration_texts() -> Domain:
    """Returns the avatar domain with two calibration texts, so that a calibration takes seconds."""
    domain = find_domain("avatar")
    return replace(domain, calibration_targets=domain.calibration_targets[:2])
