"""Which pictures two texts tell apart, and what separates their latent codes.

Most of a text difference lies where no picture differs, so M's shift between two texts moves more
than was asked. But the difference need only be good enough to sort pictures: among sampled ones
its scores fall into two clusters, those that look like the target text and the rest, and the
distance between the mean codes of the two is "the distance of the average of different attribute
codes" that section 3.4 of the TMSA paper wants a shift to be. No label is used.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

PENALTY = 0.014  # of the variance of all embeddings; keeps what only texts have out of the scores
STARTS = (0.5, 0.75, 0.9, 0.96)  # quantiles that the upper cluster is tried from
ROUNDS = 40
LEAST_SHARE = 0.01
LEAST_VARIANCE = 1e-3


def cluster_direction(embeddings: Tensor, codes: Tensor, difference: Tensor) -> Tensor:
    """Mean code of the pictures that a text difference ranks high, minus that of the others.

    embeddings (N,D) of pictures, codes (N,C) they were made from, difference t - t0 (D,) -> (C,)
    """
    upper = two_clusters(discriminant(embeddings, difference))
    lower = 1 - upper
    return upper @ codes / upper.sum() - lower @ codes / lower.sum()


def discriminant(embeddings: Tensor, difference: Tensor) -> Tensor:
    """Fisher's discriminant of pictures (N,D) along a difference of class means (D,) -> (N,).

    The covariance is regularised by ``PENALTY``, since texts differ where pictures do not.
    """
    centred = embeddings - embeddings.mean(dim=0)
    covariance = centred.T @ centred / len(centred)
    covariance.diagonal().add_(PENALTY * covariance.trace())
    return centred @ torch.linalg.solve(covariance, difference)


def two_clusters(scores: Tensor) -> Tensor:
    """How likely each score (N,) belongs to the upper of two clusters -> (N,) in [0, 1].

    The likelier of several runs of expectation maximisation for a mixture of two Gaussians of the
    same variance.
    """
    x = (scores - scores.mean()) / scores.std().clamp_min(1e-8)
    runs = [_fit(x, (x >= x.quantile(start)).to(x.dtype)) for start in STARTS]
    return max(runs, key=lambda run: run[0])[1]


def _fit(x: Tensor, upper: Tensor) -> tuple[float, Tensor]:
    """(log-likelihood, membership of the upper cluster), from a first membership (N,)."""
    for _ in range(ROUNDS):
        share = upper.mean().clamp(LEAST_SHARE, 1 - LEAST_SHARE)
        high = upper @ x / upper.sum().clamp_min(1e-6)
        low = (1 - upper) @ x / (1 - upper).sum().clamp_min(1e-6)
        spread = upper * (x - high).square() + (1 - upper) * (x - low).square()
        variance = spread.mean().clamp_min(LEAST_VARIANCE)
        a = share.log() - (x - high).square() / (2 * variance)
        b = (1 - share).log() - (x - low).square() / (2 * variance)
        upper = torch.sigmoid(a - b)
    likelihood = torch.logaddexp(a, b).mean() - variance.log() / 2
    return float(likelihood), upper


def refine(shift: Tensor, direction: Tensor) -> Tensor:
    """A shift (L,C) turned towards what separates two clusters (C,), as far as the two agree.

    With cosine a between the shift's mean row and the direction, where the result points and how
    long it is are a parts of the clusters' and 1 - a parts of the shift's own: clusters that have
    little to do with what M says are not those that the texts meant.
    """
    agreement = F.cosine_similarity(shift.mean(dim=0), direction, dim=0).clamp(0, 1)
    own = row_norm(shift)
    mixed = agreement * F.normalize(direction, dim=0) + (1 - agreement) * shift / own
    length = agreement * direction.norm() + (1 - agreement) * own
    return mixed * (length / row_norm(mixed))


def row_norm(shift: Tensor) -> Tensor:
    """The length of a shift (L,C): the root mean square norm of its rows, a scalar."""
    return shift.square().sum(dim=1).mean().sqrt().clamp_min(1e-8)
