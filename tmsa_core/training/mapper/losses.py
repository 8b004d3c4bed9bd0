"""The four losses of space alignment, equations (1) to (4) of the TMSA paper.

Each is a function from tensors to a scalar, the mean over the batch. Embeddings are (B,D), codes
(B,L,512). All raise ValueError for shapes that do not belong together: broadcast against each
other they would give a number that means nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def cosine_distance(a: Tensor, b: Tensor) -> Tensor:
    """1 - cos(a, b), averaged over the batch: (B,D), (B,D) -> scalar in [0, 2]."""
    _check(a, b, a.shape, dimensions=2)
    return (1 - F.cosine_similarity(a, b, dim=1)).mean()


def space_alignment(real: Tensor, remade: Tensor) -> Tensor:
    """Equation (1), L_SA: E_I of real images against E_I of G(M(E_I(I))). -> scalar"""
    return cosine_distance(real, remade)


def in_domain(mapped: Tensor, sampled: Tensor) -> Tensor:
    """Equation (2), L_IA: M's codes of synthetic images against the w they were made from.

    mapped (B,L,512), sampled (B,512), the same w for every row -> scalar: squared distances
    summed over the rows.
    """
    _check(mapped, sampled, (*mapped.shape[:1], *mapped.shape[2:]), dimensions=3)
    return (mapped - sampled[:, None, :]).square().sum(dim=(1, 2)).mean()


def in_domain_image(synthetic: Tensor, remade: Tensor) -> Tensor:
    """Equation (3), L_IAI: E_I of synthetic images against E_I of G(w*). -> scalar"""
    return cosine_distance(synthetic, remade)


def adaption(mapped: Tensor, inverted: Tensor) -> Tensor:
    """Equation (4), L_Ada: M's codes of real images against their e4e codes, row by row.

    mapped, inverted (B,L,512) -> scalar: squared distances summed over the rows.
    """
    _check(mapped, inverted, mapped.shape, dimensions=3)
    return (mapped - inverted).square().sum(dim=(1, 2)).mean()


def _check(first: Tensor, second: Tensor, wanted: Sequence[int], dimensions: int) -> None:
    if first.ndim != dimensions or not len(first) or second.shape != torch.Size(wanted):
        raise ValueError(f"shapes {tuple(first.shape)} and {tuple(second.shape)} do not fit")
