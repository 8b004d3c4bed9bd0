"""Draws ears, head, cheeks, nose and the marks of age.

Numbers and short names: see ``drawing/__init__.py``.
"""

from __future__ import annotations

import torch

from tmsa_core.avatars.drawing.context import DrawingContext
from tmsa_core.avatars.drawing.geometry import EYE_LEVEL, Geometry
from tmsa_core.avatars.drawing.palette import BLACK, WHITE, blend, times
from tmsa_core.avatars.drawing.sdf import affine, blob, brush, cover, disc, ellipse, number, ramp
from tmsa_core.avatars.drawing.texture import forehead_texture, freckle_texture

EAR_LEVEL = 0.06  # y of the middle of the ears


def draw_ears(ctx: DrawingContext) -> None:
    """Draw both ears; the head is painted over their inner halves."""
    g, r, cy = ctx.face, ctx.face.ear, EAR_LEVEL
    x, middle = ear_place(g)
    for w in ctx.sides(x - r, cy - 1.4 * r, x + r, cy + 1.4 * r, turned=False, middle=middle):
        a = affine(w.x, 1, -middle) * w.side
        d = ellipse(a, w.y, x, cy, 0.72 * r, 1.22 * r)
        w.mix(cover(d, w.pixel), blend(ctx.colours.skin, ctx.colours.shadow, 0.22), solid=True)
        hollow = ellipse(a, w.y, x + 0.05 * r, cy - 0.05 * r, 0.40 * r, 0.80 * r)
        w.mix(ramp(0.02, -0.04, hollow, 0.75), ctx.colours.shadow)
        w.mix(cover(d, w.pixel).mul_(ramp(-0.03, 0, d, 0.4)), ctx.colours.shadow)


def ear_place(g: Geometry) -> tuple[float, float]:
    """Distance of an ear from the mirror between the ears, and x of that mirror.

    The mirror moves with the yaw, so that the ear on the near side of the head shows more.
    """
    return g.head_w + 0.025, -g.chin_shift * 0.45


def draw_head(ctx: DrawingContext) -> None:
    """Draw the bare head with shading and rim light, and the stubble of men."""
    w = ctx.head_window
    if w is None:
        return
    g, c = ctx.face, ctx.colours
    level = w.take(ctx.head_level)
    alpha = cover(affine(level, g.head_w, -g.head_w), w.pixel)
    w.mix(alpha, c.skin, solid=True)
    # Shade towards the outline, light on the forehead, rim light on the right
    side = affine(w.x, 0.8, 0.0).add_(w.y, alpha=0.55).clamp_(-0.8, 0.8)
    shade = ramp(0.45, 1.08, level).mul_(affine(side, 0.55, 0.46))
    w.mix(shade.add_(ramp(-0.1, 0.8, side, 0.10)).clamp_(0, 1).mul_(alpha), c.shadow)
    light = blob(w.x, w.y, -0.20, -0.34, 0.42, 0.36, 0.30)
    w.mix(light.mul_(alpha), blend(c.skin, WHITE, 0.5))
    rim = ramp(0.90, 0.965, level).mul_(ramp(1.01, 0.975, level)).mul_(ramp(0.1, 0.5, w.x, 0.38))
    w.mix(rim.mul_(alpha), blend(c.skin, WHITE, 0.55))
    if ctx.sitter["gender"] == "male":
        _stubble(ctx)


