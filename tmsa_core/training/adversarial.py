"""Sharpening: a discriminator of patches, and what it teaches the generator.

A pixel loss is content with the average of all places where a strand of hair may lie; a
discriminator is not. It looks at patches, which hold all the detail and cost a quarter of a whole
picture. Pictures come in pairs here, so that its features also say *which* detail is missing:
feature matching (Wang et al. 2018, pix2pixHD, eq. 4) beside StyleGAN2's logistic loss.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from tmsa_core.training.discriminator import Discriminator

PATCH = 64  # side in pixels
R1_EVERY, R1_WEIGHT = 16, 1.0
MATCHING = 4.0  # weight of the features beside the pixels, which weigh 1
FOOLING = 0.1  # weight of the logistic loss


def patch_discriminator() -> Discriminator:
    """An untrained discriminator of patches, narrow where a picture's channels are many."""
    return Discriminator(PATCH, channel_multiplier=0.1875, channel_max=64)


def same_patch(images: tuple[Tensor, ...], rng: torch.Generator) -> tuple[Tensor, ...]:
    """The same random patch of each batch: (B,3,R,R) each -> (B,3,PATCH,PATCH) each."""
    room = images[0].shape[-1] - PATCH + 1
    top, left = torch.randint(room, (2,), generator=rng).tolist()
    return tuple(x[..., top : top + PATCH, left : left + PATCH] for x in images)


def discriminator_step(
    critic: Discriminator,
    optimiser: torch.optim.Optimizer,
    made: Tensor,
    real: Tensor,
    penalise: bool,
) -> Tensor:
    """One update of the discriminator: logistic loss, lazily R1 on the renders. -> loss."""
    real = real.detach().requires_grad_(penalise)
    with torch.autocast(real.device.type, torch.bfloat16, enabled=not penalise):
        loss = F.softplus(critic(made.detach())).mean()
        judged = critic(real)
        loss = loss + F.softplus(-judged).mean()
    if penalise:
        (gradient,) = torch.autograd.grad(judged.sum(), real, create_graph=True)
        penalty = gradient.square().sum(dim=(1, 2, 3)).mean()
        loss = loss + R1_EVERY * R1_WEIGHT / 2 * penalty
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    return loss.detach()


def sharpening_loss(critic: Discriminator, made: Tensor, real: Tensor) -> Tensor:
    """What the generator is told: match the features of the render, and pass for one. -> scalar"""
    with torch.autocast(real.device.type, torch.bfloat16):
        with torch.no_grad():
            wanted = critic.features(real)
        found = critic.features(made)
        fooling = F.softplus(-critic.judged(found[-1])).mean()
    distances = [(a.float() - b.float()).abs().mean() for a, b in zip(found, wanted, strict=True)]
    return MATCHING * torch.stack(distances).mean() + FOOLING * fooling
