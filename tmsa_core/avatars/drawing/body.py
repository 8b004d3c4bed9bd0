"""Draws the backdrop, neck, shoulders and clothes.

Numbers and short names: see ``drawing/__init__.py``.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tmsa_core.avatars.drawing.canvas import Window, lit
from tmsa_core.avatars.drawing.context import DrawingContext
from tmsa_core.avatars.drawing.palette import (
    BACKGROUND,
    CLOTH,
    WHITE,
    Colour,
    blend,
    paleness,
    times,
)
from tmsa_core.avatars.drawing.sdf import (
    affine,
    blob,
    brush,
    cover,
    disc,
    ellipse,
    length,
    number,
    polygon,
    power,
    ramp,
    segment,
)

NECK_BASE = 0.84  # y at which the neck meets the clothes
FAR = 9.0  # below every image


def draw_background(ctx: DrawingContext) -> None:
    """Draw a soft gradient, lighter behind the head and darker towards the corners."""
    w = ctx.canvas.full()
    away = length(affine(w.x, 1, 0.25), affine(w.y, 0.9, 0.9 * 0.35))
    w.rgb.copy_(lit(BACKGROUND[ctx.sitter["background"]], 1.05 + ramp(0.3, 1.7, away, -0.17)))


def draw_body(ctx: DrawingContext) -> None:
    """Draw the shoulders in their clothes, then the neck with the shadow of the chin."""
    cloth = CLOTH[ctx.sitter["clothes_colour"]]
    costume = ctx.sitter["costume"]
    if costume in ("vampire", "rock_star"):
        cloth = (0.11, 0.10, 0.13)
    hoodie = ctx.sitter["clothes"] == "hoodie" and costume in ("none", "clown")
    if hoodie:
        _hood_behind(ctx, cloth)
    _torso(ctx, cloth)
    _neck(ctx)
    if costume == "vampire":
        _dress_shirt(ctx)
    elif costume == "rock_star":
        _leather_jacket(ctx)
    else:
        _CLOTHES[ctx.sitter["clothes"]](ctx, cloth)
    if costume == "clown":
        _ruffle(ctx)


def _torso_distance(ctx: DrawingContext, w: Window) -> Tensor:
    """Signed distance (h, w) to the torso, a superellipse."""
    ax = affine(w.x, 1 / ctx.face.shoulder_w, 0.0).abs_()
    ay = affine(w.y, -1 / 0.64, 1.46 / 0.64).clamp_(min=0)
    level = power(power(ax, 2.7).add_(power(ay, 2.7)).clamp_(min=1e-6), 1 / 2.7)
    return affine(level, 0.62, -0.62)


def _torso(ctx: DrawingContext, cloth: Colour) -> None:
    """Draw the torso and the folds at the arms."""
    w = ctx.window(-ctx.face.shoulder_w - 0.05, 0.78, ctx.face.shoulder_w + 0.05, FAR, turned=False)
    if w is None:
        return
    d = _torso_distance(ctx, w)
    light = affine(affine(d, 1, 0.08).clamp_(-0.5, 0.3), 0.35, 1.08)
    light.add_(ramp(-0.2, 0.9, w.x, -0.16)).add_(ramp(-0.05, 0.0, d, 0.10))
    alpha = cover(d, w.pixel)
    w.mix(alpha, lit(cloth, light), solid=True)
    fold = brush(w.x.abs(), w.y, ctx.face.shoulder_w * 0.80, 1.06, 0.035, 0.22)
    w.multiply(ramp(0.03, -0.05, fold, 0.25).mul_(alpha), (0.3, 0.3, 0.35))


def _neck(ctx: DrawingContext) -> None:
    """Draw the neck with the shadow of the chin, and the Adam's apple of men."""
    g, n = ctx.face, ctx.face.neck_w
    w = ctx.window(-n - 0.12, 0.2, n + 0.12, NECK_BASE + 0.16, turned=False)
    if w is None:
        return
    column = affine(w.x.abs(), 1, -n).sub_(ramp(0.68, NECK_BASE, w.y, 0.05))
    column = torch.maximum(column, affine(w.y, 1, -NECK_BASE))
    d = torch.minimum(column, _neckline(ctx, w))
    alpha = cover(d, w.pixel)
    w.mix(alpha, ctx.colours.skin, solid=True)
    chin = ramp(g.chin + 0.16, g.chin - 0.02, torch.addcmul(w.y, w.x, w.x, value=0.18), 0.85)
    sides = ramp(n * 0.45, n * 1.25, affine(w.x, 1, 0.03).abs_(), 0.45)
    w.mix(torch.maximum(chin, sides).mul_(alpha), times(ctx.colours.shadow, 0.88))
    if ctx.sitter["gender"] == "male" and ctx.sitter["age"] != "kid":
        w.mix(blob(w.x, w.y, 0.0, 0.79, 0.035, 0.03, 0.5).mul_(alpha), ctx.colours.skin)