def _stubble(ctx: DrawingContext) -> None:
    """Draw the shade of stubble on jaw and upper lip, and the planes of the cheeks."""
    g = ctx.face
    r = g.head_w + 0.1
    w = ctx.window(-r, 0.12, r, g.chin + 0.02, turned=False)
    if w is None:
        return
    a = w.turned.abs()
    alpha = cover(affine(w.take(ctx.head_level), g.head_w, -g.head_w), w.pixel)
    strength = 0.07 if ctx.sitter["age"] == "kid" else 0.30
    jaw = ramp(0.36, 0.60, torch.add(w.y, a, alpha=0.42))
    jaw.addcmul_(jaw, blob(a, w.y, 0, g.mouth_y + 0.02, g.mouth_w * 0.85, 0.085, 0.75), value=-1)
    shade = torch.maximum(jaw, blob(a, w.y, 0, (g.mouth_y + g.nose_y) / 2, 0.2, 0.075, 0.8))
    w.multiply(shade.mul_(alpha).mul_(number(strength)), (0.52, 0.56, 0.64))
    plane = blob(a, w.y, 0.37, 0.36, 0.09, 0.17, strength * 0.75)
    w.mix(plane.mul_(alpha), ctx.colours.shadow)


def draw_cheeks(ctx: DrawingContext) -> None:
    """Draw the colour of the cheeks, blush, clown cheeks, freckles and the lift of a smile."""
    g, c = ctx.face, ctx.colours
    clown = ctx.sitter["costume"] == "clown"
    smiling = ctx.sitter["expression"] in ("smile", "grin")
    for w in ctx.sides(0.02, 0.10, 0.56, 0.50):
        a = w.x * w.side
        if clown:
            w.mix(cover(disc(a, w.y, 0.345, 0.235, 0.105), w.pixel * 1.5), (0.95, 0.28, 0.34))
        else:
            w.mix(blob(a, w.y, 0.34, 0.23, 0.14, 0.10, 0.22), times(c.skin, (1.0, 0.72, 0.68)))
        if ctx.sitter["makeup"] == "yes":
            w.mix(blob(a, w.y, 0.36, 0.215, 0.15, 0.095, 0.72), (0.93, 0.27, 0.42))
        if smiling:
            fold = brush(w.y, a, g.mouth_y - 0.02, g.mouth_w + 0.065, 0.12, 0.012, 0.02, -0.035)
            w.mix(ramp(0.014, -0.008, fold, 0.75), c.shadow)
            w.mix(blob(a, w.y, 0.33, 0.19, 0.10, 0.05, 0.3), blend(c.skin, WHITE, 0.45))
    if ctx.sitter["freckles"] == "yes":
        _freckles(ctx)


def _freckles(ctx: DrawingContext) -> None:
    """Draw freckles on cheeks and nose, at fixed places of the crop."""
    w = ctx.window(-0.49, 0.0, 0.49, 0.39)
    if w is None:
        return
    spots = freckle_texture(*ctx.crop_position(w)).mul_(number(0.85))
    w.mix(spots, times(ctx.colours.skin, (0.62, 0.40, 0.26)))


def draw_nose(ctx: DrawingContext) -> None:
    """Draw the nose from shade, light and nostrils, and the red nose of the clown."""
    g, c = ctx.face, ctx.colours
    w = ctx.window(-g.nose_w - 0.13, -0.2, g.nose_w + 0.13, g.nose_y + 0.12)
    if w is None:
        return
    n, y0 = g.nose_w, g.nose_y
    a = w.x.abs()
    w.mix(blob(w.x, w.y, n * 0.55, y0 - 0.11, 0.042, 0.13, 0.50), c.shadow)
    w.mix(blob(w.x, w.y, 0.02, y0 + 0.045, n * 1.1, 0.034, 0.62), c.shadow)
    w.mix(blob(w.x, w.y, -0.018, 0.03, 0.030, 0.13, 0.36), blend(c.skin, WHITE, 0.5))
    # Tip and wings, base, nostrils, shine
    tip = ellipse(w.x, w.y, 0, y0 - 0.035, n * 0.74, 0.060)
    wing = ellipse(a, w.y, n * 0.72, y0 - 0.012, n * 0.34, 0.038)
    w.mix(ramp(0.02, -0.01, torch.minimum(tip, wing), 0.55), blend(c.skin, c.shadow, 0.12))
    base = brush(w.x, w.y, 0, y0 + 0.022, n * 1.08, 0.015, bend=-0.035)
    w.mix(ramp(0.010, -0.006, base, 0.75), c.line)
    nostril = ellipse(a, w.y, n * 0.40, y0 + 0.006, n * 0.20, 0.013)
    w.mix(cover(nostril, w.pixel, 0.85), times(c.line, 0.6))
    w.mix(blob(w.x, w.y, -0.02, y0 - 0.055, 0.028, 0.024, 0.6), blend(c.skin, WHITE, 0.75))
    if ctx.sitter["costume"] == "clown":
        d = disc(w.x, w.y, 0, y0 - 0.01, 0.105)
        w.multiply(blob(w.x, w.y, 0.01, y0 + 0.06, 0.11, 0.07, 0.5), (0.4, 0.3, 0.3))
        w.mix(cover(d, w.pixel), blend((0.92, 0.08, 0.10), BLACK, 0.06))
        edge = ramp(-0.06, 0.0, d + 0.3 * (w.x + w.y - y0))
        w.mix(edge.mul_(cover(d, w.pixel)), (0.70, 0.02, 0.06))
        w.mix(blob(w.x, w.y, -0.035, y0 - 0.05, 0.028, 0.024, 0.9), WHITE)


