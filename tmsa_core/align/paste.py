"""Paste an edited crop back into its photo."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from scipy.ndimage import gaussian_filter
from torch import Tensor

from tmsa_core.align.crop import _bounds, _content_rows, _in_rgb
from tmsa_core.datatypes import CropTransform
from tmsa_core.imaging.resize import resize_tensor

FEATHER = 0.12  # share of the crop's side over which a pasted crop fades into the photo
_CHANGE = (0.01, 0.05)  # differences (of 1) that count as no change and as full change
_MISFIT = (0.04, 0.15)  # the same for photo and inversion, where a change spreads
_REACH = 0.1  # how far it spreads, as a share of the crop's side
_FAINT = 4.0  # levels; a change of light fades out below
_LARGEST_TINT = 32.0  # levels; more than that is another background, not another light
_SEAM_REACH = 0.05  # where less than this share of the surroundings is margin, colours are kept
_COARSE = 256
_FINEST_LAYER = 1024  # layers are enlarged smoothly up to here, linearly from there on
_STRIP_PIXELS = 1 << 20


def restore_whole(photo: Image.Image, crop: Image.Image, content: float = 1.0) -> Image.Image:
    """A crop of ``crop_whole``, edited, in the size and proportions of its photo."""
    top, height = _content_rows(crop.height, content)
    box = (0, top, crop.width, top + height)
    return crop.resize(photo.size, Image.Resampling.LANCZOS, box)


def paste_back(
    photo: Image.Image,
    crop: Image.Image,
    transform: CropTransform,
    original_crop: Image.Image | None = None,
    feather: float = FEATHER,
) -> Image.Image:
    """Put an edited crop back where it was cut from.

    crop: the edited crop, RGB, square, of any resolution. original_crop: what the crop was
    before the edit, as the generator draws it. Without it the crop covers the photo, fading
    out over ``feather`` of its side, and towards these seams its colours turn into those of the
    photo there. With it only what the edit changed is carried over:

    - where both crops agree, the photo keeps its own pixels, sharpness and background;
    - where they differ, the edited crop shows, its colours matched to the photo around it;
    - an unchanged crop therefore leaves the photo exactly as it is.

    Sides of the crop that lie on or beyond the photo's border are not faded. Photo pixels
    outside the transform's parallelogram stay identical. Works at the photo's full resolution.
    """
    photo, size = _in_rgb(photo), crop.width
    mask = _feathered_mask(transform, photo.size, size, feather)
    edited = _levels(crop)
    if original_crop is None:
        matched = edited + _seam_tint(photo, edited, mask, transform)
        layer = torch.cat([mask, mask * matched.clamp(0, 255)])
    else:
        original = _levels(original_crop.resize(crop.size, Image.Resampling.BICUBIC))
        layer = _changes(photo, edited, original, mask, transform)
    return _blend(photo, layer, transform)


def _levels(image: Image.Image) -> Tensor:
    """(3, H, W) float32 in 0..255, the photo's own scale."""
    return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1).float()


def _smoothstep(x: Tensor) -> Tensor:
    x = x.clamp(0, 1)
    return x * x * (3 - 2 * x)


def _feathered_mask(
    transform: CropTransform, photo_size: tuple[int, int], size: int, feather: float
) -> Tensor:
    """(1, size, size): 1 inside, falling smoothly to 0 at the sides that lie in the photo."""
    width = max(feather * size, 1.0)
    ramp = _smoothstep(torch.arange(size) / width)  # 0 at the outermost pixel
    rising, falling, flat = ramp, ramp.flip(0), torch.ones(size)
    left, bottom, right, top = _sides_in_photo(transform, photo_size)
    x = (rising if left else flat) * (falling if right else flat)
    y = (rising if top else flat) * (falling if bottom else flat)
    return (y[:, None] * x[None, :])[None]


def _sides_in_photo(transform: CropTransform, photo_size: tuple[int, int]) -> list[bool]:
    """For the left, bottom, right and top side of the crop: does it run through the photo?"""
    low, high = np.array([-0.5, -0.5]), np.array(photo_size) - 0.5
    quad = np.array(transform.quad)
    sides = [quad[[i, (i + 1) % 4]] for i in range(4)]
    beyond = [(side <= low + 1e-3).all(0) | (side >= high - 1e-3).all(0) for side in sides]
    return [not outside.any() for outside in beyond]


def _changes(
    photo: Image.Image, edited: Tensor, original: Tensor, mask: Tensor, transform: CropTransform
) -> Tensor:
    """(4, H, W): cover and covered colours that carry over only what the edit changed.

    Where something changed the edited crop covers the photo, tinted to match the colours of the
    unchanged surroundings. Elsewhere the photo takes on the change of light alone, smoothed:
    fine differences there are outlines that the generator moved by a hair, and would show twice.
    """
    size = edited.shape[-1]
    coarse = min(size, _COARSE)  # all maps are smooth
    seen, inside = _seen_in_photo(photo, transform, coarse)
    was, difference = _to_side(original, coarse), _to_side(edited - original, coarse)
    change = _grown(_amount(difference, _CHANGE), inside * _amount(seen - was, _MISFIT))
    weight = inside * (1 - change + 1e-3) + 1e-6
    blurred = _blur_map(weight * inside * (seen - was), coarse / 12)
    tint = (blurred / _blur_map(weight, coarse / 12)).clamp(-_LARGEST_TINT, _LARGEST_TINT)
    light = _blur_map((1 - change) * difference, coarse / 24)
    light = light * _smoothstep(light.abs() / _FAINT)
    change, tint, light = (_to_side(x, size) for x in (change, tint, light))
    cover = mask * change
    return torch.cat([cover, cover * (edited + tint) + (mask - cover) * light])


