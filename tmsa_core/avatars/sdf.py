"""Distances and soft shapes on grids: the strokes that a portrait is drawn with.

All functions take coordinate grids x, y of one shape and plain numbers, and return a grid of that
shape. A signed distance is negative inside, in the unit of the grid. The formulas follow the
usual first-order distance estimates f / |grad f| of implicit curves (Taubin, "Distance
approximations for rasterizing implicit curves", 1994).

A portrait takes some two thousand operations on small grids, so that each of them counts: results
are reused in place, and lengths and powers are put together from operations that are vectorised.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def cover(distance: Tensor, pixel: float) -> Tensor:
    """Share of each pixel (width ``pixel``) that lies inside: analytic anti-aliasing."""
    return torch.rsub(distance, 0.5, alpha=1 / pixel).clamp_(0, 1)


def ramp(low: float, high: float, value: Tensor) -> Tensor:
    """Smooth step from 0 at ``low`` to 1 at ``high`` (which may be the smaller one)."""
    t = value.sub(low).mul_(1 / (high - low)).clamp_(0, 1)
    return torch.rsub(t, 3, alpha=2).mul_(t).mul_(t)


def length(x: Tensor, y: Tensor) -> Tensor:
    """Length of the vector (x, y)."""
    return x.square().addcmul_(y, y).sqrt_()


def power(base: Tensor, exponent: float) -> Tensor:
    """A power of a positive base."""
    return base.log().mul_(exponent).exp_()


def blob(x: Tensor, y: Tensor, cx: float, cy: float, rx: float, ry: float) -> Tensor:
    """Gaussian spot, 1 in the centre and 1/e at the radii."""
    a, b = x.sub(cx).mul_(1 / rx), y.sub(cy).mul_(1 / ry)
    return a.square_().addcmul_(b, b).neg_().exp_()


def ellipse(x: Tensor, y: Tensor, cx: float, cy: float, rx: float, ry: float) -> Tensor:
    """Signed distance to an ellipse, exact to first order at the rim."""
    qx, qy = x.sub(cx).mul_(1 / rx), y.sub(cy).mul_(1 / ry)
    k = length(qx, qy)
    slope = length(qx.mul_(1 / rx), qy.mul_(1 / ry)).clamp_(min=1e-3)
    return k.addcmul(k, k, value=-1).div_(slope).neg_()


def disc(x: Tensor, y: Tensor, cx: float, cy: float, radius: float) -> Tensor:
    """Signed distance to a disc."""
    return length(x - cx, y - cy).sub_(radius)


def box(
    x: Tensor, y: Tensor, cx: float, cy: float, half_x: float, half_y: float, rounding: float
) -> Tensor:
    """Signed distance to a box with rounded corners."""
    qx = (x - cx).abs_() - (half_x - rounding)
    qy = (y - cy).abs_() - (half_y - rounding)
    outside = length(qx.clamp(min=0), qy.clamp(min=0))
    return torch.maximum(qx, qy).clamp_(max=0).add_(outside).sub_(rounding)


def segment(x: Tensor, y: Tensor, start: tuple[float, float], end: tuple[float, float]) -> Tensor:
    """Distance to a straight line between two points (subtract a radius for a capsule)."""
    distance, _ = _along(x, y, start, end)
    return distance


def lash(
    x: Tensor, y: Tensor, start: tuple[float, float], end: tuple[float, float], radius: float
) -> Tensor:
    """Signed distance to a hair that narrows from ``radius`` at its start to a point."""
    distance, t = _along(x, y, start, end)
    return distance.sub_(radius).add_(t, alpha=0.8 * radius)


def _along(
    x: Tensor, y: Tensor, start: tuple[float, float], end: tuple[float, float]
) -> tuple[Tensor, Tensor]:
    """Distance to a straight line between two points, and where on it (0 to 1) the nearest is."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    px, py = x - start[0], y - start[1]
    scale = 1 / max(dx * dx + dy * dy, 1e-9)
    t = px.mul(dx * scale).add_(py, alpha=dy * scale).clamp_(0, 1)
    return length(px.sub_(t, alpha=dx), py.sub_(t, alpha=dy)), t


def brush(
    x: Tensor,
    y: Tensor,
    cx: float,
    cy: float,
    half: float,
    thickness: float,
    slope: float = 0.0,
    bend: float = 0.0,
) -> Tensor:
    """Signed distance to a tapered stroke along y = cy + slope q + bend q^2, q = (x - cx) / half.

    ``thickness`` is half the width in the middle; a positive bend curves the ends down.
    """
    q = x.sub(cx).mul_(1 / half)
    square = q * q
    middle = (square * bend).add_(q, alpha=slope).add_(cy)
    steep = math.hypot(1, (abs(slope) + abs(bend)) / half)
    return (y - middle).abs_().mul_(1 / steep).sub_(thickness).add_(square, alpha=thickness)


def polygon(x: Tensor, y: Tensor, corners: Sequence[tuple[float, float]]) -> Tensor:
    """Signed distance to a closed polygon without self-intersections.

    Nearest edge for the size, even-odd crossings for the sign.
    """
    nearest: Tensor | None = None
    inside = torch.zeros_like(x, dtype=torch.bool)
    for (ax, ay), (bx, by) in zip(corners, [*corners[1:], corners[0]], strict=True):
        distance = segment(x, y, (ax, ay), (bx, by))
        nearest = distance if nearest is None else torch.minimum(nearest, distance)
        if ay != by:
            crossing = ax + (y - ay) * ((bx - ax) / (by - ay))
            inside ^= ((y >= min(ay, by)) & (y < max(ay, by))) & (x < crossing)
    assert nearest is not None
    return torch.where(inside, -nearest, nearest)


def strands(coordinate: Tensor, frequency: float) -> Tensor:
    """Fixed, uneven light-and-dark stripes in about [-1, 1] along a coordinate."""
    return (
        torch.sin(coordinate * frequency)
        .mul_(0.6)
        .add_(torch.sin(coordinate * (frequency * 0.43) + 1.3), alpha=0.4)
    )
