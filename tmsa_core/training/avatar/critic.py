"""The critic that sharpens the generator in its last training phase.

A pixel loss is minimal for the average of all likely outlines, which is blurred; a critic tells
such an average from a render. It is a patch discriminator conditioned on the target image (Isola
et al. 2017, pix2pix, section 3.2.2), here averaged over 8 x 8 pixels, with spectral normalisation
and the hinge loss of Miyato et al. 2018 (equations 16 and 17). Its features also give the feature
matching loss of Wang et al. 2018 (pix2pixHD, equation 4).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from tmsa_core.networks.stylegan2 import SLOPE

PATCH = 64  # side in pixels of the patch that is judged: full detail in a quarter of the time
COARSE = 8  # side in pixels of the squares that the condition is averaged over
MATCHING = 0.3  # weight of feature matching; the pixel loss weighs 1
FOOLING = 0.05  # weight of the critic's verdict


class Critic(nn.Module):
    """Judges patches of about 26 pixels, given a coarse version of the target image."""

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
        """Images and their target renders, (B,3,H,W) each -> the output of every layer."""
        coarse = F.avg_pool2d(real, COARSE)
        coarse = F.interpolate(coarse, size=real.shape[-2:], mode="bilinear", align_corners=False)
        x, outputs = torch.cat([images, coarse], dim=1), []
        for layer in self.layers:
            x = F.leaky_relu(layer(x), SLOPE)
            outputs.append(x)
        return outputs

    def forward(self, images: Tensor, real: Tensor) -> Tensor:
        """Images and target renders (B,3,H,W) in [-1,1] -> realness of each patch (B,1,H/4,W/4)."""
        return self.judge(self.features(images, real)[-1])


def same_patch(images: tuple[Tensor, ...], rng: torch.Generator) -> tuple[Tensor, ...]:
    """Cut the same random patch from each batch: (B,3,R,R) each -> (B,3,PATCH,PATCH) each."""
    room = images[0].shape[-1] - PATCH + 1
    top, left = torch.randint(room, (2,), generator=rng).tolist()
    return tuple(x[..., top : top + PATCH, left : left + PATCH] for x in images)


def critic_step(
    critic: Critic, optimiser: torch.optim.Optimizer, made: Tensor, real: Tensor
) -> Tensor:
    """Update the critic once by the hinge loss (Miyato et al. 2018, equation 16).

    Args:
        critic: Updated in place.
        optimiser: Of the critic's weights.
        made: Generated images (B,3,H,W).
        real: Their target renders (B,3,H,W).

    Returns:
        The loss, a scalar; 2 for a critic that cannot tell them apart.
    """
    with torch.autocast(real.device.type, torch.bfloat16):
        false, true = critic(made.detach(), real), critic(real, real)
    loss = F.relu(1 + false.float()).mean() + F.relu(1 - true.float()).mean()
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    return loss.detach()


def sharpening_loss(critic: Critic, made: Tensor, real: Tensor) -> Tensor:
    """The generator's loss: feature matching and a high verdict, for (B,3,H,W) each -> scalar."""
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
