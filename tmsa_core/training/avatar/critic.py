"""Sharpening: a critic of small places, and what it teaches the generator.

A pixel loss is content with the average of all places where an outline may lie; a critic is not.
Images come in pairs here, so that it also sees what is there at a coarse glance, and says of
every place whether its detail is real (Isola et al. 2017, pix2pix, with the hinge loss of Miyato
et al. 2018). Its features say *which* detail is missing: feature matching (Wang et al. 2018,
pix2pixHD, eq. 4).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from tmsa_core.networks.stylegan2 import SLOPE

PATCH = 64  # side in pixels of what is judged: all the detail, for a quarter of the time
COARSE = 8  # pixels that the coarse glance averages, each way
MATCHING = 0.3  # weight of the features beside the pixels, which weigh 1
FOOLING = 0.05  # weight of the critic's verdict


class Critic(nn.Module):
    """Judges every place of an image, some 26 pixels wide, beside a coarse glance at the truth."""

    def __init__(self, width: int = 48) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            spectral_norm(layer)
            for layer in (
                nn.Conv2d(6, width, 4, stride=2, padding=1),
                nn.Conv2d(width, 2 * width, 4, stride=2, padding=1),
                nn.Conv2d(2 * width, 2 * width, 3, padding=1),
            )
        )
        self.judge = spectral_norm(nn.Conv2d(2 * width, 1, 3, padding=1))

    def features(self, images: Tensor, real: Tensor) -> list[Tensor]:
        """images and the renders they should be, (B,3,H,W) each -> every layer's output."""
        preview = F.avg_pool2d(real, COARSE)
        preview = F.interpolate(preview, size=real.shape[-2:], mode="bilinear", align_corners=False)
        x, outputs = torch.cat([images, preview], dim=1), []
        for layer in self.layers:
            x = F.leaky_relu(layer(x), SLOPE)
            outputs.append(x)
        return outputs

    def forward(self, images: Tensor, real: Tensor) -> Tensor:
        """images and renders (B,3,H,W) in [-1,1] -> realness of every place (B,1,H/4,W/4)."""
        return self.judge(self.features(images, real)[-1])


def same_patch(images: tuple[Tensor, ...], rng: torch.Generator) -> tuple[Tensor, ...]:
    """The same random patch of each batch: (B,3,R,R) each -> (B,3,PATCH,PATCH) each."""
    room = images[0].shape[-1] - PATCH + 1
    top, left = torch.randint(room, (2,), generator=rng).tolist()
    return tuple(x[..., top : top + PATCH, left : left + PATCH] for x in images)


def critic_step(
    critic: Critic, optimiser: torch.optim.Optimizer, made: Tensor, real: Tensor
) -> Tensor:
    """One update of the critic by the hinge loss. -> loss, 2 for one that tells nothing apart."""
    with torch.autocast(real.device.type, torch.bfloat16):
        false, true = critic(made.detach(), real), critic(real, real)
    loss = F.relu(1 + false.float()).mean() + F.relu(1 - true.float()).mean()
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    return loss.detach()


def sharpening_loss(critic: Critic, made: Tensor, real: Tensor) -> Tensor:
    """What the generator is told: match the features of the render, and pass for one. -> scalar"""
    with torch.autocast(real.device.type, torch.bfloat16):
        with torch.no_grad():
            wanted = critic.features(real, real)
        found = critic.features(made, real)
        verdict = critic.judge(found[-1]).float().mean()
    distances = [
        (a.float() - b.float()).abs().mean() / b.float().abs().mean()
        for a, b in zip(found, wanted, strict=True)
    ]
    return MATCHING * torch.stack(distances).mean() - FOOLING * verdict
