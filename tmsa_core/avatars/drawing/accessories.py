"""Draws glasses, headwear and earrings. Numbers and short names: see ``drawing/__init__.py``."""

from __future__ import annotations

import torch
from torch import Tensor

from tmsa_core.avatars.drawing.canvas import Pair, Window, lit
from tmsa_core.avatars.drawing.context import DrawingContext
from tmsa_core.avatars.drawing.geometry import EYE_LEVEL
from tmsa_core.avatars.drawing.head import EAR_LEVEL, ear_place
from tmsa_core.avatars.drawing.palette import (
    CLOTH,
    FRAME,
    GOLD,
    WHITE,
    Colour,
    blend,
    paleness,
    times,
)
from tmsa_core.avatars.drawing.sdf import (
    affine,
    bell,
    box,
    cover,
    disc,
    ellipse,
    length,
    number,
    ramp,
    segment,
)

LENS_Y = EYE_LEVEL + 0.015  # y of the middle of the lenses


def draw_eyewear(ctx: DrawingContext) -> None:
    """Draw clear glasses or dark sunglasses."""
    kind = ctx.sitter["eyewear"]
    if kind == "none":
        return
    frame = FRAME[ctx.sitter["frame_colour"]]
    for w in ctx.sides(0.0, LENS_Y - 0.26, 0.55, LENS_Y + 0.28):
        _lens(ctx, w, frame, dark=kind == "sunglasses")
    bridge = ctx.window(-0.1, LENS_Y - 0.1, 0.1, LENS_Y + 0.1)
    if bridge is not None:
        x, y = bridge.x, bridge.y
        arch = (y - LENS_Y + 0.055 - 2.2 * x * x).abs_() - 0.017
        gap = ctx.face.eye_x - _lens_half(ctx) - 0.01
        bridge.mix(cover(torch.maximum(arch, x.abs() - gap), bridge.pixel), frame)


def _lens_half(ctx: DrawingContext) -> float:
    """Half the width of a lens."""
    return 0.198 if ctx.sitter["frame_shape"] == "round" else 0.205


def _lens(ctx: DrawingContext, w: Pair, frame: Colour, dark: bool) -> None:
    """Draw both lenses, (2, h, w), with frames, temple arms and reflections."""
    g = ctx.face
    a, cx, half = w.x * w.side, g.eye_x + 0.004, _lens_half(ctx)
    if ctx.sitter["frame_shape"] == "round":
        d = disc(a, w.y, cx, LENS_Y, half)
    else:
        d = box(a, w.y, cx, LENS_Y, half, 0.150, 0.035)
    arm = segment(a, w.y, (cx + half, LENS_Y - 0.06), (g.head_w + 0.06, LENS_Y - 0.045)) - 0.018
    # Shadow on the face, temple arm, glass
    w.multiply(ramp(0.06, 0.0, affine(d, 1, -0.02).abs_(), 0.22), (0.35, 0.28, 0.28))
    w.mix(cover(arm, w.pixel), times(frame, 0.8), solid=True)
    glass = cover(d, w.pixel)
    if dark:
        fade = ramp(LENS_Y - half, LENS_Y + half, w.y, 2.1)
        w.mix(glass, lit((0.09, 0.09, 0.12), fade.add_(number(0.55))))
    else:
        w.mix(glass * number(0.13), (0.86, 0.94, 1.0))
    left = affine(a, 1, -cx) * w.side  # x within the lens: both shine on the same side
    # Two bright streaks across the glass, then the rim
    strength = 0.34 if dark else 0.24
    streak = torch.add(left, w.y, alpha=0.8)
    at = 0.8 * LENS_Y
    shine = ramp(0.052, 0.036, affine(streak, 1, 0.075 - at).abs_(), strength)
    shine.add_(ramp(0.02, 0.008, affine(streak, 1, -0.03 - at).abs_(), 0.7 * strength))
    w.mix(shine.mul_(glass).mul_(ramp(0.0, -0.05, d)), WHITE)
    light = ramp(LENS_Y + 0.1, LENS_Y - 0.25, torch.add(w.y, left, alpha=0.4), 0.35)
    rim = cover(d.abs_().sub_(number(0.0195)), w.pixel)
    w.mix(rim, lit(frame, light.add_(number(1.0))), solid=True)


