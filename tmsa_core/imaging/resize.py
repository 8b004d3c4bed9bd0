"""Resize image tensors."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def resize_tensor(pixels: Tensor, size: int | tuple[int, int]) -> Tensor:
    """(B, C, H, W) -> (B, C, *size), free of aliasing and differentiable.

    size: (height, width), or one number for a square. Whole-number reductions average blocks,
    as e4e's pooling in front of its encoder does; anything else is bilinear with antialiasing.
    """
    height, width = (size, size) if isinstance(size, int) else size
    if pixels.shape[-2:] == (height, width):
        return pixels
    if pixels.shape[-2] % height == 0 and pixels.shape[-1] % width == 0:
        return F.interpolate(pixels, (height, width), mode="area")
    return F.interpolate(pixels, (height, width), mode="bilinear", antialias=True)


def fit_side(pixels: Tensor, side: int) -> Tensor:
    """(B, C, H, W) -> the same images, ``side`` pixels at the longer side."""
    height, width = pixels.shape[-2:]
    share = side / max(height, width)
    return resize_tensor(pixels, (round(height * share), round(width * share)))
