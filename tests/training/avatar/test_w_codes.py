import pytest
import torch

from tmsa_core.avatars.params import LATENT_DIMS, sample_portraits
from tmsa_core.training.avatar.w_codes import basis, features, portrait_codes, read_code


def test_basis_is_orthonormal_and_fixed():
    b = basis()
    assert b.shape == (LATENT_DIMS, 512)
    assert torch.allclose(b @ b.T, torch.eye(LATENT_DIMS), atol=1e-5)
    assert torch.equal(b, basis())


def test_codes_are_centred_with_unit_variance():
    people = sample_portraits(20_000, torch.Generator().manual_seed(0))
    w = portrait_codes(people)
    assert w.mean().abs() < 0.01
    assert w.var().item() == pytest.approx(1.0, abs=0.05)


def test_reading_a_code_gives_the_features():
    people = sample_portraits(32, torch.Generator().manual_seed(1))
    assert torch.allclose(read_code(portrait_codes(people)), features(people), atol=1e-4)


def test_one_change_is_the_same_shift_for_all_portraits():
    people = sample_portraits(16, torch.Generator().manual_seed(2)).with_(eyewear="none")
    moved = portrait_codes(people.with_(eyewear="glasses")) - portrait_codes(people)
    assert torch.allclose(moved, moved[:1].expand_as(moved), atol=1e-4)
    assert moved.norm(dim=1).min() > 1
