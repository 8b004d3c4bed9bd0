"""The W code that a portrait's description is given when the renderer is distilled.

Each trait and each attribute option owns one direction of W; the directions are orthonormal, so
that attributes which are drawn independently stay independent in W. All parts weigh alike: a
trait and a whole attribute each carry variance 1 before scaling, and the sum is scaled to unit
variance per dimension, about what StyleGAN2's own mapping network puts out.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from tmsa_core.avatars.params import ATTRIBUTES, LATENT_DIMS, TRAITS, Portraits

W_DIM = 512
BASIS_SEED = 20261121


def basis() -> Tensor:
    """(LATENT_DIMS, 512) orthonormal rows: the direction of each trait and option."""
    generator = torch.Generator().manual_seed(BASIS_SEED)
    square = torch.randn(W_DIM, LATENT_DIMS, generator=generator, dtype=torch.float64)
    return torch.linalg.qr(square)[0].T.float()


def features(portraits: Portraits) -> Tensor:
    """(B, LATENT_DIMS): centred traits and one-hot options, each group of variance about 1."""
    parts = [torch.stack([portraits.traits[k] for k in TRAITS], dim=1) * math.sqrt(3.0)]
    for name, attribute in ATTRIBUTES.items():
        prior = torch.tensor(attribute.prior, device=portraits.device)
        one_hot = torch.nn.functional.one_hot(portraits.attributes[name], len(prior))
        parts.append((one_hot - prior) / (prior * (1 - prior)).sum().sqrt())
    return torch.cat(parts, dim=1)


def code_scale() -> float:
    """Factor that brings a code to unit variance per dimension of W."""
    return math.sqrt(W_DIM / (len(TRAITS) + len(ATTRIBUTES)))


def portrait_codes(portraits: Portraits) -> Tensor:
    """(B, 512) float32: the W code of each portrait."""
    return code_scale() * features(portraits) @ basis().to(portraits.device)


def read_code(w: Tensor) -> Tensor:
    """(..., 512) -> (..., LATENT_DIMS): the features that a W code spells, by projection."""
    return w @ basis().to(w.device).T / code_scale()
