"""Draws eyes, lids, lashes, brows and eye shadow.

Numbers and short names: see ``drawing/__init__.py``. Both sides are drawn at once: w is a pair and
``a`` (2, h, w) is measured outwards from the middle of each eye.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tmsa_core.avatars.drawing.canvas import Pair, lit
from tmsa_core.avatars.drawing.context import DrawingContext
from tmsa_core.avatars.drawing.geometry import EYE_LEVEL
from tmsa_core.avatars.drawing.palette import INK, WHITE, blend, times
from tmsa_core.avatars.drawing.sdf import (
    Point,
    affine,
    blob,
    brush,
    cover,
    disc,
    lash,
    length,
    number,
    power,
    ramp,
    strands,
)


def draw_eyes(ctx: DrawingContext) -> None:
    """Draw both eyes, open or closed."""
    g = ctx.face
    reach = g.eye_w + 0.115
    for w in ctx.sides(g.eye_x - reach, EYE_LEVEL - 0.27, g.eye_x + reach, 0.16):
        a = affine(w.x * w.side, 1, -g.eye_x)
        _socket(ctx, w, a)
        if g.closed:
            _closed_eye(ctx, w, a)
        else:
            _open_eye(ctx, w, a)


def _socket(ctx: DrawingContext, w: Pair, a: Tensor) -> None:
    """Draw the shade around the eye and the eye shadow above it."""
    g = ctx.face
    w.mix(blob(a, w.y, -0.03, EYE_LEVEL - 0.06, 0.19, 0.11, 0.30), ctx.colours.shadow)
    if ctx.sitter["makeup"] == "yes":
        q = (a * (1 / (g.eye_w * 1.22))).clamp_(-1, 1)
        arch = EYE_LEVEL - 0.03 - (g.eye_h + 0.055) * (1 - q.square()) - 0.035 * q
        d = torch.maximum(arch - w.y, w.y - EYE_LEVEL - 0.01)
        w.mix(ramp(0.02, -0.03, d, 0.85), (0.56, 0.22, 0.72))
    if ctx.sitter["costume"] == "vampire":
        w.mix(blob(a, w.y, 0, EYE_LEVEL + 0.05, 0.18, 0.12, 0.55), (0.38, 0.20, 0.34))


def _open_eye(ctx: DrawingContext, w: Pair, a: Tensor) -> None:
    """Draw an open eye with its lids, and the lashes of women."""
    g, c = ctx.face, ctx.colours
    female = ctx.sitter["gender"] == "female"
    # The lids: ``below`` the upper one and ``above`` the lower one is inside
    q = affine(a, 1 / g.eye_w, 0.0)
    p = q.abs().clamp_(max=1.3)
    square = p * p
    middle = affine(q, -g.eye_tilt, EYE_LEVEL + 0.1 * g.eye_h)
    upper = torch.add(affine(middle, 1, -g.eye_h), power(p, 2.5), alpha=g.eye_h)
    lower = affine(middle, 1, 0.72 * g.eye_h).sub_(square, alpha=0.72 * g.eye_h)
    below, above = w.y - upper, w.y - lower
    inside = cover(torch.maximum(-below, above), w.pixel / 0.8)
    # The white of the eye, the iris
    shade = affine(ramp(0.045, 0.0, below, -0.34), 1, 1.0).add_(ramp(0.6, 1.0, p, -0.12))
    w.mix(inside, lit((0.985, 0.985, 0.99), shade))
    _iris(ctx, w, a, inside, below)
    # Upper lid line, lower lid line, crease of the lid, lashes
    ends = affine(p, g.eye_w, -g.eye_w)
    thick = 0.021 if female else 0.0125
    line = torch.add(affine(square, thick * 0.5, -thick * 1.06), below.abs(), alpha=0.85)
    w.mix(cover(torch.maximum(line, affine(ends, 1, -g.eye_w * 0.03)), w.pixel), INK)
    under = affine(p, 0.007 * 0.6, -0.007).add_(above.abs_())
    w.mix(cover(torch.maximum(under, ends), w.pixel, 0.65), times(c.line, 0.75))
    crease = affine(square, 0.009, -0.009).add_(affine(below, 1, 0.042).abs_())
    w.mix(cover(crease, w.pixel).mul_(ramp(1.0, 0.8, p, 0.55)), c.line)
    if female:
        for place, dx, dy in ((0.50, 0.030, -0.062), (0.76, 0.055, -0.060), (0.98, 0.088, -0.062)):
            x, y = g.eye_w * place, g.eye_lids(place)[0]
            _lash(w, a, (x, y), (x + dx, y + dy), 0.017)


def _iris(ctx: DrawingContext, w: Pair, a: Tensor, inside: Tensor, below: Tensor) -> None:
    """Draw iris, pupil and reflections inside the lids.

    inside: opacity of the open eye, below: distance below the upper lid; both (2, h, w).
    """
    g, c = ctx.face, ctx.colours
    r, cy = 0.80 * g.eye_h, EYE_LEVEL + 0.012
    rho = length(a, affine(w.y, 1, -cy))
    light = ramp(cy - 0.6 * r, cy + r, w.y, 0.75).mul_(ramp(r, r * 0.3, rho))
    colour = lit(c.iris, affine(light, 1, 0.72), ramp(cy, cy + r, w.y, 0.10))
    w.mix(cover(affine(rho, 1, -r), w.pixel).mul_(inside), colour)
    ring = cover(affine(rho, 1, -r * 0.92).abs_().sub_(number(0.009)), w.pixel, 0.85)
    w.mix(ring.mul_(inside), times(c.iris, 0.28))
    w.mix(cover(affine(rho, 1, -0.44 * r), w.pixel).mul_(inside), (0.03, 0.02, 0.03))
    w.mix(ramp(0.035, 0.0, below, 0.35).mul_(inside), (0.05, 0.04, 0.08))
    left = a * w.side  # x within the eye: both shine on the same side
    big = disc(left, w.y, -0.34 * r, cy - 0.36 * r, 0.27 * r)
    w.mix(cover(big, w.pixel).mul_(inside), WHITE)
    small = disc(left, w.y, 0.38 * r, cy + 0.42 * r, 0.13 * r)
    w.mix(cover(small, w.pixel, 0.8).mul_(inside), WHITE)


def _lash(w: Pair, a: Tensor, root: Point, tip: Point, radius: float) -> None:
    """Draw one hair that narrows from its root to its tip."""
    w.mix(cover(lash(a, w.y, root, tip, radius), w.pixel), INK)


def _closed_eye(ctx: DrawingContext, w: Pair, a: Tensor) -> None:
    """Draw a closed lid with its lashes."""
    g, c = ctx.face, ctx.colours
    female = ctx.sitter["gender"] == "female"
    q = (a * (1 / g.eye_w)).clamp_(-1.2, 1.2)
    square = q * q
    curve = affine(square, -0.75 * g.eye_h, EYE_LEVEL + 0.33 * g.eye_h).sub_(q, alpha=g.eye_tilt)
    below = w.y - curve
    # The lid with its light, the line of the lashes, the lashes
    lid = blob(a, w.y, 0, EYE_LEVEL - 0.02, g.eye_w, g.eye_h, 0.40).mul_(ramp(0.01, -0.01, below))
    w.mix(lid, c.shadow if ctx.sitter["makeup"] == "no" else (0.56, 0.22, 0.72))
    w.mix(blob(a, w.y, -0.02, EYE_LEVEL - 0.02, 0.06, 0.03, 0.35), blend(c.skin, WHITE, 0.5))
    thick = 0.0215 if female else 0.017
    line = torch.add(affine(square, 0.6 * thick, -1.1 * thick), below.abs_(), alpha=0.8)
    ends = affine(q.abs_(), g.eye_w, -g.eye_w * 1.02)
    w.mix(cover(torch.maximum(line, ends), w.pixel), INK)
    for place in (-0.45, 0.0, 0.45, 0.8) if female else (0.0, 0.55):
        x, y = g.eye_w * place, g.eye_lids(place)[0]
        reach = 0.060 if female else 0.038
        _lash(w, a, (x, y), (x + 0.055 * (place + 0.1), y + reach), 0.013)
    if female:
        x, y = g.eye_w * 0.98, g.eye_lids(0.98)[0]
        _lash(w, a, (x, y), (x + 0.085, y + 0.012), 0.015)


def draw_brows(ctx: DrawingContext) -> None:
    """Draw brows: thin arches of women, thick straight ones of men, bushy ones of the old."""
    g, c = ctx.face, ctx.colours
    thin = 0.55 if ctx.sitter["gender"] == "female" else 0.25
    for w in ctx.sides(0.02, g.brow_y - 0.13, 0.50, g.brow_y + 0.15):
        q = affine(w.x * w.side, 1 / g.brow_w, -g.eye_x * 1.06 / g.brow_w)
        middle = affine(q, g.brow_slope, g.brow_y)
        middle.add_(affine(q, 1, -0.15).square_(), alpha=g.brow_bend)
        below = w.y - middle
        thick = affine(q.square(), -0.75 * g.brow_thickness, g.brow_thickness)
        thick.mul_(affine(affine(q, 1, 0.6).clamp_(0, 1.6), -thin, 1.0))
        d = torch.sub(affine(below.abs(), 0.92, 0.0), thick)
        d = torch.maximum(d, affine(q.abs(), g.brow_w, -g.brow_w))
        texture = strands(torch.add(q, below, alpha=6), 13.0)
        if ctx.sitter["age"] == "old":
            d.add_(texture, alpha=0.006)
        ink = lit(c.brow, affine(texture, 0.16, 1.0))
        w.mix(cover(d, w.pixel * 1.3, 0.96), ink)


def draw_brow_frown(ctx: DrawingContext) -> None:
    """Draw the crease between the brows of a frown."""
    if ctx.sitter["expression"] != "frown":
        return
    w = ctx.window(-0.12, -0.36, 0.12, -0.06)
    if w is None:
        return
    d = brush(w.y, w.x.abs(), -0.20, 0.042, 0.07, 0.010, bend=0.012)
    w.mix(ramp(0.010, -0.006, d, 0.8), ctx.colours.line)
