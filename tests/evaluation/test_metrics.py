import math

import pytest
import torch

from tmsa_core.evaluation.metrics import agreement, cosine, frechet_distance
from tmsa_core.training.avatar.pixels import psnr


def test_frechet_distance_of_equal_clouds_is_zero():
    x = torch.randn(500, 6)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-6)


def test_frechet_distance_of_a_shift_is_its_squared_length():
    x = torch.randn(500, 6)
    assert frechet_distance(x, x + 2) == pytest.approx(6 * 4, rel=1e-6)


def test_frechet_distance_of_a_scaling_has_the_closed_form():
    x = torch.randn(4000, 3, dtype=torch.float64)
    x = x - x.mean(dim=0)
    trace = float(torch.cov(x.T).trace())
    assert frechet_distance(x, 3 * x) == pytest.approx(trace * (3 - 1) ** 2, rel=1e-6)


def test_psnr_of_a_known_error():
    real = torch.zeros(2, 3, 4, 4)
    assert psnr(real + 0.2, real) == pytest.approx(10 * math.log10(4 / 0.04), abs=1e-4)


def test_agreement_counts_only_where_asked():
    predicted, truth = torch.tensor([0, 1, 2, 1]), torch.tensor([0, 1, 0, 0])
    where = torch.tensor([True, True, True, False])
    assert agreement(predicted, truth, where) == pytest.approx(2 / 3)
    assert math.isnan(agreement(predicted, truth, torch.zeros(4, dtype=torch.bool)))


def test_cosine_is_the_mean_over_rows():
    a = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    b = torch.tensor([[2.0, 0.0], [0.0, 1.0]])
    assert cosine(a, b) == pytest.approx(0.5)
