"""Moustache, goatee and beard."""

from __future__ import annotations

import torch
from torch import Tensor

from tmsa_core.avatars.canvas import Window, lit
from tmsa_core.avatars.palette import Colour, times
from tmsa_core.avatars.sdf import box, cover, ellipse, ramp, strands
from tmsa_core.avatars.sketch import Sketch


def draw_facial_hair(s: Sketch) -> None:
    """In the hair colour, a little darker; painted before the mouth, which stays free."""
    kind = s.sitter["facial_hair"]
    if kind == "none":
        return
    colour = times(s.colours.hair, 0.84)
    if kind == "beard":
        _beard(s, colour)
    if kind == "goatee":
        _goatee(s, colour)


def draw_moustache(s: Sketch) -> None:
    """The moustache, alone or as part of a beard, hangs over the upper lip."""
    if s.sitter["facial_hair"] in ("moustache", "beard"):
        _moustache(s, times(s.colours.hair, 0.84))


def _paint(w: Window, d: Tensor, colour: Colour, light: Tensor, solid: bool = False) -> None:
    w.multiply(ramp(0.045, 0.0, d) * 0.35, (0.35, 0.28, 0.28))
    w.mix(cover(d, w.pixel * 1.6), lit(colour, light), solid=solid)


def _moustache(s: Sketch, colour: Colour) -> None:
    g = s.g
    y = (g.nose_y + g.mouth_y - g.lip_upper) / 2 + 0.032
    w = s.window(-0.34, y - 0.12, 0.34, y + 0.20)
    if w is None:
        return
    a = w.x.abs()
    half = 0.265
    q = a * (1 / half)
    middle = y + 0.088 * q * q - 0.012
    thick = 0.060 * (1 - q.pow(3)) * (0.62 + 0.38 * ramp(0.0, 0.35, q))
    d = (w.y - middle).abs_() * 0.92 - thick
    flow = strands(w.y * 1.2 - a * 0.75 + q * q * 0.1, 62.0)
    light = 1.02 + 0.20 * flow + 0.35 * ramp(0.02, -0.05, w.y - middle)
    _paint(w, d, colour, light)


def _goatee(s: Sketch, colour: Colour) -> None:
    g = s.g
    low = g.mouth_y + 0.4 * g.mouth_curve + 0.7 * g.mouth_open + g.lip_lower
    top, bottom = low + 0.03, g.chin + 0.115
    w = s.window(-0.24, top - 0.06, 0.24, bottom + 0.05)
    if w is None:
        return
    middle, half = (top + 0.025 + bottom) / 2, (bottom - top - 0.025) / 2
    t = ((w.y - middle) * (1 / half)).clamp(-1, 1)
    d = box(w.x, w.y, 0, middle, 0.160, half, min(0.12, half)) + 0.035 * ramp(0.1, 1.0, t)
    patch = box(w.x, w.y, 0, top, 0.045, 0.05, 0.02)
    d = torch.minimum(d, patch)
    flow = strands(w.x * (1.15 - 0.35 * t), 58.0)
    light = 1.0 + 0.20 * flow + 0.22 * ramp(0.12, -0.12, w.x + w.y - middle) - 0.2 * ramp(0, 1.1, t)
    _paint(w, d, colour, light, solid=True)


def _beard(s: Sketch, colour: Colour) -> None:
    g = s.g
    w = s.window(-g.head_w - 0.02, -0.10, g.head_w + 0.02, g.chin + 0.16)
    if w is None:
        return
    a = w.x.abs()
    t = ramp(g.mouth_y - 0.1, g.chin, w.y)
    level = g.head_level(w.flat, w.y - 0.085 * t)
    outline = (level - 1) * g.head_w - 0.012 * t
    edge = 0.335 - 0.20 * ramp(0.24, 0.47, a) - 0.30 * ramp(0.40, 0.54, a)
    d = torch.maximum(outline, (edge - w.y) * 0.8)
    mouth = ellipse(
        w.x,
        w.y,
        0,
        g.mouth_y + 0.35 * g.mouth_open + 0.1 * g.mouth_curve + 0.004,
        g.mouth_w * 0.98,
        0.050 + g.lip_lower * 0.75 + 0.42 * g.mouth_open,
    )
    d = torch.maximum(d, -mouth)
    fan = w.x / (1.25 - 0.75 * w.y).clamp(min=0.45)
    flow = strands(fan + 0.02 * torch.sin(w.y * 16), 44.0)
    light = 0.98 + 0.17 * flow + 0.24 * ramp(0.5, -0.3, w.x) * ramp(0.7, 0.3, w.y)
    light -= 0.30 * ramp(-0.10, 0.02, outline)
    _paint(w, d, colour, light, solid=True)
