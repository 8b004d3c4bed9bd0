"""Resize image tensors."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def resize_tensor(pixels: Tensor, size: int | tuple[int, int]) -> Tensor:
    """Resize without aliasing; differentiable.

    Reductions by whole numbers average blocks, as the pooling in front of e4e's encoder does. All
    others are bilinear with antialiasing.

    Args:
        pixels: (B,C,H,W).
        size: (height, width), or one number for a square.

    Returns:
        (B,C,height,width).
    """
    height, width = (size, size) if isinstance(size, int) else size
    if pixels.shape[-2:] == (height, width):
        return pixels
    if pixels.shape[-2] % height == 0 and pixels.shape[-1] % width == 0:
        return F.interpolate(pixels, (height, width), mode="area")
    return F.interpolate(pixels, (height, width), mode="bilinear", antialias=True)


def fit_side(pixels: Tensor, side: int) -> Tensor:
    """Resize (B,C,H,W) to ``side`` pixels at the longer side, keeping the proportions."""
    height, width = pixels.shape[-2:]
    share = side / max(height, width)
    return resize_tensor(pixels, (round(height * share), round(width * share)))


def bilinear(x: Tensor, side: int) -> Tensor:
    """Resize x (B,C,H,W) bilinearly to (B,C,side,side), without antialiasing."""
    if x.shape[-2:] == (side, side):
        return x
    return F.interpolate(x, size=(side, side), mode="bilinear", align_corners=False)
