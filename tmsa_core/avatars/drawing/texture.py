"""Texture at fixed places of the aligned crop: strands, curls, freckles and forehead lines.

All functions take grids x and y of one shape (..., h, w) that run from -1 to 1 across the crop, as
in ``crop_views``, and return a grid of that shape. The texture of all portraits lies at the same
place of the crop, like that of a StyleGAN. If it moved with the proportions of the face, a small
generator would learn the average, which has no texture. The generator gets the same patterns as
noise maps (``training/avatar/generator.py``). Places and frequencies were tuned by eye.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tmsa_core.avatars.drawing.sdf import affine, brush, length, number, ramp, strands

FRECKLES: tuple[tuple[float, float, float], ...] = (  # |x|, y, radius; both cheeks and the nose
    (0.155, 0.150, 0.020),
    (0.215, 0.105, 0.018),
    (0.235, 0.185, 0.022),
    (0.175, 0.225, 0.018),
    (0.300, 0.130, 0.020),
    (0.315, 0.215, 0.020),
    (0.265, 0.265, 0.019),
    (0.385, 0.165, 0.020),
    (0.390, 0.250, 0.018),
    (0.345, 0.300, 0.018),
    (0.050, 0.055, 0.017),
)
# Y and half width of each line
FOREHEAD: tuple[tuple[float, float], ...] = ((-0.300, 0.22), (-0.345, 0.26), (-0.390, 0.23))


def strand_texture(x: Tensor, y: Tensor) -> Tensor:
    """Light and dark strands in about [-1, 1] that spread slightly towards the bottom."""
    fan = x / affine(y, 0.35, 1.0)
    return strands(fan.add_(torch.sin(y * number(9.0)), alpha=0.02), 46.0)


def curl_texture(x: Tensor, y: Tensor) -> Tensor:
    """Ringlets, light and dark, in about [-1, 1]."""
    across = torch.sin(affine(y, 13.0, 0.0)).mul_(number(2.2)).add_(x, alpha=24.0)
    down = torch.sin(affine(x, 13.0, 0.6)).mul_(number(2.2)).add_(y, alpha=24.0)
    ringlets = across.sin_().mul_(down.sin_())
    return strands(ringlets.mul_(number(0.055)), 40.0)


def freckle_texture(x: Tensor, y: Tensor) -> Tensor:
    """1 on freckles, 0 between them; x and y are (h, w)."""
    at, level, radius = torch.tensor(FRECKLES, device=x.device).T[..., None, None]
    nearest = length(x.abs() - at, y - level).sub_(radius).amin(0)
    return ramp(0.010, -0.010, nearest)


def forehead_texture(x: Tensor, y: Tensor) -> Tensor:
    """1 on the three lines of a wrinkled forehead, 0 between them."""
    lines = [
        ramp(0.010, -0.006, brush(x, y, 0, level, half, 0.011, bend=0.018))
        for level, half in FOREHEAD
    ]
    return torch.stack(lines).amax(0)