def draw_age_lines(ctx: DrawingContext) -> None:
    """Draw folds, bags and jowls of the old, and forehead lines and crow's feet if wrinkled."""
    c = ctx.colours
    if ctx.sitter["age"] == "old":
        _old_folds(ctx)
    if ctx.sitter["wrinkles"] == "no":
        return
    forehead = ctx.window(-0.36, -0.50, 0.36, -0.19)
    if forehead is not None:
        lines = forehead_texture(*ctx.crop_position(forehead))
        forehead.mix(lines.mul_(number(0.85)), c.line)
    for w in ctx.sides(0.06, -0.16, 0.56, 0.20):
        a, start = w.x * w.side, ctx.face.eye_x + ctx.face.eye_w + 0.055
        for slope, y in ((-0.034, -0.095), (0.0, EYE_LEVEL + 0.005), (0.034, 0.015)):
            foot = brush(a, w.y, start, y, 0.058, 0.0105, slope=slope)
            w.mix(ramp(0.010, -0.006, foot, 0.9), c.line)
        under = brush(a, w.y, ctx.face.eye_x + 0.01, 0.115, 0.12, 0.009, bend=-0.03)
        w.mix(ramp(0.010, -0.006, under, 0.6), c.line)


def _old_folds(ctx: DrawingContext) -> None:
    """Draw bags under the eyes, folds beside the mouth and jowls."""
    g, c = ctx.face, ctx.colours
    for w in ctx.sides(0.04, 0.0, 0.56, g.chin):
        a, face = w.x * w.side, ramp(0.99, 0.90, w.take(ctx.head_level))
        bag = brush(a, w.y, g.eye_x, 0.075, 0.13, 0.016, bend=-0.045)
        w.mix(ramp(0.045, -0.010, bag, 0.55).mul_(ramp(0.13, 0.07, w.y)), c.shadow)
        w.mix(ramp(0.010, -0.006, bag, 0.75), c.line)
        middle = (g.nose_y + g.mouth_y) / 2 + 0.045
        fold = brush(w.y, a, middle, g.nose_w + 0.125, 0.135, 0.013, slope=0.06, bend=-0.02)
        w.mix(ramp(0.035, -0.01, fold, 0.55).mul_(face), c.shadow)
        w.mix(ramp(0.012, -0.006, fold, 0.85).mul_(face), c.line)
        jowl = brush(w.y, a, g.chin - 0.14, 0.215, 0.085, 0.012, slope=0.03, bend=-0.02)
        w.mix(ramp(0.030, -0.01, jowl, 0.7).mul_(face), c.shadow)
        w.mix(blob(a, w.y, 0.37, 0.30, 0.055, 0.13, 0.42).mul_(face), c.shadow)
