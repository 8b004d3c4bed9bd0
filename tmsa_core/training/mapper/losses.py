"""The four losses of space alignment, equations (1) to (4) of the TMSA paper.

    (1)  L_SA  = 1 - cos(E_I(I), E_I(G(M(E_I(I)))))            real images I
    (2)  L_IA  = sum_l |M(E_I(G(w)))_l - w|^2                   synthetic images G(w)
    (3)  L_IAI = 1 - cos(E_I(G(w)), E_I(G(M(E_I(G(w))))))      synthetic images G(w)
    (4)  L_Ada = sum_l |M(E_I(I))_l - e4e(I)_l|^2               real images I

E_I is CLIP's image encoder, G the generator, M the mapper and l a level of W+. Each loss is the
mean over a batch. Embeddings are (B,D), codes (B,L,512). Tensors whose shapes do not match raise
ValueError: broadcasting would give a meaningless number.
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
    """Equation (1), L_SA: embeddings (B,D) of real images and of their remade images -> scalar."""
    return cosine_distance(real, remade)


def in_domain(mapped: Tensor, sampled: Tensor) -> Tensor:
    """Equation (2), L_IA: mapped codes (B,L,512) and the sampled w (B,512) -> scalar."""
    _check(mapped, sampled, (*mapped.shape[:1], *mapped.shape[2:]), dimensions=3)
    return (mapped - sampled[:, None, :]).square().sum(dim=(1, 2)).mean()


def in_domain_image(synthetic: Tensor, remade: Tensor) -> Tensor:
    """Equation (3), L_IAI: as (1), for synthetic images."""
    return cosine_distance(synthetic, remade)


def adaption(mapped: Tensor, inverted: Tensor) -> Tensor:
    """Equation (4), L_Ada: mapped codes and e4e codes of real images, (B,L,512) each -> scalar."""
    _check(mapped, inverted, mapped.shape, dimensions=3)
    return (mapped - inverted).square().sum(dim=(1, 2)).mean()


def _check(first: Tensor, second: Tensor, wanted: Sequence[int], dimensions: int) -> None:
    if first.ndim != dimensions or not len(first) or second.shape != torch.Size(wanted):
        raise ValueError(f"shapes {tuple(first.shape)} and {tuple(second.shape)} do not match")
