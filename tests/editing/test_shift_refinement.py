"""The two clusters that texts tell apart, on worlds whose truth is known."""

import pytest
import torch
import torch.nn.functional as F

from tmsa_core.editing.shift import semantic_shift, shift_direction
from tmsa_core.editing.shift_refinement import (
    cluster_direction,
    cluster_step,
    discriminant,
    dominant_mode,
    refine,
    row_norm,
    two_clusters,
    unmixed_means,
    weighted_means,
)
from tmsa_core.networks.tmsa import Mapper


def world(share, count=2000, seed=0, gap=0.3):
    """Images of which a share has an attribute: embeddings, codes, who has it, true directions.

    Codes move by 6 along the last axis. Embeddings move by ``gap`` along axis 0, vary most along
    axis 1 for other reasons, and not at all along axis 2, where texts differ.
    """
    rng = torch.Generator().manual_seed(seed)
    has = torch.rand(count, generator=rng) < share
    codes = torch.randn(count, 24, generator=rng)
    codes[:, -1] += 6 * has
    embeddings = 0.05 * torch.randn(count, 16, generator=rng)
    embeddings[:, 0] += gap * has
    embeddings[:, 1] += torch.randn(count, generator=rng)
    embeddings[:, 2] = 0
    text = torch.zeros(16)
    text[:3] = torch.tensor([0.3, 0.1, 0.8])
    return embeddings, codes, has, text


@pytest.mark.parametrize("share", [0.06, 0.25, 0.5, 0.8])
def test_two_clusters_are_found_whatever_their_shares(share):
    rng = torch.Generator().manual_seed(1)
    has = torch.rand(3000, generator=rng) < share
    scores = torch.randn(3000, generator=rng) * 0.5 + 3.0 * has
    upper = two_clusters(scores).responsibility
    assert ((upper > 0.5) == has).float().mean() > 0.99
    assert upper.mean().item() == pytest.approx(share, abs=0.03)


@pytest.mark.parametrize("share", [0.3, 0.6])
def test_of_two_modes_the_better_one_is_kept(share):
    rng = torch.Generator().manual_seed(2)
    has = torch.rand(3000, generator=rng) < 0.5
    better = has & (torch.rand(3000, generator=rng) < share)
    scores = 0.2 * torch.randn(3000, generator=rng) + 2.0 * has + 0.7 * better
    way = dominant_mode(scores, two_clusters(scores).responsibility)
    assert ((way > 0.5) == better).float().mean() > 0.95


@pytest.mark.parametrize("count", [300, 3000])
def test_one_mode_or_few_images_are_not_split(count):
    rng = torch.Generator().manual_seed(3)
    has = torch.rand(count, generator=rng) < 0.3
    scores = 0.3 * torch.randn(count, generator=rng) + 2.0 * has
    members = two_clusters(scores).responsibility
    assert torch.equal(dominant_mode(scores, members), members)
    outliers = torch.where(torch.rand(count, generator=rng) < 0.02, 3.0, 0.0)
    members = two_clusters(scores + has * outliers).responsibility
    assert torch.equal(dominant_mode(scores + has * outliers, members), members)
    few = torch.arange(count) < 100
    members = few.float()
    assert torch.equal(dominant_mode(torch.randn(count, generator=rng), members), members)


def test_scores_of_one_value_do_not_break():
    members = two_clusters(torch.ones(200)).responsibility
    assert torch.isfinite(members).all()
    assert torch.isfinite(dominant_mode(torch.ones(200), members)).all()


def test_the_discriminant_ignores_unrelated_variance():
    embeddings, _, has, text = world(0.3)
    right = discriminant(embeddings, text)
    naive = embeddings @ text
    gaps = [float((s[has].mean() - s[~has].mean()) / s.std()) for s in (right, naive)]
    assert gaps[0] > 1.7 > 2 * gaps[1]


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_the_direction_is_the_difference_of_the_mean_codes(share):
    embeddings, codes, has, text = world(share)
    direction = cluster_direction(embeddings, codes, text)
    true = codes[has].mean(dim=0) - codes[~has].mean(dim=0)
    assert F.cosine_similarity(direction, true, dim=0) > 0.99
    assert direction.norm().item() == pytest.approx(true.norm().item(), rel=0.05)


