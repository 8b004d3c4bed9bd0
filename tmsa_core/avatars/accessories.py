"""Glasses, headwear and earrings."""

from __future__ import annotations

import torch
from torch import Tensor

from tmsa_core.avatars.canvas import Window, lit
from tmsa_core.avatars.geometry import EYE_LEVEL
from tmsa_core.avatars.head import ear_centre, sorted_span
from tmsa_core.avatars.palette import CLOTH, FRAME, GOLD, WHITE, Colour, blend, times
from tmsa_core.avatars.sdf import box, cover, disc, ellipse, length, ramp, segment
from tmsa_core.avatars.sketch import Sketch

LENS_Y = EYE_LEVEL + 0.015


def draw_eyewear(s: Sketch) -> None:
    """Clear glasses or dark sunglasses."""
    kind = s.sitter["eyewear"]
    if kind == "none":
        return
    frame = FRAME[s.sitter["frame_colour"]]
    for side in (-1, 1):
        w = s.window(*sorted_span(side, 0.0, LENS_Y - 0.26, 0.55, LENS_Y + 0.28))
        if w is not None:
            _lens(s, w, side, frame, dark=kind == "sunglasses")
    w = s.window(-0.1, LENS_Y - 0.1, 0.1, LENS_Y + 0.1)
    if w is not None:
        arch = (w.y - LENS_Y + 0.055 - 2.2 * w.x * w.x).abs_() - 0.017
        gap = s.g.eye_x - _lens_half(s) - 0.01
        w.mix(cover(torch.maximum(arch, w.x.abs() - gap), w.pixel), frame)


def _lens_half(s: Sketch) -> float:
    return 0.198 if s.sitter["frame_shape"] == "round" else 0.205


def _lens(s: Sketch, w: Window, side: int, frame: Colour, dark: bool) -> None:
    a, cx, half = w.x * side, s.g.eye_x + 0.004, _lens_half(s)
    if s.sitter["frame_shape"] == "round":
        d = disc(a, w.y, cx, LENS_Y, half)
    else:
        d = box(a, w.y, cx, LENS_Y, half, 0.150, 0.035)
    thick = 0.0195
    arm = segment(a, w.y, (cx + half, LENS_Y - 0.06), (s.g.head_w + 0.06, LENS_Y - 0.045)) - 0.018
    w.multiply(ramp(0.06, 0.0, (d - 0.02).abs()) * 0.22, (0.35, 0.28, 0.28))
    w.mix(cover(arm, w.pixel), times(frame, 0.8), solid=True)
    glass = cover(d, w.pixel)
    if dark:
        fade = ramp(LENS_Y - half, LENS_Y + half, w.y)
        w.mix(glass, lit((0.09, 0.09, 0.12), 0.55 + 2.1 * fade))
    else:
        w.mix(glass * 0.13, (0.86, 0.94, 1.0))
    left = w.x - side * cx
    streak = left + (w.y - LENS_Y) * 0.8
    shine = ramp(0.052, 0.036, (streak + 0.075).abs())
    shine += 0.7 * ramp(0.02, 0.008, (streak - 0.03).abs())
    w.mix(glass * shine * ramp(0.0, -0.05, d) * (0.34 if dark else 0.24), WHITE)
    rim = cover(d.abs() - thick, w.pixel)
    light = 1.0 + 0.35 * ramp(0.1, -0.25, w.y - LENS_Y + left * 0.4)
    w.mix(rim, lit(frame, light), solid=True)


def rim_line(s: Sketch, x: Tensor) -> Tensor:
    """y of the lower edge of headwear on the front of the head."""
    return s.g.rim + 0.10 * (x * (1 / s.g.head_w)).square_()


