"""Twelve hair styles: what lies behind the head and what lies over it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from tmsa_core.avatars.drawing.accessories import rim_line
from tmsa_core.avatars.drawing.canvas import Pair, Window, lit
from tmsa_core.avatars.drawing.context import DrawingContext
from tmsa_core.avatars.drawing.palette import WHITE, Colour, blend, times
from tmsa_core.avatars.drawing.sdf import (
    affine,
    bell,
    blob,
    box,
    cover,
    disc,
    length,
    number,
    power,
    ramp,
    segment,
)
from tmsa_core.avatars.drawing.texture import curl_texture

TIE: Colour = (0.20, 0.70, 0.72)
PARTING = -0.22
TAIL = 0.19  # from the side of the head to a pony tail
EXTENT: dict[str, tuple[float, float]] = {  # beyond the skull, and lowest y, of the front hair
    "short": (0.10, 0.15),
    "side_part": (0.16, 0.15),
    "spiky": (0.34, 0.16),
    "curly": (0.34, 0.50),
    "bob": (0.28, 0.75),
    "long": (0.26, 1.60),
    "wavy": (0.36, 1.60),
    "bun": (0.10, 0.12),
    "ponytail": (0.10, 0.12),
    "pigtails": (0.12, 0.16),
}


def draw_rear_hair(s: DrawingContext) -> None:
    """Everything behind the head and the shoulders."""
    painter = _REAR.get(s.sitter["hair_style"])
    if painter is not None:
        painter(s)


def draw_front_hair(s: DrawingContext) -> None:
    """Fringe, crown and locks over the head, with the shadow they throw on the face."""
    style = s.sitter["hair_style"]
    if style == "bald":
        _bald_gloss(s)
        return
    if style == "mohawk":
        _mohawk(s)
        return
    margin, low = EXTENT[style]
    reach = s.g.head_w + margin
    w = s.window(-reach, s.g.head_top - margin, reach, low, turned=False)
    if w is None:
        return
    d = _FRONT[style](s, w, w.turned)
    _shadow(s, w, d)
    _paint(s, w, _under_hat(s, w, d), _grain(s, w), _gloss(s, w))
    if style in ("side_part", "long", "pigtails"):
        _parting(s, w, PARTING if style == "side_part" else 0.0)


def _under_hat(s: DrawingContext, w: Window | Pair, d: Tensor) -> Tensor:
    if s.sitter["headwear"] == "none":
        return d
    return torch.maximum(d, rim_line(s, w.flat) - 0.03 - w.y)


def _shadow(s: DrawingContext, w: Window, d: Tensor) -> None:
    w.multiply(ramp(0.085, -0.01, d, 0.42).mul_(w.covered()), (0.45, 0.32, 0.32))


def _grain(s: DrawingContext, w: Window) -> Tensor:
    """Curls or strands, as the style has them."""
    return curl_texture(*s.laid(w)) if s.sitter["hair_style"] == "curly" else s.strands(w)


def _gloss(s: DrawingContext, w: Window) -> Tensor:
    """A band of light around the crown, brightest on the side of the lamp."""
    below = torch.addcmul(w.y, w.flat, w.flat, value=-0.42)
    band = bell(below, s.g.head_top + 0.21, 0.085)
    return band.mul_(affine(w.flat, -0.55, 0.65).clamp_(0.1, 1))


def _paint(
    s: DrawingContext,
    w: Window | Pair,
    d: Tensor,
    grain: Tensor,
    gloss: Tensor | None,
    dim: float = 1.0,
) -> None:
    light = affine(grain, 0.15 * dim, 0.97 * dim).add_(ramp(-0.2, 0.8, w.flat, -0.15 * dim))
    light.add_(ramp(-0.1, 0.9, w.y, -0.10 * dim)).add_(ramp(-0.075, 0.0, d, -0.26))
    sheen = None
    if gloss is not None:
        base = s.colours.hair
        strength = 0.20 + 0.12 * (1 - max(base))
        sheen = affine(grain, 0.45 * strength, strength).mul_(gloss)
    w.mix(cover(d, w.pixel * 1.15), lit(s.colours.hair, light, sheen), solid=True)


def _crown(s: DrawingContext, w: Window, sx: float, sy: float) -> Tensor:
    """The skull enlarged; straight down below its widest place."""
    g = s.g
    half = g.head_w * sx
    steep = half / ((g.head_mid - g.head_top) * sy)
    up = affine(w.y, -steep, steep * g.head_mid).clamp_(min=0)
    return length(w.flat, up).sub_(number(half))


def _opening(
    s: DrawingContext, u: Tensor, y: Tensor, top: float, half: float = 0.88, n: float = 2.6
) -> Tensor:
    """The part of the face that hair leaves free: an arch, open below."""
    g = s.g
    steep, width = 1 / (0.10 - top), g.head_w * half
    up = affine(y, -steep, 0.10 * steep).clamp_(min=0)
    across = affine(u.abs(), 1 / width, 0.0)
    level = power(power(across.clamp_(min=1e-3), n).add_(power(up, n)), 1 / n)
    return affine(level, width, -width)


def _hairline(s: DrawingContext, adult: float) -> float:
    """Hairlines follow the top of the head half way."""
    return adult + 0.5 * (s.g.head_top + 0.68)


def _wave(t: Tensor) -> Tensor:
    """Triangle wave in [0, 1] with period 1."""
    return 1 - 2 * (t - t.floor() - 0.5).abs()


def _bald_gloss(s: DrawingContext) -> None:
    w = s.head
    if w is None:
        return
    inside = ramp(1.0, 0.93, w.take(s.level))
    top, skin = s.g.head_top, s.colours.skin
    large = blob(w.x, w.y, -0.17, top + 0.20, 0.17, 0.085, 0.85)
    w.mix(large.mul_(inside), blend(skin, WHITE, 0.80))
    small = blob(w.x, w.y, 0.13, top + 0.13, 0.06, 0.03, 0.5)
    w.mix(small.mul_(inside), blend(skin, WHITE, 0.7))


# --- over the head -------------------------------------------------------------------------


def _short(s: DrawingContext, w: Window, u: Tensor) -> Tensor:
    p, _ = s.laid(w)
    tuft = torch.sin(affine(p, 24.0, 1.0)).mul_(number(0.008))
    tuft.add_(torch.sin(p * number(41.0)), alpha=0.007)
    d = _crown(s, w, 1.035, 1.095).sub_(tuft * ramp(0.1, -0.4, w.y))
    face = _opening(s, u, torch.add(w.y, tuft, alpha=1.6), _hairline(s, -0.445), 0.925, 2.7)
    sideburn = affine(w.y, 0.9, -0.9 * 0.04)
    return torch.maximum(torch.maximum(d, face.neg_()), sideburn)


def _side_part(s: DrawingContext, w: Window, u: Tensor) -> Tensor:
    right = (u - PARTING).clamp(min=0)
    volume = blob(w.flat, w.y, 0.12, s.g.head_top, 0.42, 0.30, 0.085)
    d = _crown(s, w, 1.045, 1.085) - volume
    sweep = w.y - 0.46 * right + 0.42 * right * right + 0.02
    face = _opening(s, u, sweep, _hairline(s, -0.47), 0.91, 3.0)
    return torch.maximum(torch.maximum(d, -face), (w.y - 0.05) * 0.9)


def _spiky(s: DrawingContext, w: Window, u: Tensor) -> Tensor:
    p, q = s.laid(w)
    angle = torch.atan2(p, (0.06 - q).clamp(min=0.05))
    spikes = _wave(angle * 2.1 + 0.5) * ramp(1.45, 0.9, angle.abs())
    d = _crown(s, w, 1.03, 1.03) - 0.27 * spikes + 0.02
    zigzag = 0.10 * _wave(p * 4.2 + 0.5)
    face = _opening(s, u, w.y - zigzag + 0.03, _hairline(s, -0.44), 0.90, 3.0)
    return torch.maximum(torch.maximum(d * 0.75, -face), (w.y - 0.06) * 0.9)


def _afro(s: DrawingContext, w: Window) -> Tensor:
    cy = -0.20 + 0.5 * (s.g.head_top + 0.68)
    p, q = s.laid(w)
    angle = torch.atan2(p, q + 0.20)
    scallop = 0.050 * torch.sin(angle * 9).abs_()
    return length(w.flat * 0.97, w.y - cy) - (s.g.head_w + 0.19) - scallop


def _curly(s: DrawingContext, w: Window, u: Tensor) -> Tensor:
    p, q = s.laid(w)
    ripple = 0.040 * torch.sin(p * 17 + 1.57) + 0.02 * torch.sin(q * 19)
    face = _opening(s, u, w.y - ripple, _hairline(s, -0.37), 0.86, 2.3)
    return torch.maximum(_afro(s, w), -face + ripple * 0.3)


def _bob(s: DrawingContext, w: Window, u: Tensor) -> Tensor:
    fringe = 0.012 * torch.sin(s.laid(w)[0] * 30)
    face = _opening(s, u, w.y + fringe, _hairline(s, -0.315), 0.85, 5.0)
    inward = ramp(0.1, 0.5, w.y, 0.09)  # tips turn towards the chin
    return torch.maximum(_bob_outline(s, w), -face - inward)


def _bob_outline(s: DrawingContext, w: Window) -> Tensor:
    body = _crown(s, w, 1.20, 1.10) + ramp(0.30, 0.62, w.y, 0.10)
    return torch.maximum(body, w.y - 0.50 - 0.25 * w.flat.abs() + 0.13)


def _long(s: DrawingContext, w: Window, u: Tensor) -> Tensor:
    face = _opening(s, u, w.y, _hairline(s, -0.52), 0.90, 1.75)
    free = -face - ramp(0.55, 0.9, w.y, 0.05)
    return torch.maximum(_long_outline(s, w), free)


def _long_outline(s: DrawingContext, w: Window) -> Tensor:
    return _crown(s, w, 1.17, 1.085) - ramp(0.0, 1.0, w.y, 0.07)


def _wavy(s: DrawingContext, w: Window, u: Tensor) -> Tensor:
    p, q = s.laid(w)
    sway = torch.sin(affine(q, 10.5, 0.4)) * ramp(-0.35, 0.15, w.y, 0.040)
    fringe = w.y - 0.34 * (u + 0.30).clamp(min=0) + 0.10 * torch.sin(p * 8) * 0.5
    face = _opening(s, u, fringe, _hairline(s, -0.46), 0.88, 2.4)
    return torch.maximum(_wavy_outline(s, w), -face - sway * 0.7)


def _wavy_outline(s: DrawingContext, w: Window) -> Tensor:
    sway = torch.sin(affine(s.laid(w)[1], 10.5, 0.4)) * ramp(-0.35, 0.15, w.y, 0.055)
    return _crown(s, w, 1.24, 1.12) - ramp(0.0, 0.8, w.y, 0.08) - sway


def _pulled_back(s: DrawingContext, w: Window, u: Tensor) -> Tensor:
    d = _crown(s, w, 1.035, 1.05)
    face = _opening(s, u, w.y, _hairline(s, -0.46), 0.92, 2.3)
    return torch.maximum(torch.maximum(d, -face), (w.y - 0.02) * 0.9)


def _parted(s: DrawingContext, w: Window, u: Tensor) -> Tensor:
    d = _crown(s, w, 1.06, 1.07)
    face = _opening(s, u, w.y, _hairline(s, -0.50), 0.88, 1.7)
    return torch.maximum(torch.maximum(d, -face), (w.y - 0.06) * 0.9)


def _parting(s: DrawingContext, w: Window, at: float) -> None:
    if s.sitter["headwear"] != "none":
        return
    top, line = s.g.head_top, _hairline(s, -0.50)
    x0, x1 = s.g.turn(at), s.g.turn(at * 0.8)
    d = segment(w.flat, w.y, (x0, line), (x1, top - 0.015)) - 0.008
    w.mix(ramp(0.018, -0.006, d, 0.75), times(s.colours.hair, 0.42))


def _mohawk(s: DrawingContext) -> None:
    g = s.g
    w = s.window(-g.head_w - 0.05, -1.25, g.head_w + 0.05, 0.15, turned=False)
    if w is None:
        return
    u = w.turned
    face = _opening(s, u, w.y, _hairline(s, -0.43), 0.90, 3.0)
    shaved = torch.maximum(torch.maximum(_crown(s, w, 1.0, 1.0), -face), w.y - 0.06)
    w.mix(ramp(0.03, -0.05, _under_hat(s, w, shaved), 0.42), times(s.colours.hair, 0.7))
    top, low = max(g.head_top - 0.29, -0.99), _hairline(s, -0.40)
    height = ((low - w.y) * (1 / (low - top))).clamp(-0.2, 1.3)
    half = 0.135 + 0.065 * height
    x = u * 0.35 + w.flat * 0.65 - g.turn(0.0) * 0.65 * ramp(1.0, 0.0, height)
    points = 0.10 * _wave(x / half * 2.0 + 0.5)
    d = torch.maximum(x.abs() - half, top + 0.10 - points + 1.2 * x * x - w.y)
    d = torch.maximum(d, w.y - low - 0.05 + 3.5 * x * x)
    d = _under_hat(s, w, d * 0.85)
    _shadow(s, w, d)
    gloss = blob(w.x, w.y, -0.05, g.head_top - 0.02, 0.09, 0.15)
    _paint(s, w, d, s.strands(w), gloss)


# --- behind the head -----------------------------------------------------------------------


def _rear_shape(
    outline: Callable[[DrawingContext, Window], Tensor],
) -> Callable[[DrawingContext], None]:
    def draw(s: DrawingContext) -> None:
        reach = s.g.head_w + 0.36
        w = s.window(-reach, s.g.head_top - 0.34, reach, 1.6, turned=False)
        if w is None:
            return
        _paint(s, w, _under_hat(s, w, outline(s, w)), _grain(s, w), None, dim=0.70)

    return draw


def _bun(s: DrawingContext) -> None:
    top, r = s.g.head_top, 0.185
    cy = max(top - 0.10, -0.80)
    w = s.window(-0.3, cy - 0.3, 0.3, cy + 0.35, turned=False)
    if w is None or s.sitter["headwear"] != "none":
        return
    d = disc(w.flat, w.y, 0, cy, r)
    gloss = blob(w.flat, w.y, -0.06, cy - 0.06, 0.07, 0.06)
    _paint(s, w, d, s.strands(w), gloss)


def _tail(
    s: DrawingContext, w: Window | Pair, a: Tensor, middle: float, half: float, thick: float
) -> None:
    x0 = s.g.head_w + TAIL
    q = affine(w.y, 1 / half, -middle / half)
    off = a - (x0 - 0.05 - 0.15 * q * q + 0.03 * q)
    width = 1 - 0.6 * q.clamp(-1, 0).square_() - q.clamp(0, 1).pow_(3)
    width.mul_(affine(q, 0.25 * thick, thick))
    d = torch.maximum(off.abs().sub_(width), affine(q.abs(), half, -half))
    gloss = blob(a, w.y, x0 - 0.06, middle - 0.18, 0.07, 0.13)
    _paint(s, w, _under_hat(s, w, d), s.strands(w), gloss)
    tie = box(a, w.y, x0 - 0.15, middle - half + 0.03, 0.075, 0.05, 0.03)
    tie = _under_hat(s, w, tie)
    w.mix(cover(tie, w.pixel), lit(TIE, 1.05 - 3 * (tie + 0.05).clamp_(0, 0.1)), solid=True)


def _ponytail(s: DrawingContext) -> None:
    middle, half = 0.06, 0.52
    x = s.g.head_w + TAIL
    w = s.window(x - 0.5, middle - half - 0.1, x + 0.3, middle + half + 0.1, turned=False)
    if w is not None:
        _tail(s, w, w.flat, middle, half, 0.165)


def _pigtails(s: DrawingContext) -> None:
    middle, half = 0.44, 0.46
    x = s.g.head_w + TAIL
    for w in s.sides(x - 0.5, middle - half - 0.1, x + 0.3, middle + half + 0.1, turned=False):
        _tail(s, w, w.flat * w.side, middle, half, 0.150)


_REAR: dict[str, Callable[[DrawingContext], None]] = {
    "curly": _rear_shape(_afro),
    "bob": _rear_shape(_bob_outline),
    "long": _rear_shape(_long_outline),
    "wavy": _rear_shape(_wavy_outline),
    "bun": _bun,
    "ponytail": _ponytail,
    "pigtails": _pigtails,
}
_FRONT: dict[str, Callable[[DrawingContext, Window, Tensor], Tensor]] = {  # signed distances
    "short": _short,
    "side_part": _side_part,
    "spiky": _spiky,
    "curly": _curly,
    "bob": _bob,
    "long": _long,
    "wavy": _wavy,
    "bun": _pulled_back,
    "ponytail": _pulled_back,
    "pigtails": _parted,
}
