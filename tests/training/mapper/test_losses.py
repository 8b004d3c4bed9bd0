import math

import pytest
import torch

from tmsa_core.training.mapper.losses import adaption, in_domain, in_domain_image, space_alignment

E1 = torch.tensor([[1.0, 0.0]])
E2 = torch.tensor([[0.0, 2.0]])


def test_equations_1_and_3_are_one_minus_the_cosine():
    for loss in (space_alignment, in_domain_image):
        assert loss(E1, 5 * E1).item() == pytest.approx(0.0)
        assert loss(E1, E2).item() == pytest.approx(1.0)
        assert loss(E1, -E1).item() == pytest.approx(2.0)
        diagonal = torch.tensor([[3.0, 3.0]])
        assert loss(E1, diagonal).item() == pytest.approx(1 - math.sqrt(0.5), abs=1e-6)


def test_equations_1_and_3_average_over_the_batch():
    a, b = torch.cat([E1, E1]), torch.cat([E1, E2])
    assert space_alignment(a, b).item() == pytest.approx(0.5)


def test_equation_2_sums_squared_distances_over_rows_to_one_w():
    mapped = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]])  # L = 2, C = 2
    sampled = torch.tensor([[1.0, 0.0]])
    assert in_domain(mapped, sampled).item() == pytest.approx(0 + 4 + 4 + 16)


def test_equation_4_compares_row_by_row():
    mapped = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]])
    inverted = torch.tensor([[[1.0, 1.0], [1.0, 4.0]]])
    assert adaption(mapped, inverted).item() == pytest.approx(1 + 4)
    assert adaption(mapped, mapped).item() == 0


def test_all_four_have_gradients():
    x = torch.randn(2, 4, requires_grad=True)
    codes = torch.randn(2, 3, 4, requires_grad=True)
    y, w = torch.randn(2, 4), torch.randn(2, 3, 4)
    total = space_alignment(x, y) + in_domain_image(x, y) + in_domain(codes, y) + adaption(codes, w)
    total.backward()
    assert x.grad.abs().sum() > 0 and codes.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("loss", "first", "second"),
    [
        (space_alignment, (4, 8), (1, 8)),
        (in_domain_image, (4, 8), (8,)),
        (in_domain_image, (0, 8), (0, 8)),
        (in_domain, (3, 3, 8), (3, 3, 8)),
        (in_domain, (4, 3, 8), (1, 8)),
        (in_domain, (4, 3, 8), (4, 7)),
        (adaption, (3, 3, 8), (3, 8)),
        (adaption, (4, 3, 8), (4, 1, 8)),
    ],
)
def test_shapes_that_do_not_match_are_refused(loss, first, second):
    with pytest.raises(ValueError, match="do not match"):
        loss(torch.ones(first), torch.ones(second))
