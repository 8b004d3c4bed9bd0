"""Refine a shift by the images that two texts separate (section 3.4 of the TMSA paper).

Most of the difference between two texts lies where images do not differ, so M's shift moves more
than was asked. But the difference is good enough to sort images: the scores of sampled images fall
into two clusters, those that look like the target text and the others. The distance between the
mean codes of both is "the distance of the average of different attribute codes" that the paper
wants a shift to be. No labels are used.

Where the clusters overlap, each image belongs to one only with a probability. Means weighted by
it mix the clusters and understate their distance, by half for texts that sort badly. So the means
are those that explain all codes best, given these probabilities.

Shapes: N images, D dimensions of CLIP's space, C of a code, L levels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

# PENALTY and HALF are this project's own values; how they were chosen is not recorded. REACH
# follows from the normal distribution. The others bound the fit and decide when it counts.
PENALTY = 0.014  # share of the total variance added to the covariance: damps what only texts have
STARTS = (0.5, 0.75, 0.9, 0.96)  # quantiles of all scores at which the upper cluster may start
HALVES = (0.25, 0.5, 0.75)  # the same within one cluster
ROUNDS = 40  # of expectation maximisation
LEAST_SHARE = 0.01  # of the weight, for each Gaussian
LEAST_VARIANCE = 1e-3  # of each Gaussian, for scores of variance 1
TWO_MODES = 2.0  # standard deviations between two Gaussians that show as two peaks
EVIDENCE = 3.0  # log odds, by Schwarz's criterion, for two clusters: 20 to 1
LEAST_PART = 0.1  # a smaller share of a cluster is its tail and not a mode
LEAST_IMAGES = 150  # the mean code of fewer images is mostly noise
HALF = 0.5  # weight of the clusters where they and M agree little
REACH = 1.28  # standard deviations below the mean that 90 % of a Gaussian lie above


@dataclass(frozen=True)
class Split:
    """Weighted scores explained by two Gaussians of one variance.

    Attributes:
        responsibility: Probability that each score belongs to the upper Gaussian, (N,).
        evidence: Log odds of two Gaussians against one, by Schwarz's criterion.
        distance: Between the two means, in standard deviations.
        share: Share of the weight in the upper Gaussian.
    """

    responsibility: Tensor
    evidence: float
    distance: float
    share: float

    @property
    def is_two(self) -> bool:
        """Whether two Gaussians explain the scores far better than one and show as two peaks."""
        return self.evidence > EVIDENCE and self.distance > TWO_MODES


def cluster_step(embeddings: Tensor, codes: Tensor, difference: Tensor) -> Tensor:
    """The step that moves images of the lower cluster into the upper one, (C,).

    It is longer than the difference of the mean codes, so that 90 % of the images reach the mean
    of the upper cluster: those that fit least start ``REACH`` standard deviations below the mean
    of theirs. So the step is longer for texts that sort badly. Takes the arguments of
    ``cluster_direction``.
    """
    step, split = _difference_of_means(embeddings, codes, difference)
    return step * (1 + REACH / max(split.distance, TWO_MODES))


def cluster_direction(embeddings: Tensor, codes: Tensor, difference: Tensor) -> Tensor:
    """Mean code of the images that a text difference ranks high, minus that of the others.

    Args:
        embeddings: Unit embeddings of images, (N,D).
        codes: The codes they were generated from, (N,C).
        difference: Target minus neutral text embedding, (D,).

    Returns:
        The direction, (C,).
    """
    return _difference_of_means(embeddings, codes, difference)[0]


def _difference_of_means(
    embeddings: Tensor, codes: Tensor, difference: Tensor
) -> tuple[Tensor, Split]:
    """The difference of the mean codes of the two clusters, (C,), and the split of the scores."""
    scores = discriminant(embeddings, difference)
    split = two_clusters(scores)
    upper = split.responsibility
    best = dominant_mode(scores, upper)
    members = torch.stack([1 - upper, best, upper - best], dim=1)  # (N,3)
    find_means = unmixed_means if split.is_two else weighted_means
    lower_mean, upper_mean, _ = find_means(members, codes)
    return upper_mean - lower_mean, split


def unmixed_means(members: Tensor, codes: Tensor) -> Tensor:
    """The mean codes of K groups that explain all codes best.

    Least squares of members @ means = codes, which takes out of each mean what the group holds of
    another. A group without members gets zeros.

    Args:
        members: Probability that each image belongs to each group, (N,K); rows sum to 1.
        codes: (N,C).

    Returns:
        The means, (K,C).
    """
    gram = (members.T @ members).cpu().double()  # (K,K); not every device can invert it
    inverse = torch.linalg.pinv(gram, hermitian=True)
    return inverse.to(members) @ (members.T @ codes)


def weighted_means(members: Tensor, codes: Tensor) -> Tensor:
    """The mean codes (K,C) of K groups, weighted by the probabilities ``members`` (N,K)."""
    return members.T @ codes / members.sum(dim=0).clamp_min(1e-6)[:, None]


def discriminant(embeddings: Tensor, difference: Tensor) -> Tensor:
    """Fisher's discriminant of images (N,D) for a difference of class means (D,): scores (N,).

    ``PENALTY`` regularises the covariance, because texts differ where images do not.
    """
    centred = embeddings - embeddings.mean(dim=0)
    covariance = centred.T @ centred / len(centred)
    covariance.diagonal().add_(PENALTY * covariance.trace())
    return centred @ torch.linalg.solve(covariance, difference)


def two_clusters(scores: Tensor) -> Split:
    """Explain scores (N,) by two Gaussians of one variance: the likeliest of several fits."""
    x = _standardised(scores)
    return _split(x, STARTS, torch.ones_like(x))


def dominant_mode(scores: Tensor, members: Tensor) -> Tensor:
    """Keep the better fitting mode of a cluster if the cluster clearly has two modes.

    Images may match a text in several ways, and the mean of two is neither: a person smiles with
    closed lips or with visible teeth, and half way between is no real mouth.

    Args:
        scores: Scores of all images, (N,).
        members: Probability that each image belongs to the cluster, (N,).

    Returns:
        The probabilities for the mode of the higher scores, or ``members``, (N,).
    """
    x, count = _standardised(scores), float(members.sum())
    if int((members > 0.5).sum()) < LEAST_IMAGES:
        return members
    split = _split(x, HALVES, members)
    large = LEAST_PART < split.share < 1 - LEAST_PART and split.share * count > LEAST_IMAGES
    return members * split.responsibility if large and split.is_two else members


def _standardised(scores: Tensor) -> Tensor:
    """Scores (N,) with mean 0 and variance 1."""
    return (scores - scores.mean()) / scores.std().clamp_min(1e-8)


def _split(x: Tensor, starts: Sequence[float], weight: Tensor) -> Split:
    """The likeliest fit of those that start at several quantiles of a cluster.

    Args:
        x: Standardised scores, (N,).
        starts: Quantiles of the cluster's scores.
        weight: Probability that each score belongs to the cluster, (N,).
    """
    inside = x[weight > 0.5]
    fits = [_fit(x, x >= inside.quantile(start), weight) for start in starts]
    return max(fits, key=lambda fit: fit.evidence)


def _fit(x: Tensor, start: Tensor, weight: Tensor) -> Split:
    """Fit two Gaussians of one variance by expectation maximisation.

    Args:
        x: Standardised scores, (N,).
        start: The first upper cluster, bool (N,).
        weight: Weight of each score, (N,).
    """
    responsibility, total = start.to(x.dtype), weight.sum()
    for _ in range(ROUNDS):
        # M-step: share, means and common variance, given the responsibilities.
        above, below = weight * responsibility, weight * (1 - responsibility)
        share = (above.sum() / total).clamp(LEAST_SHARE, 1 - LEAST_SHARE)
        high = above @ x / above.sum().clamp_min(1e-6)
        low = below @ x / below.sum().clamp_min(1e-6)
        spread = above * (x - high).square() + below * (x - low).square()
        variance = (spread.sum() / total).clamp_min(LEAST_VARIANCE)
        # E-step: responsibilities, given both Gaussians.
        log_high = share.log() - (x - high).square() / (2 * variance)
        log_low = (1 - share).log() - (x - low).square() / (2 * variance)
        responsibility = torch.sigmoid(log_high - log_low)
    # Evidence: two Gaussians have two parameters more than one, so Schwarz subtracts log(total).
    likelihood = weight @ (torch.logaddexp(log_high, log_low) - variance.log() / 2)
    evidence = float(likelihood) - _likelihood_of_one(x, weight) - math.log(float(total))
    distance = (high - low) / variance.sqrt()
    return Split(responsibility, evidence, float(distance), float(share))


def _likelihood_of_one(x: Tensor, weight: Tensor) -> float:
    """Log likelihood of one Gaussian for scores (N,), without the constant that ``_fit`` omits."""
    total = weight.sum()
    variance = (weight @ (x - weight @ x / total).square() / total).clamp_min(LEAST_VARIANCE)
    return float(-total * (1 + variance.log()) / 2)


def refine(shift: Tensor, direction: Tensor) -> Tensor:
    """Turn a shift towards the direction between two clusters, as far as both agree.

    The agreement is the cosine of the shift's mean row and the direction. Small cosines are raised
    (to their square root, at most ``HALF``), because M is then the worse of the two. Direction and
    length of the result are weighted by it: clusters unrelated to M's shift are not those that
    the texts meant.

    Args:
        shift: M's shift, (L,C).
        direction: What separates the clusters, (C,).

    Returns:
        The refined shift, (L,C).
    """
    cosine = F.cosine_similarity(shift.mean(dim=0), direction, dim=0).clamp(0, 1)
    agreement = torch.maximum(cosine, cosine.sqrt().clamp(max=HALF))
    own = row_norm(shift)
    mixed = agreement * F.normalize(direction, dim=0) + (1 - agreement) * shift / own
    length = agreement * direction.norm() + (1 - agreement) * own
    return mixed * (length / row_norm(mixed))


def row_norm(shift: Tensor) -> Tensor:
    """The length of a shift (L,C): root mean square of the norms of its rows, a scalar."""
    return shift.square().sum(dim=1).mean().sqrt().clamp_min(1e-8)
