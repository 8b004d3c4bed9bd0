"""Which images two texts tell apart, and what separates their latent codes.

Most of a text difference lies where no image differs, so M's shift between two texts moves more
than was asked. But the difference need only be good enough to sort images: among sampled ones
its scores fall into two clusters, those that look like the target text and the rest, and the
distance between the mean codes of the two is "the distance of the average of different attribute
codes" that section 3.4 of the TMSA paper wants a shift to be. No label is used.

Where the clusters overlap, nobody knows of an image to which it belongs, only how likely. Averages
weighted by that mix the two and understate their distance, by half where a text sorts badly; so
the mean codes are those that explain all codes best, given how likely each image is of which.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

PENALTY = 0.014  # of the variance of all embeddings; keeps what only texts have out of the scores
STARTS = (0.5, 0.75, 0.9, 0.96)  # quantiles that the upper cluster is tried from
HALVES = (0.25, 0.5, 0.75)  # and, within a cluster, those of its own scores
ROUNDS = 40
LEAST_SHARE = 0.01
LEAST_VARIANCE = 1e-3
TWO_MODES = 2.0  # standard deviations that two Gaussians must lie apart to show as two peaks
EVIDENCE = 3.0  # logarithm of the odds, by Schwarz's criterion, that a cluster is two: 20 to 1
LEAST_PART = 0.1  # a smaller share of a cluster is its fringe, no way of its own
LEAST_IMAGES = 150  # the mean code of fewer is mostly noise
HALF = 0.5  # share that the clusters have in a shift where they and M agree but little
REACH = 1.28  # standard deviations that nine in ten of a Gaussian lie above, from its mean down


@dataclass(frozen=True)
class Split:
    """Weighted scores taken as two clusters: how likely each score is of the upper one, (N,).

    evidence: logarithm of the odds that they are two and not one, by Schwarz's criterion. distance:
    of the two means, in standard deviations. share: of the weight, in the upper one.
    """

    upper: Tensor
    evidence: float
    distance: float
    share: float

    @property
    def is_two(self) -> bool:
        """Whether two clusters explain the scores far better than one, and show as two peaks."""
        return self.evidence > EVIDENCE and self.distance > TWO_MODES


def cluster_step(embeddings: Tensor, codes: Tensor, difference: Tensor) -> Tensor:
    """The step that takes an image of the lower cluster into the upper one (C,).

    It goes beyond the difference of the two mean codes, by so much that nine in ten images end
    where the mean of the upper cluster is or beyond: those that fit least start ``REACH`` standard
    deviations below the mean of theirs. So it is longer where a text sorts badly. Arguments as of
    ``cluster_direction``.
    """
    step, split = _means_apart(embeddings, codes, difference)
    return step * (1 + REACH / max(split.distance, TWO_MODES))


def cluster_direction(embeddings: Tensor, codes: Tensor, difference: Tensor) -> Tensor:
    """Mean code of the images that a text difference ranks high, minus that of the others.

    embeddings (N,D) of images, codes (N,C) they were made from, difference t - t0 (D,) -> (C,)
    """
    return _means_apart(embeddings, codes, difference)[0]


def _means_apart(embeddings: Tensor, codes: Tensor, difference: Tensor) -> tuple[Tensor, Split]:
    """What lies between the mean codes of the two clusters (C,), and the split of the scores."""
    scores = discriminant(embeddings, difference)
    split = two_clusters(scores)
    best = dominant_mode(scores, split.upper)
    members = torch.stack([1 - split.upper, best, split.upper - best], dim=1)
    means = unmixed_means if split.is_two else weighted_means
    lower, upper, _ = means(members, codes)
    return upper - lower, split


def unmixed_means(members: Tensor, codes: Tensor) -> Tensor:
    """The codes (K,C) of K groups that explain the codes (N,C) of their likely members best.

    members (N,K), rows that sum to 1. Least squares of members @ means = codes, so that what one
    group holds of another is taken out of its mean; a group without members gets zeros.
    """
    gram = (members.T @ members).cpu().double()  # (K,K); not every device has the inverse
    inverse = torch.linalg.pinv(gram, hermitian=True)
    return inverse.to(members) @ (members.T @ codes)


def weighted_means(members: Tensor, codes: Tensor) -> Tensor:
    """The mean codes (K,C) of K groups, each code weighted by how likely it belongs there."""
    return members.T @ codes / members.sum(dim=0).clamp_min(1e-6)[:, None]


def discriminant(embeddings: Tensor, difference: Tensor) -> Tensor:
    """Fisher's discriminant of images (N,D) along a difference of class means (D,) -> (N,).

    The covariance is regularised by ``PENALTY``, since texts differ where images do not.
    """
    centred = embeddings - embeddings.mean(dim=0)
    covariance = centred.T @ centred / len(centred)
    covariance.diagonal().add_(PENALTY * covariance.trace())
    return centred @ torch.linalg.solve(covariance, difference)


def two_clusters(scores: Tensor) -> Split:
    """Scores (N,) as a mixture of two Gaussians of the same variance.

    The likelier of several runs of expectation maximisation.
    """
    x = _standardised(scores)
    return _split(x, STARTS, torch.ones_like(x))


def dominant_mode(scores: Tensor, members: Tensor) -> Tensor:
    """A cluster's members (N,) in [0, 1], or those of its upper part where it clearly is two.

    A text may be met in several ways, and the mean of two is neither: "smiling" is true with closed
    lips and with teeth, and half way between them is no mouth at all. So the way that fits better
    is taken.
    """
    x, count = _standardised(scores), float(members.sum())
    if int((members > 0.5).sum()) < LEAST_IMAGES:
        return members
    split = _split(x, HALVES, members)
    large = LEAST_PART < split.share < 1 - LEAST_PART and split.share * count > LEAST_IMAGES
    return members * split.upper if large and split.is_two else members


def _standardised(scores: Tensor) -> Tensor:
    return (scores - scores.mean()) / scores.std().clamp_min(1e-8)


def _split(x: Tensor, starts: Sequence[float], weight: Tensor) -> Split:
    """The likeliest of the mixtures found from several quantiles of the members of a cluster.

    x: standardised scores (N,). weight: how likely each is a member (N,).
    """
    inside = x[weight > 0.5]
    runs = [_fit(x, x >= inside.quantile(start), weight) for start in starts]
    return max(runs, key=lambda run: run.evidence)


def _fit(x: Tensor, start: Tensor, weight: Tensor) -> Split:
    """Two Gaussians of one variance, from a first upper cluster (N,); x and weight (N,)."""
    upper, total = start.to(x.dtype), weight.sum()
    for _ in range(ROUNDS):
        above, below = weight * upper, weight * (1 - upper)
        share = (above.sum() / total).clamp(LEAST_SHARE, 1 - LEAST_SHARE)
        high = above @ x / above.sum().clamp_min(1e-6)
        low = below @ x / below.sum().clamp_min(1e-6)
        spread = above * (x - high).square() + below * (x - low).square()
        variance = (spread.sum() / total).clamp_min(LEAST_VARIANCE)
        a = share.log() - (x - high).square() / (2 * variance)
        b = (1 - share).log() - (x - low).square() / (2 * variance)
        upper = torch.sigmoid(a - b)
    likelihood = weight @ (torch.logaddexp(a, b) - variance.log() / 2)
    evidence = float(likelihood) - _likelihood_of_one(x, weight) - math.log(float(total))
    distance = (high - low) / variance.sqrt()
    return Split(upper, evidence, float(distance), float(share))


def _likelihood_of_one(x: Tensor, weight: Tensor) -> float:
    """The logarithm of the likelihood of one Gaussian, but for a constant, as ``_fit`` has it."""
    total = weight.sum()
    variance = (weight @ (x - weight @ x / total).square() / total).clamp_min(LEAST_VARIANCE)
    return float(-total * (1 + variance.log()) / 2)


def refine(shift: Tensor, direction: Tensor) -> Tensor:
    """A shift (L,C) turned towards what separates two clusters (C,), as far as the two agree.

    With agreement a between the two, where the result points and how long it is are a parts of the
    clusters' and 1 - a parts of the shift's own: clusters that have nothing to do with what M says
    are not those that the texts meant. a is the cosine of the shift's mean row and the direction,
    raised to ``HALF`` at most where it is small, as M is then the worse of the two.
    """
    cosine = F.cosine_similarity(shift.mean(dim=0), direction, dim=0).clamp(0, 1)
    agreement = torch.maximum(cosine, cosine.sqrt().clamp(max=HALF))
    own = row_norm(shift)
    mixed = agreement * F.normalize(direction, dim=0) + (1 - agreement) * shift / own
    length = agreement * direction.norm() + (1 - agreement) * own
    return mixed * (length / row_norm(mixed))


def row_norm(shift: Tensor) -> Tensor:
    """The length of a shift (L,C): the root mean square norm of its rows, a scalar."""
    return shift.square().sum(dim=1).mean().sqrt().clamp_min(1e-8)
