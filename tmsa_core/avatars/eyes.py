"""Eyes, lids, lashes, brows and eye shadow."""

from __future__ import annotations

import torch

from tmsa_core.avatars.canvas import Window, lit
from tmsa_core.avatars.geometry import EYE_LEVEL
from tmsa_core.avatars.head import sorted_span
from tmsa_core.avatars.palette import INK, WHITE, blend, times
from tmsa_core.avatars.sdf import blob, brush, cover, disc, lash, length, power, ramp, strands
from tmsa_core.avatars.sketch import Sketch


def draw_eyes(s: Sketch) -> None:
    """Both eyes, open or closed."""
    g = s.g
    for side in (-1, 1):
        reach = g.eye_w + 0.115
        w = s.window(*sorted_span(side, g.eye_x - reach, EYE_LEVEL - 0.27, g.eye_x + reach, 0.16))
        if w is None:
            continue
        _socket(s, w, side)
        if g.closed:
            _closed_eye(s, w, side)
        else:
            _open_eye(s, w, side)


def _socket(s: Sketch, w: Window, side: int) -> None:
    """Shade around the eye, eye shadow above it."""
    g, a = s.g, w.x * side
    w.mix(blob(a, w.y, g.eye_x - 0.03, EYE_LEVEL - 0.06, 0.19, 0.11) * 0.30, s.colours.shadow)
    if s.sitter["makeup"] == "yes":
        q = ((a - g.eye_x) * (1 / (g.eye_w * 1.22))).clamp(-1, 1)
        arch = EYE_LEVEL - 0.03 - (g.eye_h + 0.055) * (1 - q.square()) - 0.035 * q
        d = torch.maximum(arch - w.y, w.y - EYE_LEVEL - 0.01)
        w.mix(ramp(0.02, -0.03, d) * 0.85, (0.56, 0.22, 0.72))
    if s.sitter["costume"] == "vampire":
        w.mix(blob(a, w.y, g.eye_x, EYE_LEVEL + 0.05, 0.18, 0.12) * 0.55, (0.38, 0.20, 0.34))


def _open_eye(s: Sketch, w: Window, side: int) -> None:
    g, c = s.g, s.colours
    female = s.sitter["gender"] == "female"
    a = w.x * side - g.eye_x
    q = a * (1 / g.eye_w)
    p = q.abs().clamp_(max=1.3)
    middle = q * -g.eye_tilt + (EYE_LEVEL + 0.1 * g.eye_h)
    upper = middle - (1 - power(p, 2.5)) * g.eye_h
    lower = middle + (1 - p * p) * (0.72 * g.eye_h)
    inside = cover(torch.maximum(upper - w.y, w.y - lower) * 0.8, w.pixel)
    shade = 1 - 0.34 * ramp(0.045, 0.0, w.y - upper) - 0.12 * ramp(0.6, 1.0, p)
    w.mix(inside, lit((0.985, 0.985, 0.99), shade))
    _iris(s, w, side, a, inside, upper)
    line = (w.y - upper).abs_() * 0.85 - (0.021 if female else 0.0125) * (1.06 - p * p * 0.5)
    line = torch.maximum(line, p * g.eye_w - g.eye_w * 1.03)
    w.mix(cover(line, w.pixel), INK)
    under = (w.y - lower).abs_() - 0.007 * (1 - 0.6 * p)
    under = torch.maximum(under, p * g.eye_w - g.eye_w)
    w.mix(cover(under, w.pixel) * 0.65, times(c.line, 0.75))
    crease = (w.y - upper + 0.042).abs_() - 0.009 * (1 - p * p)
    w.mix(cover(crease, w.pixel) * ramp(1.0, 0.8, p) * 0.55, c.line)
    if female:
        _lashes(s, w, side)


def _iris(
    s: Sketch, w: Window, side: int, a: torch.Tensor, inside: torch.Tensor, upper: torch.Tensor
) -> None:
    g, c = s.g, s.colours
    r, cy = 0.80 * g.eye_h, EYE_LEVEL + 0.012
    rho = length(a, w.y - cy)
    colour = lit(c.iris, 0.72 + 0.75 * ramp(cy - 0.6 * r, cy + r, w.y) * ramp(r, r * 0.3, rho))
    colour += 0.10 * ramp(cy, cy + r, w.y)
    w.mix(inside * cover(rho - r, w.pixel), colour)
    ring = cover((rho - r * 0.92).abs_() - 0.009, w.pixel)
    w.mix(inside * ring * 0.85, times(c.iris, 0.28))
    w.mix(inside * cover(rho - 0.44 * r, w.pixel), (0.03, 0.02, 0.03))
    w.mix(inside * ramp(0.035, 0.0, w.y - upper) * 0.35, (0.05, 0.04, 0.08))
    left = a * side  # light comes from the left for both eyes
    w.mix(inside * cover(disc(left, w.y, -0.34 * r, cy - 0.36 * r, 0.27 * r), w.pixel), WHITE)
    w.mix(inside * cover(disc(left, w.y, 0.38 * r, cy + 0.42 * r, 0.13 * r), w.pixel) * 0.8, WHITE)


