"""The W code that each portrait is assigned when the renderer is distilled into the generator.

Each trait and each attribute option has one direction in W. The directions are orthonormal, so that
attributes that are sampled independently stay independent in W. Each trait and each attribute has
variance 1 before scaling, and their sum is scaled to unit variance per dimension, about that of
StyleGAN2's own mapping network.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from tmsa_core.avatars.params import ATTRIBUTES, LATENT_DIMS, TRAITS, Portraits

W_DIM = 512
BASIS_SEED = 20261121


def basis() -> Tensor:
    """Orthonormal rows (LATENT_DIMS,512): the direction of each trait and option."""
    generator = torch.Generator().manual_seed(BASIS_SEED)
    square = torch.randn(W_DIM, LATENT_DIMS, generator=generator, dtype=torch.float64)
    return torch.linalg.qr(square)[0].T.float()


def features(portraits: Portraits) -> Tensor:
    """Centred traits and one-hot options (B,LATENT_DIMS), each group of variance about 1."""
    parts = [torch.stack([portraits.traits[k] for k in TRAITS], dim=1) * math.sqrt(3.0)]
    for name, attribute in ATTRIBUTES.items():
        prior = torch.tensor(attribute.prior, device=portraits.device)
        one_hot = F.one_hot(portraits.attributes[name], len(prior))
        parts.append((one_hot - prior) / (prior * (1 - prior)).sum().sqrt())
    return torch.cat(parts, dim=1)


def code_scale() -> float:
    """Factor that scales a code to unit variance per dimension of W."""
    return math.sqrt(W_DIM / (len(TRAITS) + len(ATTRIBUTES)))


def portrait_codes(portraits: Portraits) -> Tensor:
    """The W code (B,512) of each portrait, float32."""
    return code_scale() * features(portraits) @ basis().to(portraits.device)


def read_code(w: Tensor) -> Tensor:
    """Project W codes (...,512) onto the basis -> features (...,LATENT_DIMS)."""
    return w @ basis().to(w.device).T / code_scale()