def _neckline(ctx: DrawingContext, w: Window) -> Tensor:
    """Signed distance (h, w) to the round end of the neck, where clothes begin."""
    return ellipse(w.x, w.y, 0, NECK_BASE, ctx.face.neck_w + 0.05, 0.075)


def _tshirt(ctx: DrawingContext, cloth: Colour) -> None:
    """Draw the ribbed band of a T-shirt."""
    w = ctx.window(-0.55, NECK_BASE - 0.02, 0.55, 1.0, turned=False)
    if w is None:
        return
    line = _neckline(ctx, w)
    band = affine(line, 1, -0.022).abs_().sub_(number(0.024))
    below = cover(affine(w.y, -1, NECK_BASE - 0.03), w.pixel)
    w.mix(cover(band, w.pixel).mul_(below), times(cloth, 0.78))
    shade = ramp(0.03, 0.0, affine(line, 1, -0.05).abs_(), 0.3)
    w.multiply(shade.mul_(below), (0.3, 0.3, 0.35))


def _collar(ctx: DrawingContext, cloth: Colour) -> None:
    """Draw the collar, placket and buttons of a shirt."""
    n = ctx.face.neck_w
    w = ctx.window(-n - 0.35, NECK_BASE - 0.12, n + 0.35, FAR, turned=False)
    if w is None:
        return
    ax = w.x.abs()
    flap_colour = WHITE if ctx.sitter["clothes_colour"] != "white" else (0.66, 0.74, 0.86)
    placket = cover(torch.maximum(ax - 0.05, NECK_BASE + 0.08 - w.y), w.pixel)
    w.mix(placket, times(cloth, 0.86))
    for y in (1.02, 1.16, 1.30):
        w.mix(cover(disc(w.x, w.y, 0, y, 0.018), w.pixel), blend(cloth, flap_colour, 0.8))
    corners = [
        (n - 0.01, NECK_BASE - 0.10),
        (n + 0.12, NECK_BASE - 0.02),
        (n + 0.12, NECK_BASE + 0.17),
        (0.015, NECK_BASE + 0.09),
        (n - 0.05, NECK_BASE + 0.02),
    ]
    d = polygon(ax, w.y, corners) - 0.008
    w.multiply(ramp(0.05, 0.0, d, 0.4), (0.25, 0.25, 0.3))
    light = 0.98 + ramp(-0.05, 0.0, d, -0.12).add_(ramp(0.0, 0.3, w.x, -0.06))
    w.mix(cover(d, w.pixel), lit(flap_colour, light), solid=True)


def _hood_behind(ctx: DrawingContext, cloth: Colour) -> None:
    """Draw the hood of a hoodie behind the neck."""
    n = ctx.face.neck_w
    w = ctx.window(-n - 0.5, 0.5, n + 0.5, 1.1, turned=False)
    if w is None:
        return
    d = ellipse(w.x, w.y, 0, 0.82, n + 0.30, 0.22)
    w.mix(cover(d, w.pixel), lit(cloth, 0.62 + ramp(-0.10, 0, d, 0.25)), solid=True)


def _hoodie(ctx: DrawingContext, cloth: Colour) -> None:
    """Draw the rolled front of the hood and its cords."""
    n = ctx.face.neck_w
    w = ctx.window(-n - 0.4, NECK_BASE - 0.18, n + 0.4, 1.3, turned=False)
    if w is None:
        return
    ax = w.x.abs()
    start, end = (n + 0.16, NECK_BASE - 0.08), (0.05, NECK_BASE + 0.14)
    roll = segment(ax, w.y, start, end) - 0.062
    w.multiply(ramp(0.06, 0.0, roll, 0.45), (0.2, 0.2, 0.25))
    w.mix(cover(roll, w.pixel), lit(cloth, 1.16 + ramp(-0.06, 0, roll, -0.45)), solid=True)
    cord = segment(ax, w.y, (0.10, NECK_BASE + 0.11), (0.12, 1.07)) - 0.014
    w.mix(cover(cord, w.pixel), blend(WHITE, times(cloth, 0.5), 0.05 + 0.75 * paleness(cloth)))


_CLOTHES = {"tshirt": _tshirt, "collar": _collar, "hoodie": _hoodie}


