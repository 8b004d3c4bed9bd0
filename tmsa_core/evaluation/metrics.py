"""Metrics as pure functions of tensors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


class Interval(NamedTuple):
    """A mean and its confidence interval."""

    mean: float
    low: float
    high: float


def frechet_distance(a: Tensor, b: Tensor) -> float:
    """Returns the Frechet distance of two sets of features, (N,D) and (M,D), as Gaussians.

    |mean_a - mean_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2)), as in Heusel et al. 2017, but for any
    features. It is zero for equal sets.
    """
    a, b = a.double(), b.double()
    cov_a, cov_b = torch.cov(a.T), torch.cov(b.T)
    # tr((C_a C_b)^(1/2)) through the symmetric form C_a^(1/2) C_b C_a^(1/2)
    values, vectors = torch.linalg.eigh(cov_a)
    root = vectors * values.clamp_min(0).sqrt() @ vectors.T
    cross = torch.linalg.eigvalsh(root @ cov_b @ root).clamp_min(0).sqrt().sum()
    mean = (a.mean(dim=0) - b.mean(dim=0)).square().sum()
    return float(mean + cov_a.trace() + cov_b.trace() - 2 * cross)


def cosine(a: Tensor, b: Tensor) -> float:
    """Returns the mean cosine of matching rows of (N,D) and (N,D)."""
    return float(F.cosine_similarity(a, b, dim=1).mean())


def agreement(predicted: Tensor, truth: Tensor, where: Tensor) -> float:
    """Returns the share of equal entries of two index tensors (N,) where a mask is true."""
    count = int(where.sum())
    return float((predicted == truth)[where].float().mean()) if count else math.nan


def ssim(a: Tensor, b: Tensor) -> Tensor:
    """Returns the structural similarity (B,) (Wang et al. 2004) of images (B,3,H,W) in [-1,1].

    Gaussian windows of 11 pixels and standard deviation 1.5, averaged over pixels and channels.
    """
    offsets = torch.arange(11, device=a.device) - 5.0
    taps = torch.exp(-offsets.square() / (2 * 1.5**2))
    taps = taps / taps.sum()

    def blur(x: Tensor) -> Tensor:
        kernel = taps.expand(x.shape[1], 1, 1, -1)
        x = F.conv2d(x, kernel, groups=x.shape[1])
        return F.conv2d(x, kernel.transpose(2, 3), groups=x.shape[1])

    a, b = (a + 1) / 2, (b + 1) / 2  # SSIM is defined for values from 0
    mean_a, mean_b = blur(a), blur(b)
    var_a, var_b = blur(a * a) - mean_a.square(), blur(b * b) - mean_b.square()
    both = blur(a * b) - mean_a * mean_b
    c1, c2 = 0.01**2, 0.03**2
    top = (2 * mean_a * mean_b + c1) * (2 * both + c2)
    return (top / ((mean_a.square() + mean_b.square() + c1) * (var_a + var_b + c2))).mean((1, 2, 3))


def bootstrap(
    values: Sequence[float],
    groups: Sequence[int] | None = None,
    level: float = 0.95,
    resamples: int = 2000,
) -> Interval:
    """Returns a mean and its percentile bootstrap interval (Efron 1979), with a fixed seed.

    Args:
        values: The sample; the result is NaN if it is empty.
        groups: The group of each value. Whole groups are resampled, because several edits of one
            portrait contain less information than edits of different portraits.
        level: The confidence.
        resamples: The number of resamples.
    """
    if not len(values):
        return Interval(math.nan, math.nan, math.nan)
    x = np.asarray(values, dtype=float)
    of = np.arange(len(x)) if groups is None else np.unique(groups, return_inverse=True)[1]
    sums, sizes = np.bincount(of, weights=x), np.bincount(of)
    drawn = np.random.default_rng(0).integers(len(sums), size=(resamples, len(sums)))
    means = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(x.mean()), float(low), float(high))
