import pytest
import torch

from tmsa_core.training.avatar.muon import Muon, orthogonal


@pytest.mark.parametrize("shape", [(16, 40), (40, 16), (24, 24)])
def test_singular_values_come_near_one(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonal(matrix))
    assert orthogonal(matrix).shape == shape
    assert values.min() > 0.5 and values.max() < 1.3


def test_a_step_has_the_requested_size_in_every_direction():
    torch.manual_seed(0)
    weight = torch.nn.Parameter(torch.zeros(1, 8, 4, 3, 3))
    weight.grad = torch.randn(8, 4, 3, 3)[None] * torch.logspace(-1, 1, 8)[:, None, None, None]
    Muon([weight], lr=0.01).step()
    assert weight.square().mean().sqrt().item() == pytest.approx(0.01, rel=0.3)
    rows = weight[0].flatten(1).norm(dim=1)
    assert rows.max() / rows.min() < 3  # the gradients' differed by a factor of a hundred


def test_weights_without_a_gradient_do_not_change():
    still = torch.nn.Parameter(torch.ones(3, 3))
    Muon([still]).step()
    assert torch.equal(still, torch.ones(3, 3))


def test_muon_solves_badly_scaled_least_squares():
    rng = torch.Generator().manual_seed(0)
    inputs = torch.randn(256, 12, generator=rng) * torch.logspace(-1.5, 0, 12)
    wanted = torch.randn(12, 6, generator=rng)
    weight = torch.nn.Parameter(torch.zeros(6, 12))
    optimiser = Muon([weight], lr=0.03)
    for step in range(300):
        optimiser.param_groups[0]["lr"] = 0.03 * (1 - step / 300)
        weight.grad = None
        (inputs @ weight.T - inputs @ wanted).square().mean().backward()
        optimiser.step()
    assert (weight.T - wanted).abs().max() < 0.1
