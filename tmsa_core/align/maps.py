"""Pixels and maps of a crop as tensors, for pasting back."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter
from torch import Tensor

from tmsa_core.align.crop import quad_bounds
from tmsa_core.datatypes import CropTransform
from tmsa_core.imaging.resize import resize_tensor


def to_levels(image: Image.Image) -> Tensor:
    """An image as (3,H,W) float32 in [0, 255]."""
    return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1).float()


def smoothstep(x: Tensor) -> Tensor:
    """0 up to 0, 1 from 1, smooth between; any shape."""
    x = x.clamp(0, 1)
    return x * x * (3 - 2 * x)


def to_side(pixels: Tensor, side: int) -> Tensor:
    """(C,H,W) -> (C,side,side)."""
    return resize_tensor(pixels[None], side)[0]


def blur_map(pixels: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of (C,H,W)."""
    return torch.from_numpy(gaussian_filter(pixels.numpy(), (0, sigma, sigma)))


def photo_under_crop(
    photo: Image.Image, transform: CropTransform, size: int
) -> tuple[Tensor, Tensor]:
    """The photo under a crop, (3,size,size) in [0, 255], and (1,size,size): 1 inside it."""
    quad = np.array(transform.quad) + 0.5
    left, top, right, bottom = quad_bounds(quad)
    box = (max(left, 0), max(top, 0), min(right, photo.width), min(bottom, photo.height))
    if box[0] >= box[2] or box[1] >= box[3]:
        return torch.zeros(3, size, size), torch.zeros(1, size, size)
    factor = max(1, int(np.hypot(*(quad[3] - quad[0])) / size))
    part = photo.reduce(factor, box)
    corners = ((quad - box[:2]) / factor).flatten().tolist()
    sampling = ((size, size), Image.Transform.QUAD, corners, Image.Resampling.BILINEAR)
    there = Image.new("L", part.size, 255).transform(*sampling)
    inside = torch.from_numpy(np.array(there) == 255).float()[None]
    return to_levels(part.transform(*sampling)), inside
