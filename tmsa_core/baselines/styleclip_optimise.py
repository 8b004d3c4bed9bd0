"""StyleCLIP's latent optimisation (Patashnik et al. 2021, section 4).

Each image is searched for on its own: w minimises

    1 - cos(E_I(G(w)), E_T(text)) + l2 |w - w_s|^2 + identity (1 - cos(R(G(w)), R(G(w_s)))).

CLIP sees the image through its own preprocessing; the authors' code leaves out CLIP's mean and
standard deviation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from tmsa_core.baselines.interface import Edit, FrozenNetworks, Texts, plain_text


@dataclass(frozen=True)
class Settings:
    """The authors' numbers. l2 weighs the *sum* of squared differences of a code.

    identity is 0 in their code and 0.005 in the paper where the person should stay (figure 3).
    """

    steps: int = 300
    rate: float = 0.1
    l2: float = 0.008
    identity: float = 0.005


SETTINGS: dict[str, Settings] = {}
"""Where a domain differs: nowhere so far."""


def rate_factor(t: float, ramp_up: float = 0.05, ramp_down: float = 0.25) -> float:
    """Factor of the learning rate at t in [0, 1): linear up at first, a cosine down at last."""
    down = min(1.0, (1 - t) / ramp_down)
    return (0.5 - 0.5 * math.cos(math.pi * down)) * min(1.0, t / ramp_up)


def find_edit(
    world: FrozenNetworks, w_plus: Tensor, texts: Texts, settings: Settings | None = None
) -> Edit:
    """Optimise every code by itself; the batch shares only the arithmetic."""
    settings = settings or SETTINGS.get(world.domain, Settings())
    target = plain_text(world.clip, texts.target)
    person = _identity(world, w_plus)
    w = w_plus.clone().requires_grad_()
    optimiser = torch.optim.Adam([w], lr=settings.rate)
    for step in range(settings.steps):
        world.tick(step, settings.steps)
        optimiser.param_groups[0]["lr"] = settings.rate * rate_factor(step / settings.steps)
        with torch.autocast(world.device, torch.bfloat16):
            images = world.generator.synthesise(w)
            seen = world.clip.embed_images(images)
            loss = (1 - seen @ target) + settings.l2 * (w - w_plus).square().sum(dim=(1, 2))
            if person is not None and world.identity is not None and settings.identity:
                now = world.identity(images)
                loss = loss + settings.identity * (1 - F.cosine_similarity(now, person))
        optimiser.zero_grad()
        loss.sum().backward()
        optimiser.step()
    return Edit(w_shift=(w - w_plus).detach())


@torch.no_grad()
def _identity(world: FrozenNetworks, w_plus: Tensor) -> Tensor | None:
    """Identity embeddings (B,E) of the unedited images, None where there is no such network."""
    if world.identity is None:
        return None
    return world.identity(world.generator.synthesise(w_plus))