def _dress_shirt(ctx: DrawingContext) -> None:
    """Draw the shirt front of the vampire."""
    w = ctx.window(-0.35, NECK_BASE - 0.08, 0.35, FAR, turned=False)
    if w is None:
        return
    ax = w.x.abs()
    front = polygon(ax, w.y, [(0, NECK_BASE), (0.23, NECK_BASE + 0.03), (0.0, 1.45)])
    w.mix(cover(front, w.pixel), (0.93, 0.93, 0.95))
    bow = polygon(
        ax,
        w.y,
        [(0.0, 0.895), (0.14, 0.845), (0.14, 0.985), (0.0, 0.935)],
    )
    w.mix(cover(bow - 0.012, w.pixel), (0.62, 0.03, 0.08))
    w.mix(cover(disc(w.x, w.y, 0, 0.915, 0.032), w.pixel), (0.85, 0.10, 0.14))


def _leather_jacket(ctx: DrawingContext) -> None:
    """Draw the open jacket of the rock star."""
    n = ctx.face.neck_w
    w = ctx.window(-0.9, NECK_BASE - 0.1, 0.9, FAR, turned=False)
    if w is None:
        return
    ax = w.x.abs()
    shirt = polygon(ax, w.y, [(0, NECK_BASE), (n + 0.06, NECK_BASE + 0.01), (0.0, 1.5)])
    neck = cover(_neckline(ctx, w), w.pixel)
    w.mix(cover(shirt, w.pixel) * (1 - neck), (0.90, 0.90, 0.92))
    lapel = polygon(
        ax,
        w.y,
        [(n, 0.76), (n + 0.20, 0.85), (n + 0.17, 1.02), (0.30, 1.0), (0.05, 1.4), (0.0, 1.2)],
    )
    light = 1.9 + ramp(-0.06, 0, lapel, -0.9)
    w.mix(cover(lapel - 0.01, w.pixel), lit((0.13, 0.12, 0.15), light), solid=True)
    for step in range(4):
        cx, cy = n + 0.155 - 0.028 * step, 0.865 + 0.045 * step
        w.mix(cover(disc(ax, w.y, cx, cy, 0.019), w.pixel), (0.93, 0.94, 0.97))
    for step in range(3):
        cx = min(n + 0.30 + 0.075 * step, ctx.face.shoulder_w - 0.06)
        w.mix(cover(disc(ax, w.y, cx, 0.93 + 0.022 * step, 0.021), w.pixel), (0.90, 0.91, 0.95))


def _ruffle(ctx: DrawingContext) -> None:
    """Draw the frilled collar of the clown."""
    n = ctx.face.neck_w
    w = ctx.window(-n - 0.4, 0.7, n + 0.4, 1.15, turned=False)
    if w is None:
        return
    angle = torch.atan2(w.y - 0.83, w.x)
    wave = torch.cos(angle * 14)
    front = ramp(0.76, 0.80, w.y)
    d = ellipse(w.x, w.y, 0, 0.85, n + 0.24, 0.13) - 0.02 * wave
    hole = ellipse(w.x, w.y, 0, 0.80, n + 0.02, 0.07)
    d = torch.maximum(d, -hole)
    light = 0.93 + 0.10 * wave + ramp(0.10, 0.0, hole, -0.12)
    w.mix(cover(d, w.pixel) * front, lit((1.0, 0.93, 0.35), light), solid=True)
    rim = cover((d + 0.012).abs() - 0.014, w.pixel) * cover(0.02 - hole, w.pixel)
    w.mix(rim * front, (0.90, 0.16, 0.22))


def draw_vampire_collar(ctx: DrawingContext) -> None:
    """Draw the high, red-lined collar around the head, never over it."""
    if ctx.sitter["costume"] != "vampire":
        return
    w = ctx.window(-1.1, -0.12, 1.1, 1.25, turned=False)
    if w is None:
        return
    ax, n = w.x.abs(), ctx.face.neck_w
    outer = [(n, 0.86), (0.66, 0.30), (0.93, -0.02), (0.90, 0.55), (0.62, 1.02), (0.25, 1.2)]
    inner = [(n - 0.01, 0.84), (0.66, 0.36), (0.865, 0.12), (0.83, 0.52), (0.55, 0.92)]
    outside = cover(affine(w.take(ctx.head_level), -1, 1.02), w.pixel * 2)
    outside *= cover(torch.maximum(w.y - NECK_BASE - 0.02, ax - n) * -1, w.pixel)
    edge = polygon(ax, w.y, outer) - 0.01
    w.mix(cover(edge, w.pixel) * outside, lit((0.12, 0.10, 0.14), 1.2 + 2 * edge), solid=True)
    lining = polygon(ax, w.y, inner)
    light = 0.72 + ramp(0.45, 0.95, ax, 0.6).add_(ramp(-0.04, 0, lining, -0.3))
    w.mix(cover(lining, w.pixel) * outside, lit((0.80, 0.05, 0.10), light))
