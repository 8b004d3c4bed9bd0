"""Signed distances and soft shapes on grids: the strokes of a portrait.

All functions take float32 grids of one shape (..., h, w), such as coordinates x and y, and plain
numbers, and return a grid of that shape. A signed distance is negative inside, in the unit of the
grid. The formulas are the first-order distance estimates f / |grad f| of implicit curves (Taubin,
"Distance approximations for rasterizing implicit curves", 1994).

A portrait takes about a thousand operations on small grids. To be fast, the functions apply scale
and offset together, include the opacity of a stroke in its last step, reuse results in place and
build powers from vectorised operations.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

Point = tuple[float, float]
UNIT = math.sqrt(math.log2(math.e))  # turns exp(-t^2) into 2^-t^2, which is faster


@lru_cache(maxsize=4096)
def number(value: float) -> Tensor:
    """A 0-dim tensor, with which operations are twice as fast as with a Python number."""
    return torch.full((), value, dtype=torch.float32)


def affine(value: Tensor, scale: float, offset: float) -> Tensor:
    """Compute scale * value + offset in one operation."""
    return torch.add(number(offset), value, alpha=scale)


def cover(distance: Tensor, pixel: float, peak: float = 1.0) -> Tensor:
    """Share of each pixel (width ``pixel``) that lies inside, times ``peak``: anti-aliasing."""
    return affine(distance, -peak / pixel, 0.5 * peak).clamp_(0, peak)


def ramp(low: float, high: float, value: Tensor, peak: float = 1.0) -> Tensor:
    """Smooth step from 0 at ``low`` to ``peak`` at ``high`` (which may be the smaller one)."""
    scale = 1 / (high - low)
    t = affine(value, scale, -low * scale).clamp_(0, 1)
    return affine(t, -2 * peak, 3 * peak).mul_(t).mul_(t)


def length(x: Tensor, y: Tensor) -> Tensor:
    """Length of the vector (x, y)."""
    return torch.hypot(x, y)


def power(base: Tensor, exponent: float) -> Tensor:
    """A power of a positive base."""
    return base.log2().mul_(number(exponent)).exp2_()


def bell(value: Tensor, centre: float, radius: float, peak: float = 1.0) -> Tensor:
    """Gaussian band: ``peak`` at the centre and 1/e of it at the radius."""
    a = affine(value, UNIT / radius, -UNIT * centre / radius)
    return affine(a.square_(), -1, math.log2(peak)).exp2_()


def blob(
    x: Tensor, y: Tensor, cx: float, cy: float, rx: float, ry: float, peak: float = 1.0
) -> Tensor:
    """Gaussian spot: ``peak`` at the centre and 1/e of it at the radii."""
    a = affine(x, UNIT / rx, -UNIT * cx / rx)
    b = affine(y, UNIT / ry, -UNIT * cy / ry)
    return affine(a.square_().addcmul_(b, b), -1, math.log2(peak)).exp2_()


def ellipse(x: Tensor, y: Tensor, cx: float, cy: float, rx: float, ry: float) -> Tensor:
    """Signed distance to an ellipse, exact to first order at the rim."""
    a, b = affine(x, 1 / rx, -cx / rx).square_(), affine(y, 1 / ry, -cy / ry).square_()
    slope = torch.add(a, b, alpha=(rx / ry) ** 2).sqrt_().clamp_(min=1e-3 * rx)  # times rx
    k = a.add_(b).sqrt_()
    return torch.addcmul(k, k, k, value=-1).div_(slope).mul_(number(-rx))


def disc(x: Tensor, y: Tensor, cx: float, cy: float, radius: float) -> Tensor:
    """Signed distance to a disc."""
    return length(affine(x, 1, -cx), affine(y, 1, -cy)).sub_(number(radius))


def box(
    x: Tensor, y: Tensor, cx: float, cy: float, half_x: float, half_y: float, rounding: float
) -> Tensor:
    """Signed distance to a box with rounded corners."""
    qx = affine(x, 1, -cx).abs_().sub_(number(half_x - rounding))
    qy = affine(y, 1, -cy).abs_().sub_(number(half_y - rounding))
    outside = length(qx.clamp(min=0), qy.clamp(min=0))
    return torch.maximum(qx, qy).clamp_(max=0).add_(outside).sub_(number(rounding))


def segment(x: Tensor, y: Tensor, start: Point, end: Point) -> Tensor:
    """Distance to a straight line between two points (subtract a radius for a capsule)."""
    distance, _ = _along(x, y, start, end)
    return distance


def lash(x: Tensor, y: Tensor, start: Point, end: Point, radius: float) -> Tensor:
    """Signed distance to a hair that narrows from ``radius`` at its start to its end."""
    distance, t = _along(x, y, start, end)
    return distance.sub_(number(radius)).add_(t, alpha=0.8 * radius)


def _along(x: Tensor, y: Tensor, start: Point, end: Point) -> tuple[Tensor, Tensor]:
    """Distance to a straight line, and the position of the nearest point on it, 0 to 1."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    scale = 1 / max(dx * dx + dy * dy, 1e-9)
    px, py = affine(x, 1, -start[0]), affine(y, 1, -start[1])
    t = px.mul(number(dx * scale)).add_(py, alpha=dy * scale).clamp_(0, 1)
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
    q = affine(x, 1 / half, -cx / half)
    square = q * q
    steep = 1 / math.hypot(1, (abs(slope) + abs(bend)) / half)
    off = affine(y, steep, -cy * steep)
    if slope:
        off.sub_(q, alpha=slope * steep)
    if bend:
        off.sub_(square, alpha=bend * steep)
    return off.abs_().add_(affine(square, thickness, -thickness))


def polygon(x: Tensor, y: Tensor, corners: Sequence[Point]) -> Tensor:
    """Signed distance to a closed polygon without self-intersections.

    The nearest edge gives the size and the number of crossings the sign; all edges at once.
    """
    edges = [
        _edge(start, end) for start, end in zip(corners, [*corners[1:], corners[0]], strict=True)
    ]
    columns = torch.tensor(edges, device=x.device).T
    ax, ay, dx, dy, ux, uy, low, high, lean = columns.reshape(9, -1, *(1,) * x.dim()).unbind()
    px, py = x - ax, y - ay
    crossed = torch.addcmul(px, py, lean, value=-1) < 0
    inside = ((y >= low) & (y < high) & crossed).sum(0) % 2 == 1
    t = (px * ux).addcmul_(py, uy).clamp_(0, 1)
    distance = length(px.addcmul_(t, dx, value=-1), py.addcmul_(t, dy, value=-1)).amin(0)
    return torch.where(inside, -distance, distance)


def _edge(start: Point, end: Point) -> tuple[float, ...]:
    """The nine numbers of an edge that ``polygon`` needs; horizontal edges cross no row."""
    (ax, ay), (bx, by) = start, end
    dx, dy = bx - ax, by - ay
    scale = 1 / max(dx * dx + dy * dy, 1e-9)
    lean = dx / dy if dy else 0.0
    return ax, ay, dx, dy, dx * scale, dy * scale, min(ay, by), max(ay, by), lean


def strands(coordinate: Tensor, frequency: float) -> Tensor:
    """Fixed, uneven light and dark stripes in about [-1, 1] along a coordinate."""
    fine = torch.sin(coordinate * number(frequency)).mul_(number(0.6))
    return fine.add_(torch.sin(affine(coordinate, frequency * 0.43, 1.3)), alpha=0.4)