def _lashes(s: Sketch, w: Window, side: int) -> None:
    g, a = s.g, w.x * side - s.g.eye_x
    for q, dx, dy in ((0.50, 0.030, -0.062), (0.76, 0.055, -0.060), (0.98, 0.088, -0.062)):
        x, y = g.eye_w * q, g.eye_lids(q)[0]
        w.mix(cover(lash(a, w.y, (x, y), (x + dx, y + dy), 0.017), w.pixel), INK)


def _closed_eye(s: Sketch, w: Window, side: int) -> None:
    g, c = s.g, s.colours
    female = s.sitter["gender"] == "female"
    a = w.x * side - g.eye_x
    q = (a * (1 / g.eye_w)).clamp(-1.2, 1.2)
    curve = EYE_LEVEL + 0.75 * g.eye_h * (0.44 - q * q) - g.eye_tilt * q
    lid = ramp(0.01, -0.01, w.y - curve) * blob(a, w.y, 0, EYE_LEVEL - 0.02, g.eye_w, g.eye_h)
    w.mix(lid * 0.40, c.shadow if s.sitter["makeup"] == "no" else (0.56, 0.22, 0.72))
    w.mix(blob(a, w.y, -0.02, EYE_LEVEL - 0.02, 0.06, 0.03) * 0.35, blend(c.skin, WHITE, 0.5))
    thick = 0.0215 if female else 0.017
    line = (w.y - curve).abs_() * 0.8 - thick * (1.1 - 0.6 * q * q)
    line = torch.maximum(line, q.abs() * g.eye_w - g.eye_w * 1.02)
    w.mix(cover(line, w.pixel), INK)
    for place in (-0.45, 0.0, 0.45, 0.8) if female else (0.0, 0.55):
        x, y = g.eye_w * place, g.eye_lids(place)[0]
        reach = 0.060 if female else 0.038
        tip = (x + 0.055 * (place + 0.1), y + reach)
        w.mix(cover(lash(a, w.y, (x, y), tip, 0.013), w.pixel), INK)
    if female:
        x, y = g.eye_w * 0.98, g.eye_lids(0.98)[0]
        w.mix(cover(lash(a, w.y, (x, y), (x + 0.085, y + 0.012), 0.015), w.pixel), INK)


def draw_brows(s: Sketch) -> None:
    """Thin arches of women, thick straight brows of men; bushy when old."""
    g, c = s.g, s.colours
    for side in (-1, 1):
        w = s.window(*sorted_span(side, 0.02, g.brow_y - 0.13, 0.50, g.brow_y + 0.15))
        if w is None:
            continue
        q = (w.x * side - g.eye_x * 1.06) * (1 / g.brow_w)
        middle = g.brow_y + g.brow_slope * q + g.brow_bend * (q - 0.15).square_()
        thin = 0.55 if s.sitter["gender"] == "female" else 0.25
        thick = g.brow_thickness * (1 - q.square() * 0.75) * (1 - thin * (q + 0.6).clamp(0, 1.6))
        d = (w.y - middle).abs_() * 0.92 - thick
        d = torch.maximum(d, (q.abs() - 1) * g.brow_w)
        texture = strands(q + (w.y - middle) * 6, 13.0)
        if s.sitter["age"] == "old":
            d = d + 0.006 * texture
        ink = lit(c.brow, 1 + 0.16 * texture)
        w.mix(cover(d, w.pixel * 1.3) * 0.96, ink)


def draw_brow_frown(s: Sketch) -> None:
    """The crease between the brows of a frown."""
    if s.sitter["expression"] != "frown":
        return
    w = s.window(-0.12, -0.36, 0.12, -0.06)
    if w is None:
        return
    d = brush(w.y, w.x.abs(), -0.20, 0.042, 0.07, 0.010, bend=0.012)
    w.mix(ramp(0.010, -0.006, d) * 0.8, s.colours.line)