def _amount(difference: Tensor, limits: tuple[float, float]) -> Tensor:
    """(3, S, S) difference in levels -> (1, S, S): 0 below the limits, 1 above, smoothed."""
    low, high = limits
    largest = difference.abs().amax(0, keepdim=True) / 255
    return _smoothstep((_blur_map(largest, largest.shape[-1] / 48) - low) / (high - low))


def _grown(change: Tensor, misfit: Tensor) -> Tensor:
    """Change (1, S, S) spread to neighbours where the inversion misfits the photo.

    So the seam between photo and edit runs where both show the same, as far as there is such a
    place within ``_REACH`` of the crop's side.
    """
    size = change.shape[-1]
    for _ in range(round(_REACH * size / 2)):
        near = F.max_pool2d(change[None], 5, stride=1, padding=2)[0]
        change = torch.maximum(change, near * misfit)
    return _blur_map(change, size / 96)


def _seam_tint(
    photo: Image.Image, edited: Tensor, mask: Tensor, transform: CropTransform
) -> Tensor:
    """(3, H, W): what takes the crop's colours to the photo's at the seam, nothing further in."""
    coarse = min(edited.shape[-1], _COARSE)
    seen, inside = _seen_in_photo(photo, transform, coarse)
    weight = inside * (1 - _to_side(mask, coarse))  # the fading margin
    sigma = coarse / 16
    tint = _blur_map(weight * (seen - _to_side(edited, coarse)), sigma)
    tint = tint / (_blur_map(weight, sigma) + _SEAM_REACH)
    return _to_side(tint.clamp(-_LARGEST_TINT, _LARGEST_TINT), edited.shape[-1])


def _to_side(pixels: Tensor, side: int) -> Tensor:
    """(C, H, W) -> (C, side, side)."""
    return resize_tensor(pixels[None], side)[0]


def _blur_map(pixels: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of (C, H, W)."""
    return torch.from_numpy(gaussian_filter(pixels.numpy(), (0, sigma, sigma)))


def _seen_in_photo(
    photo: Image.Image, transform: CropTransform, size: int
) -> tuple[Tensor, Tensor]:
    """What the photo shows under the crop, (3, H, W) in 0..255, and (1, H, W) where it is there."""
    quad = np.array(transform.quad) + 0.5
    left, top, right, bottom = _bounds(quad)
    box = (max(left, 0), max(top, 0), min(right, photo.width), min(bottom, photo.height))
    if box[0] >= box[2] or box[1] >= box[3]:
        return torch.zeros(3, size, size), torch.zeros(1, size, size)
    factor = max(1, int(np.hypot(*(quad[3] - quad[0])) / size))
    part = photo.reduce(factor, box)
    corners = ((quad - box[:2]) / factor).flatten().tolist()
    sampling = ((size, size), Image.Transform.QUAD, corners, Image.Resampling.BILINEAR)
    there = Image.new("L", part.size, 255).transform(*sampling)
    inside = torch.from_numpy(np.array(there) == 255).float()[None]
    return _levels(part.transform(*sampling)), inside


def _blend(photo: Image.Image, layer: Tensor, transform: CropTransform) -> Image.Image:
    """photo * (1 - cover) + colours, with layer (4, S, S) = cover and colours in crop space."""
    quad = np.array(transform.quad)
    left, top, right, bottom = _bounds(quad)
    left, top = max(left, 0), max(top, 0)
    right, bottom = min(right + 1, photo.width), min(bottom + 1, photo.height)
    if left >= right or top >= bottom:
        return photo.copy()
    layer = _fit_resolution(layer, float(np.hypot(*(quad[3] - quad[0]))))
    # x and y in the photo -> position along the crop's sides, in [-1, 1] inside.
    across, down = quad[3] - quad[0], quad[1] - quad[0]
    inverse = np.linalg.inv(np.stack([across, down], axis=1)) * 2
    pixels = np.array(photo.crop((left, top, right, bottom)))  # (H, W, 3)
    rows = max(1, _STRIP_PIXELS // (right - left))
    x = torch.arange(left, right, dtype=torch.float32) - float(quad[0, 0])
    for start in range(0, bottom - top, rows):
        stop = min(start + rows, bottom - top)
        y = torch.arange(top + start, top + stop, dtype=torch.float32) - float(quad[0, 1])
        grid = torch.stack(
            [float(row[0]) * x[None, :] + float(row[1]) * y[:, None] - 1 for row in inverse],
            dim=-1,
        )  # (rows, W, 2)
        sampled = F.grid_sample(
            layer[None], grid[None], "bilinear", padding_mode="border", align_corners=False
        )[0]
        sampled *= (grid.abs() <= 1).all(-1)
        strip = torch.from_numpy(pixels[start:stop]).float()  # (rows, W, 3)
        blended = strip * (1 - sampled[0, :, :, None]) + sampled[1:].permute(1, 2, 0)
        pixels[start:stop] = blended.round_().clamp_(0, 255).to(torch.uint8).numpy()
    result = photo.copy()
    result.paste(Image.fromarray(pixels), (left, top))
    return result


def _fit_resolution(layer: Tensor, side: float) -> Tensor:
    """Bring (4, S, S) near the side's length in photo pixels: averaged down, smoothly up."""
    size, wanted = layer.shape[-1], max(1, math.ceil(side))
    if wanted < size:
        return resize_tensor(layer[None], wanted)[0]
    wanted = min(wanted, max(size, _FINEST_LAYER))
    return F.interpolate(layer[None], (wanted, wanted), mode="bicubic")[0]
