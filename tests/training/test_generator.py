import pytest
import torch

from tmsa_core.avatars.params import sample_portraits
from tmsa_core.training.codes import code_scale, features, portrait_codes
from tmsa_core.training.generator import (
    PHASES,
    at_side,
    face_weight,
    lift_codes,
    new_generator,
    noisy_codes,
    paired_loss,
    phase_at,
    psnr,
)


def test_lifted_generator_draws_from_lifted_codes_what_it_drew_before():
    torch.manual_seed(0)
    generator = new_generator().eval()
    w_plus = torch.randn(1, generator.levels, 512)
    before = generator.synthesise(w_plus)
    lift_codes(generator, 4.0)
    assert torch.allclose(generator.synthesise(w_plus + 4.0), before, atol=1e-3)
    assert not torch.allclose(generator.synthesise(w_plus), before, atol=1e-3)


def test_clean_codes_are_the_portraits_own():
    people = sample_portraits(4, torch.Generator().manual_seed(0))
    rng = torch.Generator().manual_seed(1)
    clean = noisy_codes(features(people), 12, 0.0, rng)
    assert clean.shape == (4, 12, 512)
    assert torch.allclose(clean, portrait_codes(people)[:, None].expand(-1, 12, -1), atol=1e-4)
    noisy = noisy_codes(features(people), 12, 1.0, rng)
    assert 0.05 < (noisy - clean).std() / code_scale() < 0.2


def test_paired_loss_is_zero_for_equal_pictures_and_counts_edges():
    real = torch.zeros(1, 3, 16, 16)
    flat = paired_loss(real + 0.1, real, torch.ones(1, 1, 16, 16))
    assert paired_loss(real, real, torch.ones(1, 1, 16, 16)) == 0
    assert flat.item() == pytest.approx(0.1, abs=1e-6)
    checks = 0.1 * (torch.arange(16)[:, None] + torch.arange(16)[None]).remainder(2) * 2 - 0.1
    assert paired_loss(real + checks, real, torch.ones(1, 1, 16, 16)) > flat


def test_eyes_and_mouth_weigh_most():
    weight = face_weight(64)[0, 0]
    assert weight[29, 24] > 3 and weight[45, 32] > 3
    assert weight[2, 2] == pytest.approx(1, abs=1e-3)


def test_phases_follow_each_other():
    assert phase_at(0) == (PHASES[0], 0.0)
    assert phase_at(PHASES[0].images)[0] == PHASES[1]
    total = sum(p.images for p in PHASES)
    assert phase_at(total) == (PHASES[-1], 1.0)


def test_averaging_and_psnr():
    images = torch.rand(1, 3, 128, 128) * 2 - 1
    assert torch.allclose(at_side(images, 64).mean(), images.mean(), atol=1e-5)
    assert at_side(images, 128) is images
    assert psnr(torch.full((1, 3, 4, 4), 0.2), torch.zeros(1, 3, 4, 4)) == pytest.approx(20)
