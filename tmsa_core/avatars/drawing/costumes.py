"""Draws the face paint of costumes; ``body`` draws their clothes.

Numbers and short names: see ``drawing/__init__.py``.
"""

from __future__ import annotations

import torch

from tmsa_core.avatars.drawing.canvas import lit
from tmsa_core.avatars.drawing.context import DrawingContext
from tmsa_core.avatars.drawing.geometry import EYE_LEVEL
from tmsa_core.avatars.drawing.sdf import affine, cover, polygon, ramp

BOLT: tuple[tuple[float, float], ...] = (  # corners of the lightning
    (-0.30, -0.50),
    (-0.10, -0.44),
    (-0.19, -0.16),
    (-0.07, -0.14),
    (-0.30, 0.42),
    (-0.27, 0.05),
    (-0.43, 0.03),
)


def draw_face_paint(ctx: DrawingContext) -> None:
    """Draw the white paint and eye diamonds of the clown, or the lightning of the rock star."""
    costume = ctx.sitter["costume"]
    if costume == "clown":
        _white_face(ctx)
    elif costume == "rock_star":
        _lightning(ctx)


def _white_face(ctx: DrawingContext) -> None:
    """Draw white paint over the face and a blue diamond over each eye."""
    w = ctx.head_window
    if w is None:
        return
    level = w.take(ctx.head_level)
    side = torch.add(w.x, w.y, alpha=0.5)
    light = 1.0 + ramp(0.5, 1.05, level, -0.26).mul_(affine(side, 0.6, 0.5).clamp_(0.1, 1))
    w.mix(ramp(0.99, 0.94, level, 0.93), lit((0.97, 0.96, 0.97), light))
    eyes = ctx.window(-0.42, EYE_LEVEL - 0.34, 0.42, EYE_LEVEL + 0.32)
    if eyes is None:
        return
    a = eyes.x.abs() - ctx.face.eye_x
    down = eyes.y - EYE_LEVEL
    diamond = a.abs() * 2.7 + torch.maximum(down, down * -0.9) - 0.27
    eyes.mix(cover(diamond * 0.6, eyes.pixel), (0.15, 0.42, 0.90))


def _lightning(ctx: DrawingContext) -> None:
    """Draw a red bolt with a blue edge across one eye."""
    w = ctx.window(-0.52, -0.58, 0.02, 0.50)
    if w is None:
        return
    d = polygon(w.x, w.y, BOLT)
    skin = cover(affine(w.take(ctx.head_level), ctx.face.head_w, -ctx.face.head_w), w.pixel)
    w.mix(cover(d - 0.030, w.pixel) * skin, (0.10, 0.40, 0.95))
    red = lit((0.95, 0.12, 0.20), 1.05 + ramp(-0.3, 0.4, w.y, -0.2))
    w.mix(cover(d - 0.002, w.pixel) * skin, red)
