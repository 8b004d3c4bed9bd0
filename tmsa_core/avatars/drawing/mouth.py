"""Draws lips, teeth and fangs. Numbers and short names: see ``drawing/__init__.py``."""

from __future__ import annotations

import torch
from torch import Tensor

from tmsa_core.avatars.drawing.canvas import Window, lit
from tmsa_core.avatars.drawing.context import DrawingContext
from tmsa_core.avatars.drawing.palette import WHITE, blend, times
from tmsa_core.avatars.drawing.sdf import affine, bell, blob, brush, cover, number, ramp


def draw_mouth(ctx: DrawingContext) -> None:
    """Draw the mouth of each expression along ``Geometry.lip_lines``."""
    g, c = ctx.face, ctx.colours
    w = ctx.window(-g.mouth_w - 0.10, g.mouth_y - 0.22, g.mouth_w + 0.10, g.mouth_y + 0.28)
    if w is None:
        return
    # The four lip lines: top, upper, lower, bottom
    q = affine(w.x, 1 / g.mouth_w, 0.0)
    square = q * q
    p = affine(square, -1, 1).clamp_(-0.4, 1)
    middle = affine(square, -g.mouth_curve, g.mouth_y + 0.4 * g.mouth_curve)
    upper = torch.sub(middle, p, alpha=0.3 * g.mouth_open)
    lower = torch.add(middle, p, alpha=0.7 * g.mouth_open)
    bow = affine(bell(q, 0, 0.2), -0.32, 1.0)
    top = torch.addcmul(upper, p, bow, value=-g.lip_upper)
    bottom = torch.add(lower, p, alpha=g.lip_lower)
    below = w.y - top
    outline = torch.maximum(-below, w.y - bottom)
    # Clown paint, shadow below, lips and their shine
    if ctx.sitter["costume"] == "clown":
        w.mix(cover(affine(outline, 0.85, -0.045), w.pixel), (0.90, 0.10, 0.14))
    low = g.mouth_y + 0.4 * g.mouth_curve + 0.7 * g.mouth_open
    w.mix(blob(w.x, w.y, 0, low + g.lip_lower + 0.05, 0.13, 0.032, 0.55), c.shadow)
    lips = cover(outline, w.pixel / 0.85)
    depth = ramp(0.0, 1.0, below.div_((bottom - top).clamp_(min=0.02)), 0.30)
    w.mix(lips, lit(c.lips, depth.add_(number(0.80))))
    shine = blob(w.x, w.y, -0.03, low + g.lip_lower * 0.55, 0.075, 0.016, 0.55)
    w.mix(shine.mul_(lips), blend(c.lips, WHITE, 0.75))
    # Teeth, or the line between closed lips
    if g.mouth_open > 0:
        _teeth(ctx, w, q, upper, lower)
    else:
        thick = affine(square, 0.0125 * 0.55, -0.0125 * 1.15)
        line = thick.add_((w.y - middle).abs_(), alpha=0.9)
        line = torch.maximum(line, affine(w.x.abs(), 1, -g.mouth_w * 1.03))
        w.mix(cover(line, w.pixel), times(blend(c.line, c.lips, 0.25), 0.62))
    _corners(ctx, w)
    if ctx.sitter["costume"] == "vampire":
        _fangs(ctx, w, upper)


def _teeth(ctx: DrawingContext, w: Window, q: Tensor, upper: Tensor, lower: Tensor) -> None:
    """Draw the open mouth with tongue and upper teeth.

    q: position along the mouth; upper, lower: y of the inner lip lines; all (h, w).
    """
    below = w.y - upper
    hole = cover(torch.maximum(-below, w.y - lower), w.pixel / 0.9)
    w.mix(hole, (0.30, 0.03, 0.06))
    tongue = blob(w.x, w.y, 0.0, ctx.face.mouth_y + 0.17, 0.11, 0.055)
    w.mix(tongue.mul_(hole), (0.85, 0.36, 0.40))
    edge = torch.lerp(upper, lower, 0.62)
    teeth = cover(w.y - edge, w.pixel / 0.9).mul_(hole)
    w.mix(teeth, lit((0.99, 0.985, 0.96), affine(ramp(0.55, 1.0, q.abs(), -0.25), 1, 1.0)))
    gap = torch.sin(q * number(14.0)).abs_()
    w.mix(ramp(0.22, 0.0, gap, 0.22).mul_(teeth), (0.55, 0.50, 0.52))
    w.mix(ramp(0.022, 0.0, below, 0.35).mul_(hole), (0.25, 0.05, 0.08))


def _corners(ctx: DrawingContext, w: Window) -> None:
    """Draw the dimples of a smile or the creases of a frown."""
    g, c = ctx.face, ctx.colours
    y = g.mouth_y - 0.6 * g.mouth_curve
    a = w.x.abs()
    if g.mouth_curve > 0.05:
        dimple = brush(w.y, a, y, g.mouth_w + 0.008, 0.045, 0.012, bend=-0.012)
    elif g.mouth_curve < -0.05:
        dimple = brush(a, w.y, g.mouth_w + 0.008, y + 0.022, 0.040, 0.013, slope=0.028)
    else:
        return
    w.mix(ramp(0.010, -0.006, dimple, 0.85), c.line)


def _fangs(ctx: DrawingContext, w: Window, upper: Tensor) -> None:
    """Draw two fangs that hang from the upper lip line (h, w)."""
    a = w.x.abs() - ctx.face.mouth_w * 0.42
    root = upper - 0.004
    down = (w.y - root) * (1 / 0.105)  # 0 at the root, 1 at the tip
    d = torch.maximum(a.abs() - 0.030 * (1 - down), (root - w.y))
    w.mix(cover(d - 0.008, w.pixel), (0.35, 0.05, 0.10))
    w.mix(cover(d, w.pixel), WHITE)
