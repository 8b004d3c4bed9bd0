"""Face paint of the costumes; their clothes are drawn with the body."""

from __future__ import annotations

import torch

from tmsa_core.avatars.drawing.canvas import lit
from tmsa_core.avatars.drawing.context import DrawingContext
from tmsa_core.avatars.drawing.geometry import EYE_LEVEL
from tmsa_core.avatars.drawing.sdf import affine, cover, polygon, ramp

BOLT: tuple[tuple[float, float], ...] = (
    (-0.30, -0.50),
    (-0.10, -0.44),
    (-0.19, -0.16),
    (-0.07, -0.14),
    (-0.30, 0.42),
    (-0.27, 0.05),
    (-0.43, 0.03),
)


def draw_face_paint(s: DrawingContext) -> None:
    """White paint and eye diamonds of the clown, lightning of the rock star."""
    costume = s.sitter["costume"]
    if costume == "clown":
        _white_face(s)
    elif costume == "rock_star":
        _lightning(s)


def _white_face(s: DrawingContext) -> None:
    w = s.head
    if w is None:
        return
    level = w.take(s.level)
    side = torch.add(w.x, w.y, alpha=0.5)
    light = 1.0 + ramp(0.5, 1.05, level, -0.26).mul_(affine(side, 0.6, 0.5).clamp_(0.1, 1))
    w.mix(ramp(0.99, 0.94, level, 0.93), lit((0.97, 0.96, 0.97), light))
    eyes = s.window(-0.42, EYE_LEVEL - 0.34, 0.42, EYE_LEVEL + 0.32)
    if eyes is None:
        return
    a = eyes.x.abs() - s.g.eye_x
    down = eyes.y - EYE_LEVEL
    diamond = a.abs() * 2.7 + torch.maximum(down, down * -0.9) - 0.27
    eyes.mix(cover(diamond * 0.6, eyes.pixel), (0.15, 0.42, 0.90))


def _lightning(s: DrawingContext) -> None:
    w = s.window(-0.52, -0.58, 0.02, 0.50)
    if w is None:
        return
    d = polygon(w.x, w.y, BOLT)
    skin = cover(affine(w.take(s.level), s.g.head_w, -s.g.head_w), w.pixel)
    w.mix(cover(d - 0.030, w.pixel) * skin, (0.10, 0.40, 0.95))
    red = lit((0.95, 0.12, 0.20), 1.05 + ramp(-0.3, 0.4, w.y, -0.2))
    w.mix(cover(d - 0.002, w.pixel) * skin, red)
