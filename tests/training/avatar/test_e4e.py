"""Losses and augmentation of the avatar encoder."""

import pytest
import torch

from tmsa_core.training.avatar.e4e import crop_errors, delta_loss


def test_delta_loss_is_the_distance_from_the_first_row():
    w_plus = torch.zeros(1, 3, 4)
    w_plus[0, 1, 0], w_plus[0, 2, 1] = 3.0, 1.0
    assert delta_loss(w_plus).item() == pytest.approx(2.0)
    assert delta_loss(torch.ones(2, 3, 4)).item() == 0


def test_crop_errors_are_small():
    images = torch.nn.functional.interpolate(torch.rand(2, 3, 4, 4), 64, mode="bicubic")
    moved = crop_errors(images, torch.Generator().manual_seed(0))
    assert moved.shape == images.shape
    assert 0 < (moved - images).abs().mean() < 0.15
