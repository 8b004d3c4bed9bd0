"""StyleCLIP's latent optimisation.

Paper: Patashnik et al. 2021, "StyleCLIP: Text-Driven Manipulation of StyleGAN Imagery", section 4.
For each image the method optimises the code w, from the inversion w_s on (equation 1):

    1 - cos(E_I(G(w)), E_T(text)) + l2 |w - w_s|^2 + identity (1 - cos(R(G(w)), R(G(w_s))))

Reference implementation: orpatashnik/StyleCLIP, optimization/run_optimization.py. Differences:

- CLIP reads the image with its own preprocessing; theirs omits CLIP's mean and deviation.
- The identity loss has the paper's weight 0.005 (figure 3); theirs is 0 by default.
- R is the identity network of the bundle; if there is none, the identity loss is left out.
- The networks run in bfloat16, and several images are optimised in a batch, independently.
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
    """The authors' settings.

    Attributes:
        steps: Steps of Adam.
        rate: Learning rate between the ramps.
        l2: Weight of the sum of squared differences of the code.
        identity: Weight of the identity loss.
    """

    steps: int = 300
    rate: float = 0.1
    l2: float = 0.008
    identity: float = 0.005


SETTINGS: dict[str, Settings] = {}  # domains with other settings: none


def rate_factor(t: float, ramp_up: float = 0.05, ramp_down: float = 0.25) -> float:
    """Factor of the learning rate at time t in [0, 1): a linear ramp up, later a cosine down."""
    down = min(1.0, (1 - t) / ramp_down)
    return (0.5 - 0.5 * math.cos(math.pi * down)) * min(1.0, t / ramp_up)


def find_edit(
    networks: FrozenNetworks, w_plus: Tensor, texts: Texts, settings: Settings | None = None
) -> Edit:
    """Optimise each of the codes w_plus (B,L,512) independently."""
    settings = settings or SETTINGS.get(networks.domain, Settings())
    target = plain_text(networks.clip, texts.target)
    person = _identity(networks, w_plus)
    w = w_plus.clone().requires_grad_()
    optimiser = torch.optim.Adam([w], lr=settings.rate)
    for step in range(settings.steps):
        networks.progress(step, settings.steps, "optimising the code")
        optimiser.param_groups[0]["lr"] = settings.rate * rate_factor(step / settings.steps)
        with torch.autocast(networks.device, torch.bfloat16):
            images = networks.generator.synthesise(w)
            seen = networks.clip.embed_images(images)
            loss = (1 - seen @ target) + settings.l2 * (w - w_plus).square().sum(dim=(1, 2))
            if person is not None and networks.identity is not None and settings.identity:
                now = networks.identity(images)
                loss = loss + settings.identity * (1 - F.cosine_similarity(now, person))
        optimiser.zero_grad()
        loss.sum().backward()
        optimiser.step()
    return Edit(w_shift=(w - w_plus).detach())


@torch.no_grad()
def _identity(networks: FrozenNetworks, w_plus: Tensor) -> Tensor | None:
    """Identity embeddings (B,512) of the images of w_plus (B,L,512); None without a network."""
    if networks.identity is None:
        return None
    return networks.identity(networks.generator.synthesise(w_plus))
