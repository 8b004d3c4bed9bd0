"""Draws twelve hair styles, behind the head and over it.

Numbers and short names: see ``drawing/__init__.py``. Each style is a function that returns its
signed distance (h, w); all styles are painted in the same way.
"""

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
PARTING = -0.22  # x of a side parting on the turned face
TAIL = 0.19  # from the side of the head to a ponytail
EXTENT: dict[str, tuple[float, float]] = {  # front hair: reach beyond the skull, lowest y
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


def draw_rear_hair(ctx: DrawingContext) -> None:
    """Draw the hair behind the head and the shoulders."""
    painter = _REAR.get(ctx.sitter["hair_style"])
    if painter is not None:
        painter(ctx)


def draw_front_hair(ctx: DrawingContext) -> None:
    """Draw fringe, crown and locks over the head, and their shadow on the face."""
    style = ctx.sitter["hair_style"]
    if style == "bald":
        _bald_gloss(ctx)
        return
    if style == "mohawk":
        _mohawk(ctx)
        return
    margin, low = EXTENT[style]
    reach = ctx.face.head_w + margin
    w = ctx.window(-reach, ctx.face.head_top - margin, reach, low, turned=False)
    if w is None:
        return
    d = _FRONT[style](ctx, w, w.turned)
    _shadow(ctx, w, d)
    _paint(ctx, w, _under_hat(ctx, w, d), _texture_of(ctx, w), _gloss(ctx, w))
    if style in ("side_part", "long", "pigtails"):
        _parting(ctx, w, PARTING if style == "side_part" else 0.0)


def _under_hat(ctx: DrawingContext, w: Window | Pair, d: Tensor) -> Tensor:
    """The signed distance d without the part above the rim of headwear, like d."""
    if ctx.sitter["headwear"] == "none":
        return d
    return torch.maximum(d, rim_line(ctx, w.flat) - 0.03 - w.y)


def _shadow(ctx: DrawingContext, w: Window, d: Tensor) -> None:
    """Darken the drawn head along hair with signed distance d (h, w)."""
    w.multiply(ramp(0.085, -0.01, d, 0.42).mul_(w.covered()), (0.45, 0.32, 0.32))


def _texture_of(ctx: DrawingContext, w: Window) -> Tensor:
    """(h, w): curls or strands, depending on the style."""
    curly = ctx.sitter["hair_style"] == "curly"
    return curl_texture(*ctx.crop_position(w)) if curly else ctx.strands(w)


def _gloss(ctx: DrawingContext, w: Window) -> Tensor:
    """(h, w): a band of light around the crown, brightest on the left."""
    below = torch.addcmul(w.y, w.flat, w.flat, value=-0.42)
    band = bell(below, ctx.face.head_top + 0.21, 0.085)
    return band.mul_(affine(w.flat, -0.55, 0.65).clamp_(0.1, 1))


def _paint(
    ctx: DrawingContext,
    w: Window | Pair,
    d: Tensor,
    texture: Tensor,
    gloss: Tensor | None,
    dim: float = 1.0,
) -> None:
    """Paint hair.

    d: signed distance, texture: strands or curls, gloss: strength of the shine; all like ``w.x``.
    dim: brightness, below 1 for hair in the shade.
    """
    light = affine(texture, 0.15 * dim, 0.97 * dim).add_(ramp(-0.2, 0.8, w.flat, -0.15 * dim))
    light.add_(ramp(-0.1, 0.9, w.y, -0.10 * dim)).add_(ramp(-0.075, 0.0, d, -0.26))
    sheen = None
    if gloss is not None:  # dark hair shines more
        strength = 0.20 + 0.12 * (1 - max(ctx.colours.hair))
        sheen = affine(texture, 0.45 * strength, strength).mul_(gloss)
    w.mix(cover(d, w.pixel * 1.15), lit(ctx.colours.hair, light, sheen), solid=True)


def _crown(ctx: DrawingContext, w: Window, sx: float, sy: float) -> Tensor:
    """Signed distance (h, w) to the skull enlarged by sx and sy; straight down below its middle."""
    g = ctx.face
    half = g.head_w * sx
    steep = half / ((g.head_mid - g.head_top) * sy)
    up = affine(w.y, -steep, steep * g.head_mid).clamp_(min=0)
    return length(w.flat, up).sub_(number(half))


def _face_opening(
    ctx: DrawingContext, u: Tensor, y: Tensor, top: float, half: float = 0.88, n: float = 2.6
) -> Tensor:
    """Signed distance, like u and y, to the part of the face that hair leaves free.

    An arch that is open below. top: its y, half: its half width in widths of the head, n: the
    exponent of its superellipse (2 is round, more is squarer).
    """
    steep, width = 1 / (0.10 - top), ctx.face.head_w * half
    up = affine(y, -steep, 0.10 * steep).clamp_(min=0)
    across = affine(u.abs(), 1 / width, 0.0)
    level = power(power(across.clamp_(min=1e-3), n).add_(power(up, n)), 1 / n)
    return affine(level, width, -width)


def _hairline(ctx: DrawingContext, adult: float) -> float:
    """Y of a hairline: that of an average head, moved by half the height of the skull."""
    return adult + 0.5 * (ctx.face.head_top + 0.68)


def _wave(t: Tensor) -> Tensor:
    """Triangle wave in [0, 1] with period 1, like t."""
    return 1 - 2 * (t - t.floor() - 0.5).abs()


def _bald_gloss(ctx: DrawingContext) -> None:
    """Draw two spots of light on a bald head."""
    w = ctx.head_window
    if w is None:
        return
    inside = ramp(1.0, 0.93, w.take(ctx.head_level))
    top, skin = ctx.face.head_top, ctx.colours.skin
    large = blob(w.x, w.y, -0.17, top + 0.20, 0.17, 0.085, 0.85)
    w.mix(large.mul_(inside), blend(skin, WHITE, 0.80))
    small = blob(w.x, w.y, 0.13, top + 0.13, 0.06, 0.03, 0.5)
    w.mix(small.mul_(inside), blend(skin, WHITE, 0.7))


# Over the head: signed distances (h, w) of the styles; u (h, w) is x on the turned face


def _short(ctx: DrawingContext, w: Window, u: Tensor) -> Tensor:
    """Short hair with a tufted edge."""
    p, _ = ctx.crop_position(w)
    tuft = torch.sin(affine(p, 24.0, 1.0)).mul_(number(0.008))
    tuft.add_(torch.sin(p * number(41.0)), alpha=0.007)
    d = _crown(ctx, w, 1.035, 1.095).sub_(tuft * ramp(0.1, -0.4, w.y))
    face = _face_opening(
        ctx, u, torch.add(w.y, tuft, alpha=1.6), _hairline(ctx, -0.445), 0.925, 2.7
    )
    sideburn = affine(w.y, 0.9, -0.9 * 0.04)
    return torch.maximum(torch.maximum(d, face.neg_()), sideburn)


def _side_part(ctx: DrawingContext, w: Window, u: Tensor) -> Tensor:
    """Short hair swept to one side."""
    right = (u - PARTING).clamp(min=0)
    volume = blob(w.flat, w.y, 0.12, ctx.face.head_top, 0.42, 0.30, 0.085)
    d = _crown(ctx, w, 1.045, 1.085) - volume
    sweep = w.y - 0.46 * right + 0.42 * right * right + 0.02
    face = _face_opening(ctx, u, sweep, _hairline(ctx, -0.47), 0.91, 3.0)
    return torch.maximum(torch.maximum(d, -face), (w.y - 0.05) * 0.9)


def _spiky(ctx: DrawingContext, w: Window, u: Tensor) -> Tensor:
    """Spikes around the head."""
    p, q = ctx.crop_position(w)
    angle = torch.atan2(p, (0.06 - q).clamp(min=0.05))
    spikes = _wave(angle * 2.1 + 0.5) * ramp(1.45, 0.9, angle.abs())
    d = _crown(ctx, w, 1.03, 1.03) - 0.27 * spikes + 0.02
    zigzag = 0.10 * _wave(p * 4.2 + 0.5)
    face = _face_opening(ctx, u, w.y - zigzag + 0.03, _hairline(ctx, -0.44), 0.90, 3.0)
    return torch.maximum(torch.maximum(d * 0.75, -face), (w.y - 0.06) * 0.9)


def _afro(ctx: DrawingContext, w: Window) -> Tensor:
    """The outline of curly hair."""
    cy = -0.20 + 0.5 * (ctx.face.head_top + 0.68)
    p, q = ctx.crop_position(w)
    angle = torch.atan2(p, q + 0.20)
    scallop = 0.050 * torch.sin(angle * 9).abs_()
    return length(w.flat * 0.97, w.y - cy) - (ctx.face.head_w + 0.19) - scallop


def _curly(ctx: DrawingContext, w: Window, u: Tensor) -> Tensor:
    """Curls around the face."""
    p, q = ctx.crop_position(w)
    ripple = 0.040 * torch.sin(p * 17 + 1.57) + 0.02 * torch.sin(q * 19)
    face = _face_opening(ctx, u, w.y - ripple, _hairline(ctx, -0.37), 0.86, 2.3)
    return torch.maximum(_afro(ctx, w), -face + ripple * 0.3)


def _bob(ctx: DrawingContext, w: Window, u: Tensor) -> Tensor:
    """Straight hair to the chin with a fringe."""
    fringe = 0.012 * torch.sin(ctx.crop_position(w)[0] * 30)
    face = _face_opening(ctx, u, w.y + fringe, _hairline(ctx, -0.315), 0.85, 5.0)
    inward = ramp(0.1, 0.5, w.y, 0.09)  # tips turn towards the chin
    return torch.maximum(_bob_outline(ctx, w), -face - inward)


def _bob_outline(ctx: DrawingContext, w: Window) -> Tensor:
    """The outline of a bob."""
    body = _crown(ctx, w, 1.20, 1.10) + ramp(0.30, 0.62, w.y, 0.10)
    return torch.maximum(body, w.y - 0.50 - 0.25 * w.flat.abs() + 0.13)


def _long(ctx: DrawingContext, w: Window, u: Tensor) -> Tensor:
    """Long straight hair with a middle parting."""
    face = _face_opening(ctx, u, w.y, _hairline(ctx, -0.52), 0.90, 1.75)
    free = -face - ramp(0.55, 0.9, w.y, 0.05)
    return torch.maximum(_long_outline(ctx, w), free)


def _long_outline(ctx: DrawingContext, w: Window) -> Tensor:
    """The outline of long hair."""
    return _crown(ctx, w, 1.17, 1.085) - ramp(0.0, 1.0, w.y, 0.07)


def _wavy(ctx: DrawingContext, w: Window, u: Tensor) -> Tensor:
    """Long wavy hair with a slanted fringe."""
    p, q = ctx.crop_position(w)
    sway = torch.sin(affine(q, 10.5, 0.4)) * ramp(-0.35, 0.15, w.y, 0.040)
    fringe = w.y - 0.34 * (u + 0.30).clamp(min=0) + 0.10 * torch.sin(p * 8) * 0.5
    face = _face_opening(ctx, u, fringe, _hairline(ctx, -0.46), 0.88, 2.4)
    return torch.maximum(_wavy_outline(ctx, w), -face - sway * 0.7)


def _wavy_outline(ctx: DrawingContext, w: Window) -> Tensor:
    """The outline of wavy hair."""
    sway = torch.sin(affine(ctx.crop_position(w)[1], 10.5, 0.4)) * ramp(-0.35, 0.15, w.y, 0.055)
    return _crown(ctx, w, 1.24, 1.12) - ramp(0.0, 0.8, w.y, 0.08) - sway


def _pulled_back(ctx: DrawingContext, w: Window, u: Tensor) -> Tensor:
    """Hair pulled back to a bun or ponytail."""
    d = _crown(ctx, w, 1.035, 1.05)
    face = _face_opening(ctx, u, w.y, _hairline(ctx, -0.46), 0.92, 2.3)
    return torch.maximum(torch.maximum(d, -face), (w.y - 0.02) * 0.9)


def _parted(ctx: DrawingContext, w: Window, u: Tensor) -> Tensor:
    """Hair parted to two pigtails."""
    d = _crown(ctx, w, 1.06, 1.07)
    face = _face_opening(ctx, u, w.y, _hairline(ctx, -0.50), 0.88, 1.7)
    return torch.maximum(torch.maximum(d, -face), (w.y - 0.06) * 0.9)


def _parting(ctx: DrawingContext, w: Window, at: float) -> None:
    """Draw the line of a parting at x = ``at`` on the turned face."""
    if ctx.sitter["headwear"] != "none":
        return
    top, line = ctx.face.head_top, _hairline(ctx, -0.50)
    x0, x1 = ctx.face.turn(at), ctx.face.turn(at * 0.8)
    d = segment(w.flat, w.y, (x0, line), (x1, top - 0.015)) - 0.008
    w.mix(ramp(0.018, -0.006, d, 0.75), times(ctx.colours.hair, 0.42))


def _mohawk(ctx: DrawingContext) -> None:
    """Draw shaved sides and a comb with points."""
    g = ctx.face
    w = ctx.window(-g.head_w - 0.05, -1.25, g.head_w + 0.05, 0.15, turned=False)
    if w is None:
        return
    u = w.turned
    # Shaved sides
    face = _face_opening(ctx, u, w.y, _hairline(ctx, -0.43), 0.90, 3.0)
    shaved = torch.maximum(torch.maximum(_crown(ctx, w, 1.0, 1.0), -face), w.y - 0.06)
    w.mix(ramp(0.03, -0.05, _under_hat(ctx, w, shaved), 0.42), times(ctx.colours.hair, 0.7))
    # The comb, with points along its upper edge
    top, low = max(g.head_top - 0.29, -0.99), _hairline(ctx, -0.40)
    height = ((low - w.y) * (1 / (low - top))).clamp(-0.2, 1.3)
    half = 0.135 + 0.065 * height
    x = u * 0.35 + w.flat * 0.65 - g.turn(0.0) * 0.65 * ramp(1.0, 0.0, height)
    points = 0.10 * _wave(x / half * 2.0 + 0.5)
    d = torch.maximum(x.abs() - half, top + 0.10 - points + 1.2 * x * x - w.y)
    d = torch.maximum(d, w.y - low - 0.05 + 3.5 * x * x)
    d = _under_hat(ctx, w, d * 0.85)
    _shadow(ctx, w, d)
    gloss = blob(w.x, w.y, -0.05, g.head_top - 0.02, 0.09, 0.15)
    _paint(ctx, w, d, ctx.strands(w), gloss)


# Behind the head


def _rear_shape(
    outline: Callable[[DrawingContext, Window], Tensor],
) -> Callable[[DrawingContext], None]:
    """A function that draws an outline in the shade behind the head."""

    def draw(ctx: DrawingContext) -> None:
        reach = ctx.face.head_w + 0.36
        w = ctx.window(-reach, ctx.face.head_top - 0.34, reach, 1.6, turned=False)
        if w is None:
            return
        _paint(ctx, w, _under_hat(ctx, w, outline(ctx, w)), _texture_of(ctx, w), None, dim=0.70)

    return draw


def _bun(ctx: DrawingContext) -> None:
    """Draw a bun on top of the head."""
    top, r = ctx.face.head_top, 0.185
    cy = max(top - 0.10, -0.80)
    w = ctx.window(-0.3, cy - 0.3, 0.3, cy + 0.35, turned=False)
    if w is None or ctx.sitter["headwear"] != "none":
        return
    d = disc(w.flat, w.y, 0, cy, r)
    gloss = blob(w.flat, w.y, -0.06, cy - 0.06, 0.07, 0.06)
    _paint(ctx, w, d, ctx.strands(w), gloss)


def _tail(
    ctx: DrawingContext, w: Window | Pair, a: Tensor, middle: float, half: float, thick: float
) -> None:
    """Draw one tail per side, with its band.

    a: x outwards from the middle of the face, like ``w.x``. middle, half: y of its middle and half
    its length. thick: half its width.
    """
    x0 = ctx.face.head_w + TAIL
    q = affine(w.y, 1 / half, -middle / half)
    off = a - (x0 - 0.05 - 0.15 * q * q + 0.03 * q)
    width = 1 - 0.6 * q.clamp(-1, 0).square_() - q.clamp(0, 1).pow_(3)
    width.mul_(affine(q, 0.25 * thick, thick))
    d = torch.maximum(off.abs().sub_(width), affine(q.abs(), half, -half))
    gloss = blob(a, w.y, x0 - 0.06, middle - 0.18, 0.07, 0.13)
    _paint(ctx, w, _under_hat(ctx, w, d), ctx.strands(w), gloss)
    # The band around its root
    tie = box(a, w.y, x0 - 0.15, middle - half + 0.03, 0.075, 0.05, 0.03)
    tie = _under_hat(ctx, w, tie)
    w.mix(cover(tie, w.pixel), lit(TIE, 1.05 - 3 * (tie + 0.05).clamp_(0, 0.1)), solid=True)


def _ponytail(ctx: DrawingContext) -> None:
    """Draw a ponytail on the right of the head."""
    middle, half = 0.06, 0.52
    x = ctx.face.head_w + TAIL
    w = ctx.window(x - 0.5, middle - half - 0.1, x + 0.3, middle + half + 0.1, turned=False)
    if w is not None:
        _tail(ctx, w, w.flat, middle, half, 0.165)


def _pigtails(ctx: DrawingContext) -> None:
    """Draw a pigtail on each side."""
    middle, half = 0.44, 0.46
    x = ctx.face.head_w + TAIL
    for w in ctx.sides(x - 0.5, middle - half - 0.1, x + 0.3, middle + half + 0.1, turned=False):
        _tail(ctx, w, w.flat * w.side, middle, half, 0.150)


_REAR: dict[str, Callable[[DrawingContext], None]] = {
    "curly": _rear_shape(_afro),
    "bob": _rear_shape(_bob_outline),
    "long": _rear_shape(_long_outline),
    "wavy": _rear_shape(_wavy_outline),
    "bun": _bun,
    "ponytail": _ponytail,
    "pigtails": _pigtails,
}
_FRONT: dict[str, Callable[[DrawingContext, Window, Tensor], Tensor]] = {
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