@pytest.mark.parametrize(("share", "gap"), [(0.3, 0.15), (0.5, 0.125), (0.15, 0.15)])
def test_the_length_is_right_where_clusters_overlap(share, gap):
    embeddings, codes, _has, text = world(share, count=6000, gap=gap)
    text[0] = gap
    scores = discriminant(embeddings, text)
    split = two_clusters(scores)
    assert 2 < split.distance < 3.5
    members = torch.stack([1 - split.responsibility, split.responsibility], dim=1)
    low, high = weighted_means(members, codes)
    assert (high - low).norm() < 0.92 * 6
    direction = cluster_direction(embeddings, codes, text)
    assert direction.norm().item() == pytest.approx(6, rel=0.08)


@pytest.mark.parametrize("gap", [0.15, 0.3, 0.6])
def test_a_step_moves_nine_in_ten_to_the_upper_mean_or_beyond(gap):
    embeddings, codes, has, text = world(0.4, count=6000, gap=gap)
    text[0] = gap
    scores = discriminant(embeddings, text)
    step = cluster_step(embeddings, codes, text)
    crossed = step[-1] / 6 * (scores[has].mean() - scores[~has].mean())
    arrived = (scores[~has] + crossed > scores[has].mean()).float().mean()
    assert arrived.item() == pytest.approx(0.9, abs=0.04)


def test_unmixed_means_recover_the_means_that_made_the_codes():
    rng = torch.Generator().manual_seed(4)
    members = torch.rand(500, 3, generator=rng)
    members /= members.sum(dim=1, keepdim=True)
    means = torch.randn(3, 8, generator=rng)
    assert torch.allclose(unmixed_means(members, members @ means), means, atol=1e-4)
    two = torch.cat([members[:, :1], 1 - members[:, :1], torch.zeros(500, 1)], dim=1)
    found = unmixed_means(two, two @ means)
    assert torch.allclose(found[:2], means[:2], atol=1e-4)
    assert found[2].abs().max() < 1e-4


def test_a_single_cluster_gives_the_difference_of_weighted_means():
    rng = torch.Generator().manual_seed(5)
    embeddings, noise = torch.randn(1536, 8, generator=rng), torch.randn(1536, 6, generator=rng)
    text = torch.eye(8)[0]
    codes = noise + embeddings[:, :1]
    split = two_clusters(discriminant(embeddings, text))
    low, high = weighted_means(
        torch.stack([1 - split.responsibility, split.responsibility], dim=1), codes
    )
    direction = cluster_direction(embeddings, codes, text)
    assert torch.allclose(direction, high - low, atol=1e-4)


def test_refining_follows_a_direction_as_far_as_it_agrees():
    shift = torch.zeros(2, 4)
    shift[:, 0] = 2.0
    along, across = torch.tensor([5.0, 0, 0, 0]), torch.tensor([0, 5.0, 0, 0])
    assert torch.allclose(refine(shift, along), 2.5 * shift)
    assert torch.allclose(refine(shift, across), shift)
    assert torch.allclose(refine(shift, -along), shift)
    between = refine(shift, along + across)[0]
    assert between[0] > between[1] > 0


def test_with_little_agreement_the_clusters_have_half_the_weight():
    shift = torch.zeros(2, 4)
    shift[:, 0] = 5.0
    for cosine, share in ((0.8, 0.8), (0.3, 0.5), (0.04, 0.2)):  # the root below a quarter
        direction = 5 * torch.tensor([cosine, (1 - cosine**2) ** 0.5, 0, 0])
        mixed = share * direction + (1 - share) * shift[0]
        found = refine(shift, direction)[0]
        assert torch.allclose(found, 5 * mixed / mixed.norm(), atol=1e-4)


def test_a_mapper_with_references_turns_towards_the_clusters():
    embeddings, codes, _has, text = world(0.3)
    mapper = Mapper(2, (), clip_dim=16, w_dim=24)
    with torch.no_grad():
        mapper.linear.weight.zero_()
        mapper.linear.weight[:, 0, -1] = mapper.linear.weight[:, 2, 0] = 1.0  # half right
    neutral, target = torch.zeros(16), torch.zeros(16)
    neutral[5], target[5] = 1.0, 0.7
    target += text
    raw = shift_direction(mapper, neutral, target)
    mapper.set_references(embeddings, codes)
    refined = shift_direction(mapper, neutral, target)
    assert refined[0, -1] / row_norm(refined) > raw[0, -1] / row_norm(raw) + 0.2
    mapper.shift_length.fill_(1.0)  # shorter than the clusters are apart
    assert torch.allclose(semantic_shift(mapper, neutral, target), refined, atol=1e-3)
    mapper.shift_length.fill_(20.0)
    assert row_norm(semantic_shift(mapper, neutral, target)).item() == pytest.approx(20.0, rel=1e-4)