def draw_headwear(s: Sketch) -> None:
    """Beanie, cap or hat with its shadow on the face."""
    kind = s.sitter["headwear"]
    if kind == "none":
        return
    g = s.g
    w = s.window(-1.2, -1.3, 1.2, 0.05, turned=False)
    if w is None:
        return
    colour = CLOTH[s.sitter["headwear_colour"]]
    below = w.y - rim_line(s, w.flat)
    shade = ramp(0.16, -0.02, below) * ramp(g.head_w * 1.05, g.head_w * 0.8, w.flat.abs())
    w.multiply(shade * (1 - w.back) * 0.50, (0.38, 0.28, 0.28))
    _HATS[kind](s, w, colour, below)


def _dome(s: Sketch, w: Window, sx: float, height: float) -> Tensor:
    """A half ellipse above the rim."""
    g = s.g
    base = g.rim + 0.09
    return ellipse(w.flat, w.y, 0, base, g.head_w * sx, base - g.head_top + height)


def _fabric(w: Window, d: Tensor, colour: Colour, texture: Tensor | None = None) -> Tensor:
    light = 1.06 - 0.24 * ramp(-0.3, 0.6, w.flat) - 0.30 * ramp(-0.14, 0.0, d)
    light += 0.12 * ramp(0.35, 0.0, length(w.flat + 0.2, w.y + 0.68))
    if texture is not None:
        light += texture
    return lit(colour, light)


def _beanie(s: Sketch, w: Window, colour: Colour, below: Tensor) -> None:
    g = s.g
    top = g.head_top - 0.17
    pompon = disc(w.flat, w.y, 0, max(top - 0.02, -0.90), 0.115)
    angle = torch.atan2(w.flat, w.y - max(top - 0.02, -0.90))
    pompon = pompon - 0.014 * torch.sin(angle * 9)
    w.mix(cover(pompon, w.pixel), _fabric(w, pompon, blend(colour, WHITE, 0.55)), solid=True)
    d = torch.maximum(_dome(s, w, 1.15, 0.17), below)
    knit = 0.10 * torch.sin(w.flat / (0.55 + 0.9 * (w.y - top)).clamp(min=0.2) * 26)
    w.mix(cover(d, w.pixel), _fabric(w, d, colour, knit), solid=True)
    fold = torch.maximum(below - 0.015, -0.175 - below)
    fold = torch.maximum(fold, w.flat.abs() - g.head_w * 1.17)
    ribs = 0.15 * torch.sin(w.flat * (1 + 0.25 * w.flat * w.flat) * 30)
    w.multiply(ramp(0.05, 0.0, fold) * (1 - w.back) * 0.35, (0.4, 0.4, 0.4))
    light = 1.0 + ribs - 0.25 * ramp(-0.04, 0.0, fold) - 0.22 * ramp(-0.2, 0.7, w.flat)
    w.mix(cover(fold, w.pixel), lit(times(colour, 0.80), light), solid=True)


def _cap(s: Sketch, w: Window, colour: Colour, below: Tensor) -> None:
    g = s.g
    d = torch.maximum(_dome(s, w, 1.12, 0.10), below + 0.03)
    seam = 0.05 * torch.cos(w.flat / (w.y - g.head_top + 0.35).clamp(min=0.15) * 5.0)
    w.mix(cover(d, w.pixel), _fabric(w, d, colour, seam), solid=True)
    x = w.flat - g.turn(0.0)
    badge = ellipse(x, w.y, 0, g.rim - 0.19, 0.115, 0.090)
    w.mix(cover(badge, w.pixel), blend(WHITE, colour, 0.05 + 0.5 * _is_pale(colour)))
    w.mix(cover(badge.abs() - 0.012, w.pixel), times(colour, 0.55))
    button = disc(w.flat, w.y, 0, g.head_top - 0.10, 0.035)
    w.mix(cover(button, w.pixel), times(colour, 0.75), solid=True)
    half = g.head_w * 1.06
    t = (x * (1 / half)).square()
    upper = g.rim - 0.085 + 0.13 * t
    lower = g.rim + 0.055 + 0.02 * t
    visor = torch.maximum(torch.maximum(upper - w.y, w.y - lower), x.abs() - half)
    w.multiply(ramp(0.09, 0.0, visor) * (1 - w.back) * 0.40, (0.35, 0.27, 0.27))
    light = 0.62 + 0.55 * ramp(0.10, -0.06, w.y - g.rim) - 0.12 * ramp(0.0, 0.6, x)
    light += 0.30 * ramp(0.02, 0.0, (w.y - upper - 0.012).abs())
    w.mix(cover(visor - 0.008, w.pixel), lit(times(colour, 0.92), light), solid=True)


