"""Lips, teeth and fangs."""

from __future__ import annotations

import torch
from torch import Tensor

from tmsa_core.avatars.canvas import Window, lit
from tmsa_core.avatars.palette import WHITE, blend, times
from tmsa_core.avatars.sdf import blob, brush, cover, ramp
from tmsa_core.avatars.sketch import Sketch


def draw_mouth(s: Sketch) -> None:
    """The mouth of the four expressions, painted along ``Geometry.lip_lines``."""
    g, c = s.g, s.colours
    w = s.window(-g.mouth_w - 0.10, g.mouth_y - 0.22, g.mouth_w + 0.10, g.mouth_y + 0.28)
    if w is None:
        return
    q = w.x * (1 / g.mouth_w)
    p = (1 - q * q).clamp_(-0.4, 1)
    middle = g.mouth_y - g.mouth_curve * (q * q - 0.4)
    upper, lower = middle - 0.3 * g.mouth_open * p, middle + 0.7 * g.mouth_open * p
    bow = 1 - 0.32 * torch.exp(-((q * 5).square_()))
    top, bottom = upper - g.lip_upper * p * bow, lower + g.lip_lower * p
    if s.sitter["costume"] == "clown":
        paint = torch.maximum(top - w.y, w.y - bottom) * 0.85 - 0.045
        w.mix(cover(paint, w.pixel), (0.90, 0.10, 0.14))
    under = blob(
        w.x,
        w.y,
        0,
        g.mouth_y + 0.4 * g.mouth_curve + 0.7 * g.mouth_open + g.lip_lower + 0.05,
        0.13,
        0.032,
    )
    w.mix(under * 0.55, c.shadow)
    lips = cover(torch.maximum(top - w.y, w.y - bottom) * 0.85, w.pixel)
    depth = ramp(0.0, 1.0, (w.y - top) / (bottom - top).clamp(min=0.02))
    w.mix(lips, lit(c.lips, 0.80 + 0.30 * depth))
    shine = blob(
        w.x,
        w.y,
        -0.03,
        g.mouth_y + 0.4 * g.mouth_curve + 0.7 * g.mouth_open + g.lip_lower * 0.55,
        0.075,
        0.016,
    )
    w.mix(lips * shine * 0.55, blend(c.lips, WHITE, 0.75))
    if g.mouth_open > 0:
        _teeth(s, w, q, upper, lower)
    else:
        line = (w.y - middle).abs_() * 0.9 - 0.0125 * (1.15 - 0.55 * q * q)
        line = torch.maximum(line, w.x.abs() - g.mouth_w * 1.03)
        w.mix(cover(line, w.pixel), times(blend(c.line, c.lips, 0.25), 0.62))
    _corners(s, w)
    if s.sitter["costume"] == "vampire":
        _fangs(s, w, upper)


def _teeth(s: Sketch, w: Window, q: Tensor, upper: Tensor, lower: Tensor) -> None:
    hole = cover(torch.maximum(upper - w.y, w.y - lower) * 0.9, w.pixel)
    w.mix(hole, (0.30, 0.03, 0.06))
    tongue = blob(w.x, w.y, 0.0, s.g.mouth_y + 0.17, 0.11, 0.055)
    w.mix(hole * tongue, (0.85, 0.36, 0.40))
    edge = upper + (lower - upper) * 0.62
    teeth = hole * cover((w.y - edge) * 0.9, w.pixel)
    w.mix(teeth, lit((0.99, 0.985, 0.96), 1 - 0.25 * ramp(0.55, 1.0, q.abs())))
    gap = torch.sin(q * 14.0).abs_() * 0.10
    w.mix(teeth * ramp(0.022, 0.0, gap) * 0.22, (0.55, 0.50, 0.52))
    w.mix(hole * ramp(0.022, 0.0, w.y - upper) * 0.35, (0.25, 0.05, 0.08))


def _corners(s: Sketch, w: Window) -> None:
    g, c = s.g, s.colours
    y = g.mouth_y - 0.6 * g.mouth_curve
    a = w.x.abs()
    if g.mouth_curve > 0.05:
        dimple = brush(w.y, a, y, g.mouth_w + 0.008, 0.045, 0.012, bend=-0.012)
    elif g.mouth_curve < -0.05:
        dimple = brush(a, w.y, g.mouth_w + 0.008, y + 0.022, 0.040, 0.013, slope=0.028)
    else:
        return
    w.mix(ramp(0.010, -0.006, dimple) * 0.85, c.line)


def _fangs(s: Sketch, w: Window, upper: Tensor) -> None:
    a = w.x.abs() - s.g.mouth_w * 0.42
    root = upper - 0.004
    length = (w.y - root) * (1 / 0.105)
    d = torch.maximum(a.abs() - 0.030 * (1 - length), (root - w.y))
    w.mix(cover(d - 0.008, w.pixel), (0.35, 0.05, 0.10))
    w.mix(cover(d, w.pixel), WHITE)
