"""Windows of a canvas: strokes for both sides at once equal strokes for each side."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from tmsa_core.avatars.drawing.canvas import Canvas
from tmsa_core.avatars.drawing.geometry import Geometry, measure, sitters
from tmsa_core.avatars.drawing.sdf import cover, disc, polygon
from tmsa_core.avatars.params import sample_portraits


def face() -> Geometry:
    person = sample_portraits(1, torch.Generator().manual_seed(0)).with_(yaw=0.7)
    return measure(sitters(person)[0])


def view(scale: float, degrees: float, x: float) -> Tensor:
    a = math.radians(degrees)
    rows = [[math.cos(a), -math.sin(a), x], [math.sin(a), math.cos(a), 0.0]]
    return torch.tensor(rows) * torch.tensor([scale, scale, 1.0])


VIEWS = {
    "upright": view(1.0, 0, 0.0),
    "tilted": view(1.2, 30, 0.1),
    "upside down": view(1.0, 180, 0.0),
    "from near": view(0.2, 0, 0.0),
    "left half": view(0.5, 0, -0.4),
    "right half": view(0.5, 0, 0.4),
}
RED, BLUE = (0.9, 0.1, 0.1), (0.1, 0.1, 0.9)


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("middle", [0.0, 0.1])
def test_a_pair_is_painted_like_two_windows(name: str, middle: float) -> None:
    inner, top, outer, bottom = -0.05, -0.3, 0.45, 0.3  # they overlap in the middle
    pairwise, single = (Canvas(face(), VIEWS[name], 60, 80) for _ in range(2))
    for canvas in (pairwise, single):
        canvas.full().mix(torch.full((60, 80), 0.4), RED, solid=True)
    for w in pairwise.sides(inner, top, outer, bottom, middle=middle):
        a = (w.x - middle) * w.side
        w.multiply(cover(disc(a, w.y, 0.1, 0.0, 0.25), w.pixel, 0.8) * w.covered(), BLUE)
        w.mix(cover(disc(a, w.y, 0.1, 0.0, 0.2), w.pixel), RED, solid=True)
        w.mix(cover(disc(a, w.y, 0.0, 0.1, 0.15), w.pixel), w.side.new_ones(3, *a.shape))
    for side in (-1, 1):
        x0, x1 = sorted((middle + side * inner, middle + side * outer))
        w = single.window(x0, top, x1, bottom)
        if w is not None:
            a = (w.x - middle) * side
            w.multiply(cover(disc(a, w.y, 0.1, 0.0, 0.25), w.pixel, 0.8) * 0.4, BLUE)
            w.mix(cover(disc(a, w.y, 0.1, 0.0, 0.2), w.pixel), RED, solid=True)
            w.mix(cover(disc(a, w.y, 0.0, 0.1, 0.15), w.pixel), (1.0, 1.0, 1.0))
    torch.testing.assert_close(pairwise.planes, single.planes, atol=1e-5, rtol=0)
    assert (single.planes[3] < 0.5).any()


def test_windows_outside_the_image_are_left_out() -> None:
    canvas = Canvas(face(), view(0.2, 0, 5.0), 16, 16)
    assert list(canvas.sides(0.1, -0.3, 0.4, 0.3)) == []
    assert canvas.window(0.1, -0.3, 0.4, 0.3) is None


def test_the_signed_distance_to_a_polygon() -> None:
    corners = [(0.0, 0.0), (2.0, 0.0), (2.0, 2.0), (1.0, 1.0), (0.0, 2.0)]  # a notch from below
    x, y = torch.tensor([1.0, 1.0, 3.0, 0.3]), torch.tensor([0.4, 1.8, 1.0, 1.0])
    wanted = torch.tensor([-0.4, 0.8 / math.sqrt(2), 1.0, -0.3])
    torch.testing.assert_close(polygon(x, y, corners), wanted)
    grid = x.expand(2, 3, 4), y.expand(2, 3, 4)
    torch.testing.assert_close(polygon(*grid, corners), wanted.expand(2, 3, 4))
