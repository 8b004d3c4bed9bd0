"""The loss and the class centres of the avatar identity network."""

import math

import pytest
import torch
import torch.nn.functional as F

from tmsa_core.avatars.params import same_person
from tmsa_core.training.avatar.identity import SCALE, arcface_loss, identity_codes
from tmsa_core.training.avatar.renders import LOOKS, chunk_portraits


def test_arcface_without_a_margin_is_a_scaled_softmax():
    between = F.normalize(torch.tensor([[1.0, 1.0, 0.0, 0.0]]), dim=1)
    loss = arcface_loss(between, torch.eye(3, 4), torch.tensor([0]), margin=0.0)
    # Two centres have the same angle, the third is orthogonal.
    expected = math.log(2 + math.exp(-SCALE * math.sqrt(0.5)))
    assert loss.item() == pytest.approx(expected, abs=1e-4)


def test_a_margin_makes_the_right_person_harder_to_reach():
    between = F.normalize(torch.tensor([[1.0, 1.0, 0.0, 0.0]]), dim=1)
    losses = [
        arcface_loss(between, torch.eye(3, 4), torch.tensor([0]), margin) for margin in (0.0, 0.3)
    ]
    assert losses[1] > losses[0] + 1


def test_identity_codes_depend_on_the_person_only():
    person, look = chunk_portraits(0, 0, 16), chunk_portraits(0, 1, 16)
    a, b = identity_codes(person), identity_codes(same_person(person, look))
    assert torch.allclose(a, b, atol=1e-6)
    assert torch.allclose(a[0], a[LOOKS - 1], atol=1e-6) and a[0] @ a[LOOKS] < 0.9
