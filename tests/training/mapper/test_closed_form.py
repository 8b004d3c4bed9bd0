"""The closed-form alignment, on problems with known solutions."""

import pytest
import torch
import torch.nn.functional as F

from tmsa_core.training.mapper.bank import Bank
from tmsa_core.training.mapper.closed_form import closed_form, ridge


def bank_of(embeddings, w, levels=2, real=True):
    codes = w[:, None].expand(-1, levels, -1).clone()
    count = len(w) if real else 0
    return Bank(embeddings, w, embeddings[:count], codes[:count])


def test_ridge_recovers_a_linear_map_and_shrinks_with_its_penalty():
    x = torch.randn(500, 8, generator=torch.Generator().manual_seed(0))
    x, true = x - x.mean(dim=0), torch.randn(8, 3)
    assert torch.allclose(ridge(x, x @ true, 0.0), true, atol=1e-3)
    assert ridge(x, x @ true, 1.0).norm() < 0.7 * true.norm()


def test_a_closed_form_starts_at_the_mean_code_with_centred_inputs():
    torch.manual_seed(0)
    embeddings = F.normalize(torch.randn(64, 512) + 2, dim=1)
    w = torch.randn(64, 512) + 3
    mapper = closed_form(bank_of(embeddings, w), noise=1.2, hidden=(16,))
    assert torch.allclose(mapper.latent_avg[1], w.mean(dim=0), atol=1e-5)
    centred = (embeddings - mapper.clip_mean) / mapper.clip_spread
    assert centred.mean(dim=0).abs().max() < 1e-4
    assert centred.square().mean().item() == pytest.approx(1.0, rel=1e-3)
    mean = mapper.from_point(mapper.clip_mean[None])
    assert torch.allclose(mean[0], mapper.latent_avg, atol=1e-5)


@pytest.mark.parametrize("real", [True, False])
def test_a_closed_form_inverts_a_linear_map_with_and_without_real_images(real):
    torch.manual_seed(0)
    codes = torch.randn(300, 512)
    embeddings = F.normalize(codes @ torch.randn(512, 512) / 300 + 0.1, dim=1)
    mapper = closed_form(bank_of(embeddings, codes, real=real), noise=0.01)
    assert F.cosine_similarity(mapper(embeddings)[:, 1], codes, dim=1).mean() > 0.95


def test_the_penalty_equals_the_noise():
    rng = torch.Generator().manual_seed(0)
    x, noise = torch.randn(400, 16, generator=rng), 0.8
    y = x @ torch.randn(16, 4, generator=rng)
    noisy = x.repeat(200, 1)
    noisy = noisy + noise * torch.randn(noisy.shape, generator=rng) / 4
    sampled = ridge(noisy, y.repeat(200, 1), 0.0)
    assert torch.allclose(sampled, ridge(x, y, noise**2 / 16), atol=0.02)