def _is_pale(colour: Colour) -> float:
    return 1.0 if min(colour) > 0.8 else 0.0


def _hat(s: Sketch, w: Window, colour: Colour, below: Tensor) -> None:
    g = s.g
    base, top = g.rim - 0.02, max(g.head_top - 0.28, -0.97)
    t = ((base - w.y) * (1 / (base - top))).clamp(0, 1.2)
    half = g.head_w * (1.06 - 0.22 * t)
    dent = 0.05 * torch.exp(-((w.flat * 5).square()))
    crown = torch.maximum((w.flat.abs() - half) * 0.97, top + dent + 0.10 * w.flat.square() - w.y)
    crown = torch.maximum(crown, w.y - base)
    w.mix(cover(crown - 0.02, w.pixel), _fabric(w, crown, colour), solid=True)
    band = torch.maximum(crown - 0.02, base - 0.17 + 0.06 * w.flat.square() - w.y)
    ribbon = times(colour, 0.30) if max(colour) > 0.3 else (0.75, 0.14, 0.16)
    w.mix(cover(band, w.pixel), lit(ribbon, 1.1 - 0.3 * ramp(-0.2, 0.6, w.flat)))
    droop = g.rim - 0.005 + 0.05 * w.flat.square()
    brim = ellipse(w.flat, w.y - droop, 0, 0, 0.93, 0.078)
    w.multiply(
        ramp(0.10, 0.0, brim) * ramp(-0.02, 0.03, w.y - droop) * (1 - w.back) * 0.45,
        (0.35, 0.27, 0.27),
    )
    light = 1.08 - 0.45 * ramp(-0.02, 0.07, w.y - droop) - 0.15 * ramp(-0.2, 0.8, w.flat)
    light += 0.18 * ramp(-0.02, 0.0, brim) * ramp(0.0, -0.05, w.y - droop)
    w.mix(cover(brim, w.pixel), lit(colour, light), solid=True)


_HATS = {"beanie": _beanie, "cap": _cap, "hat": _hat}


def draw_earrings(s: Sketch) -> None:
    """A gold stud with a hoop at each lobe, in front of any hair."""
    if s.sitter["earrings"] == "no":
        return
    for side in (-1, 1):
        ex, ey = ear_centre(s, side)
        cx, cy = ex + side * 0.012, ey + s.g.ear * 1.10
        w = s.window(cx - 0.12, cy - 0.06, cx + 0.12, cy + 0.22, turned=False)
        if w is None:
            continue
        hoop = disc(w.flat, w.y, cx, cy + 0.085, 0.066).abs() - 0.021
        w.multiply(ramp(0.035, 0.0, hoop) * (1 - w.back) * 0.5, (0.3, 0.25, 0.22))
        light = 0.85 + 0.55 * ramp(0.08, -0.08, w.flat - cx + w.y - cy - 0.085)
        w.mix(cover(hoop, w.pixel), lit(GOLD, light), solid=True)
        stud = disc(w.flat, w.y, cx, cy, 0.034)
        w.mix(cover(stud, w.pixel), (1.0, 0.88, 0.45), solid=True)
        w.mix(cover(disc(w.flat, w.y, cx - 0.010, cy - 0.012, 0.013), w.pixel), WHITE)