def rim_line(ctx: DrawingContext, x: Tensor) -> Tensor:
    """Y of the lower edge of headwear at x, both (h, w), on the front of the head."""
    return affine(affine(x, 1 / ctx.face.head_w, 0.0).square_(), 0.10, ctx.face.rim)


def draw_headwear(ctx: DrawingContext) -> None:
    """Draw a beanie, cap or hat and its shadow on the face."""
    kind = ctx.sitter["headwear"]
    if kind == "none":
        return
    g = ctx.face
    w = ctx.window(-1.2, -1.3, 1.2, 0.05, turned=False)
    if w is None:
        return
    colour = CLOTH[ctx.sitter["headwear_colour"]]
    below = w.y - rim_line(ctx, w.flat)
    shade = ramp(0.16, -0.02, below).mul_(ramp(g.head_w * 1.05, g.head_w * 0.8, w.flat.abs(), 0.50))
    w.multiply(shade.mul_(w.covered()), (0.38, 0.28, 0.28))
    _HATS[kind](ctx, w, colour, below)


def _dome(ctx: DrawingContext, w: Window, sx: float, height: float) -> Tensor:
    """Signed distance (h, w) to a half ellipse above the rim."""
    g = ctx.face
    base = g.rim + 0.09
    return ellipse(w.flat, w.y, 0, base, g.head_w * sx, base - g.head_top + height)


def _fabric(w: Window, d: Tensor, colour: Colour, texture: Tensor | None = None) -> Tensor:
    """(3, h, w): cloth of a dome with signed distance d (h, w), with texture (h, w) if given."""
    light = affine(ramp(-0.3, 0.6, w.flat, -0.24), 1, 1.06).add_(ramp(-0.14, 0.0, d, -0.30))
    light.add_(ramp(0.35, 0.0, length(affine(w.flat, 1, 0.2), affine(w.y, 1, 0.68)), 0.12))
    if texture is not None:
        light.add_(texture)
    return lit(colour, light)


def _beanie(ctx: DrawingContext, w: Window, colour: Colour, below: Tensor) -> None:
    """Draw a knitted beanie with a pompon; below (h, w) is the distance below the rim."""
    g = ctx.face
    top = g.head_top - 0.17
    pompon = disc(w.flat, w.y, 0, max(top - 0.02, -0.90), 0.115)
    x, y = ctx.crop_position(w)
    angle = torch.atan2(x, y + 0.90)
    pompon = pompon - 0.014 * torch.sin(angle * 9)
    # The pompon, the knitted dome, the ribbed fold above the rim
    w.mix(cover(pompon, w.pixel), _fabric(w, pompon, blend(colour, WHITE, 0.55)), solid=True)
    d = torch.maximum(_dome(ctx, w, 1.15, 0.17), below)
    knit = ctx.strands(w).mul_(number(0.10))
    w.mix(cover(d, w.pixel), _fabric(w, d, colour, knit), solid=True)
    fold = torch.maximum(below - 0.015, -0.175 - below)
    fold = torch.maximum(fold, w.flat.abs() - g.head_w * 1.17)
    ribs = ctx.strands(w).mul_(number(0.17))
    w.multiply(ramp(0.05, 0.0, fold, 0.35).mul_(w.covered()), (0.4, 0.4, 0.4))
    light = 1.0 + ribs.add_(ramp(-0.04, 0.0, fold, -0.25)).add_(ramp(-0.2, 0.7, w.flat, -0.22))
    w.mix(cover(fold, w.pixel), lit(times(colour, 0.80), light), solid=True)


