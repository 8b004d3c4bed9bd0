"""Draws moustache, goatee and beard. Numbers and short names: see ``drawing/__init__.py``."""

from __future__ import annotations

import torch
from torch import Tensor

from tmsa_core.avatars.drawing.canvas import Window, lit
from tmsa_core.avatars.drawing.context import DrawingContext
from tmsa_core.avatars.drawing.palette import Colour, times
from tmsa_core.avatars.drawing.sdf import affine, box, cover, ellipse, number, ramp


def draw_facial_hair(ctx: DrawingContext) -> None:
    """Draw a beard or goatee, a little darker than the hair; the mouth is drawn later."""
    kind = ctx.sitter["facial_hair"]
    if kind == "none":
        return
    colour = times(ctx.colours.hair, 0.84)
    if kind == "beard":
        _beard(ctx, colour)
    if kind == "goatee":
        _goatee(ctx, colour)


def draw_moustache(ctx: DrawingContext) -> None:
    """Draw the moustache, alone or as part of a beard, over the upper lip."""
    if ctx.sitter["facial_hair"] in ("moustache", "beard"):
        _moustache(ctx, times(ctx.colours.hair, 0.84))


def _paint(w: Window, d: Tensor, colour: Colour, light: Tensor, solid: bool = False) -> None:
    """Paint hair with signed distance d and brightness light, both (h, w), and its shadow."""
    w.multiply(ramp(0.045, 0.0, d, 0.35), (0.35, 0.28, 0.28))
    w.mix(cover(d, w.pixel * 1.6), lit(colour, light), solid=solid)


def _moustache(ctx: DrawingContext, colour: Colour) -> None:
    """Draw a moustache between nose and mouth."""
    g = ctx.face
    y = (g.nose_y + g.mouth_y - g.lip_upper) / 2 + 0.032
    w = ctx.window(-0.34, y - 0.12, 0.34, y + 0.20)
    if w is None:
        return
    a = w.x.abs()
    q = affine(a, 1 / 0.265, 0.0)
    square = q * q
    below = w.y - affine(square, 0.088, y - 0.012)
    thick = affine(ramp(0.0, 0.35, q), 0.060 * 0.38, 0.060 * 0.62)
    thick.addcmul_(thick, square.mul(q), value=-1)
    d = affine(below.abs(), 0.92, 0.0).sub_(thick)
    light = affine(ctx.strands(w), 0.20, 1.02).add_(ramp(0.02, -0.05, below, 0.35))
    _paint(w, d, colour, light)


def _goatee(ctx: DrawingContext, colour: Colour) -> None:
    """Draw a goatee and the patch below the lip."""
    g = ctx.face
    low = g.mouth_y + 0.4 * g.mouth_curve + 0.7 * g.mouth_open + g.lip_lower
    top, bottom = low + 0.03, g.chin + 0.115
    w = ctx.window(-0.24, top - 0.06, 0.24, bottom + 0.05)
    if w is None:
        return
    middle, half = (top + 0.025 + bottom) / 2, (bottom - top - 0.025) / 2
    t = ((w.y - middle) * (1 / half)).clamp(-1, 1)
    d = box(w.x, w.y, 0, middle, 0.160, half, min(0.12, half)) + ramp(0.1, 1.0, t, 0.035)
    patch = box(w.x, w.y, 0, top, 0.045, 0.05, 0.02)
    d = torch.minimum(d, patch)
    light = affine(ctx.strands(w), 0.20, 1.0).add_(ramp(0, 1.1, t, -0.2))
    light.add_(ramp(middle + 0.12, middle - 0.12, w.x + w.y, 0.22))
    _paint(w, d, colour, light, solid=True)


def _beard(ctx: DrawingContext, colour: Colour) -> None:
    """Draw a full beard along the jaw, which leaves the mouth free."""
    g = ctx.face
    w = ctx.window(-g.head_w - 0.02, -0.10, g.head_w + 0.02, g.chin + 0.16)
    if w is None:
        return
    t = ramp(g.mouth_y - 0.1, g.chin, w.y)
    level = g.head_level(w.flat, torch.sub(w.y, t, alpha=0.085))
    outline = affine(level, g.head_w, -g.head_w).sub_(t, alpha=0.012)
    a = w.x.abs()
    edge = affine(ramp(0.24, 0.47, a, -0.20), 1, 0.335).add_(ramp(0.40, 0.54, a, -0.30))
    d = torch.maximum(outline, (edge - w.y).mul_(number(0.8)))
    mouth = ellipse(
        w.x,
        w.y,
        0,
        g.mouth_y + 0.35 * g.mouth_open + 0.1 * g.mouth_curve + 0.004,
        g.mouth_w * 0.98,
        0.050 + g.lip_lower * 0.75 + 0.42 * g.mouth_open,
    )
    d = torch.maximum(d, mouth.neg_())
    light = affine(ctx.strands(w), 0.17, 0.98).add_(ramp(-0.10, 0.02, outline, -0.30))
    light.add_(ramp(0.5, -0.3, w.x, 0.24).mul_(ramp(0.7, 0.3, w.y)))
    _paint(w, d, colour, light, solid=True)