def _cap(ctx: DrawingContext, w: Window, colour: Colour, below: Tensor) -> None:
    """Draw a baseball cap with a badge; below (h, w) is the distance below the rim."""
    g = ctx.face
    d = torch.maximum(_dome(ctx, w, 1.12, 0.10), below + 0.03)
    seam = 0.05 * torch.cos(w.flat / (w.y - g.head_top + 0.35).clamp(min=0.15) * 5.0)
    w.mix(cover(d, w.pixel), _fabric(w, d, colour, seam), solid=True)
    x = w.flat - g.turn(0.0)
    # Badge and button
    badge = ellipse(x, w.y, 0, g.rim - 0.19, 0.115, 0.090)
    w.mix(cover(badge, w.pixel), blend(WHITE, colour, 0.05 + 0.5 * paleness(colour)))
    w.mix(cover(badge.abs() - 0.012, w.pixel), times(colour, 0.55))
    button = disc(w.flat, w.y, 0, g.head_top - 0.10, 0.035)
    w.mix(cover(button, w.pixel), times(colour, 0.75), solid=True)
    # The visor with its shadow
    half = g.head_w * 1.06
    t = (x * (1 / half)).square()
    upper = g.rim - 0.085 + 0.13 * t
    lower = g.rim + 0.055 + 0.02 * t
    visor = torch.maximum(torch.maximum(upper - w.y, w.y - lower), x.abs() - half)
    w.multiply(ramp(0.09, 0.0, visor, 0.40).mul_(w.covered()), (0.35, 0.27, 0.27))
    light = 0.62 + ramp(g.rim + 0.10, g.rim - 0.06, w.y, 0.55).add_(ramp(0.0, 0.6, x, -0.12))
    light.add_(ramp(0.02, 0.0, (w.y - upper - 0.012).abs_(), 0.30))
    w.mix(cover(visor - 0.008, w.pixel), lit(times(colour, 0.92), light), solid=True)


def _hat(ctx: DrawingContext, w: Window, colour: Colour, below: Tensor) -> None:
    """Draw a brimmed hat with a ribbon; below (h, w) is the distance below the rim."""
    g = ctx.face
    base, top = g.rim - 0.02, max(g.head_top - 0.28, -0.97)
    t = ((base - w.y) * (1 / (base - top))).clamp(0, 1.2)
    half = g.head_w * (1.06 - 0.22 * t)
    dent = bell(w.flat, 0, 0.2, 0.05)
    crown = torch.maximum((w.flat.abs() - half) * 0.97, top + dent + 0.10 * w.flat.square() - w.y)
    crown = torch.maximum(crown, w.y - base)
    w.mix(cover(crown - 0.02, w.pixel), _fabric(w, crown, colour), solid=True)
    # Ribbon, then the brim with its shadow
    band = torch.maximum(crown - 0.02, base - 0.17 + 0.06 * w.flat.square() - w.y)
    ribbon = times(colour, 0.30) if max(colour) > 0.3 else (0.75, 0.14, 0.16)
    w.mix(cover(band, w.pixel), lit(ribbon, 1.1 + ramp(-0.2, 0.6, w.flat, -0.3)))
    droop = g.rim - 0.005 + 0.05 * w.flat.square()
    down = w.y - droop
    brim = ellipse(w.flat, down, 0, 0, 0.93, 0.078)
    shade = ramp(0.10, 0.0, brim, 0.45).mul_(ramp(-0.02, 0.03, down))
    w.multiply(shade.mul_(w.covered()), (0.35, 0.27, 0.27))
    light = 1.08 + ramp(-0.02, 0.07, down, -0.45).add_(ramp(-0.2, 0.8, w.flat, -0.15))
    light.add_(ramp(-0.02, 0.0, brim, 0.18).mul_(ramp(0.0, -0.05, down)))
    w.mix(cover(brim, w.pixel), lit(colour, light), solid=True)


_HATS = {"beanie": _beanie, "cap": _cap, "hat": _hat}


def draw_earrings(ctx: DrawingContext) -> None:
    """Draw a gold stud with a hoop at each lobe, in front of any hair."""
    if ctx.sitter["earrings"] == "no":
        return
    x, middle = ear_place(ctx.face)
    x, y = x + 0.012, EAR_LEVEL + ctx.face.ear * 1.10
    for w in ctx.sides(x - 0.12, y - 0.06, x + 0.12, y + 0.22, turned=False, middle=middle):
        a = affine(w.flat, 1, -middle) * w.side
        hoop = disc(a, w.y, x, y + 0.085, 0.066).abs_().sub_(number(0.021))
        w.multiply(ramp(0.035, 0.0, hoop, 0.5).mul_(w.covered()), (0.3, 0.25, 0.22))
        left = affine(a, 1, -x) * w.side  # x within the ring: both shine on the same side
        light = ramp(y + 0.165, y + 0.005, left + w.y, 0.55)
        w.mix(cover(hoop, w.pixel), lit(GOLD, light.add_(number(0.85))), solid=True)
        stud = disc(a, w.y, x, y, 0.034)
        w.mix(cover(stud, w.pixel), (1.0, 0.88, 0.45), solid=True)
        w.mix(cover(disc(left, w.y, -0.010, y - 0.012, 0.013), w.pixel), WHITE)
