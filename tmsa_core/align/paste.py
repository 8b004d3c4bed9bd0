"""Paste an edited crop back into its photo."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from tmsa_core.align.crop import content_rows, in_rgb, quad_bounds
from tmsa_core.align.maps import blur_map, photo_under_crop, smoothstep, to_levels, to_side
from tmsa_core.align.surroundings import continued, fits_at_sides
from tmsa_core.datatypes import CropTransform
from tmsa_core.imaging.resize import resize_tensor

# Shares of the crop's side, and grey levels of 255. They are this project's own values; how they
# were chosen is not recorded.
_FEATHER = 0.12  # share of the side over which a pasted crop fades into the photo
_CHANGE = (0.01, 0.05)  # differences, of 1, that count as no change and as full change
_MISFIT = (0.04, 0.15)  # the same between photo and inversion; there a change spreads
_REACH = 0.1  # share of the side over which a change spreads
_FAINT = 4.0  # levels; a smaller change of light fades out
_LARGEST_TINT = 32.0  # levels; a larger difference is another background and not another light
_SEAM_REACH = 0.05  # where a smaller share of the surroundings is margin, colours are kept
_COARSE = 256  # pixels of the maps, which are all smooth
_FINEST_LAYER = 1024  # pixels; up to here layers are enlarged bicubically, beyond bilinearly
_STRIP_PIXELS = 1 << 20  # blended at once; bounds the memory


def whole_image(size: int) -> CropTransform:
    """The place of a crop that is a whole square image of ``size`` pixels."""
    low, high = -0.5, size - 0.5
    return CropTransform(((low, low), (low, high), (high, high), (high, low)), size)


def to_crop(points: Tensor, transform: CropTransform) -> Tensor:
    """Points (P,2) in pixels of a photo -> (P,2) float64 in pixels of a crop of ``size``."""
    quad = torch.tensor(transform.quad, dtype=torch.float64)
    sides = torch.stack([quad[3] - quad[0], quad[1] - quad[0]], dim=1)  # (2,2)
    return (points.double() - quad[0]) @ torch.linalg.inv(sides).T * transform.size - 0.5


def restore_within(
    photo: Image.Image, crop: Image.Image, transform: CropTransform, region: Tensor
) -> Image.Image:
    """Put a crop into its photo inside a region (1,S,S) in [0, 1]; other pixels stay the same."""
    layer = torch.cat([region, region * to_levels(crop)])
    return _blend(in_rgb(photo), layer, transform, "bilinear")


def restore_whole(photo: Image.Image, crop: Image.Image, content: float = 1.0) -> Image.Image:
    """The inverse of ``crop_whole``: an edited crop in the size and proportions of its photo."""
    top, height = content_rows(crop.height, content)
    box = (0, top, crop.width, top + height)
    return crop.resize(photo.size, Image.Resampling.LANCZOS, box)


def paste_back(
    photo: Image.Image,
    crop: Image.Image,
    transform: CropTransform,
    original_crop: Image.Image | None = None,
    region: Tensor | None = None,
    drawn: bool = False,
) -> Image.Image:
    """Put an edited crop back into its photo, at the photo's full resolution.

    With ``original_crop`` only the changes of the edit are carried over:

    - where both crops agree, the photo keeps its own pixels, sharpness and background;
    - where they differ, the edited crop shows, its colours matched to the photo around it;
    - so an unchanged crop leaves the photo exactly as it is.

    Without it the crop covers the photo. It fades out at its sides, and its colours turn into
    those of the photo there. Sides on or beyond the photo's border are not faded. Pixels outside
    the crop's quad stay identical.

    Args:
        photo: The photo.
        crop: The edited crop, square, of any size.
        transform: The place of the crop in the photo.
        original_crop: The crop before the edit, as the generator makes it.
        region: (1,S,S) in [0, 1], S the side of the crop: where the photo may change. Pixels in
            which ``region_in_photo`` is zero stay identical.
        drawn: The photo is a drawing. Unless there is a region, or the crop before the edit does
            not show the photo at its sides, the changes of the edit then end at no side of the
            crop, but go on beyond it (``surroundings``).
    """
    photo, size = in_rgb(photo), crop.width
    mask = _feathered_mask(transform, photo.size, size)
    if region is not None:
        mask = mask * region
    edited = to_levels(crop)
    if original_crop is None:
        matched = edited + _seam_tint(photo, edited, mask, transform)
        layer = torch.cat([mask, mask * matched.clamp(0, 255)])
    else:
        original = to_levels(original_crop.resize(crop.size, Image.Resampling.BICUBIC))
        cover, colours, light = _changes(photo, edited, original, transform)
        if drawn and region is None and fits_at_sides(photo, original, transform):
            shown, transform = continued(photo, torch.cat([cover, colours]), transform)
            edge = (shown.shape[-1] - size) // 2
            layer = torch.cat([shown[:1], shown[:1] * shown[1:] + F.pad(mask * light, (edge,) * 4)])
        else:
            layer = torch.cat([cover, cover * colours + light]) * mask
    return _blend(photo, layer, transform, "bicubic" if region is None else "bilinear")


def region_in_photo(
    region: Tensor, photo_size: tuple[int, int], transform: CropTransform
) -> Image.Image:
    """Where ``paste_back`` may change a photo: a grey image of its size.

    Args:
        region: (1,S,S) in [0, 1], in the crop.
        photo_size: Width and height of the photo.
        transform: The place of the crop in the photo.

    Returns:
        0 where the photo stays as it is; above that, in a narrow margin and inside, up to 255.
    """
    extent = region.expand(3, -1, -1) * 1e4  # so that the faintest change rounds to no zero
    layer = torch.cat([torch.zeros_like(region), extent])
    black = Image.new("RGB", photo_size)
    return _blend(black, layer, transform, "bilinear").convert("L")


def photo_to_crop(mask: Image.Image, transform: CropTransform, size: int) -> Tensor:
    """The part of a photo's grey mask under a crop, (1,size,size) in [0, 255]; 0 outside it."""
    under, inside = photo_under_crop(mask.convert("RGB"), transform, size)
    return under[:1] * inside


def _feathered_mask(transform: CropTransform, photo_size: tuple[int, int], size: int) -> Tensor:
    """A mask (1,size,size): 1 inside, falling smoothly to 0 at the sides that lie in the photo."""
    width = max(_FEATHER * size, 1.0)
    ramp = smoothstep(torch.arange(size) / width)  # 0 at the outermost pixel
    rising, falling, flat = ramp, ramp.flip(0), torch.ones(size)
    left, bottom, right, top = _sides_in_photo(transform, photo_size)
    x = (rising if left else flat) * (falling if right else flat)
    y = (rising if top else flat) * (falling if bottom else flat)
    return (y[:, None] * x[None, :])[None]


def _sides_in_photo(transform: CropTransform, photo_size: tuple[int, int]) -> list[bool]:
    """Whether the left, bottom, right and top side of the crop run through the photo."""
    low, high = np.array([-0.5, -0.5]), np.array(photo_size) - 0.5
    quad = np.array(transform.quad)
    sides = [quad[[i, (i + 1) % 4]] for i in range(4)]
    beyond = [(side <= low + 1e-3).all(0) | (side >= high - 1e-3).all(0) for side in sides]
    return [not outside.any() for outside in beyond]


def _changes(
    photo: Image.Image, edited: Tensor, original: Tensor, transform: CropTransform
) -> tuple[Tensor, Tensor, Tensor]:
    """The changes of an edit: cover (1,S,S), the covering colours (3,S,S), and light (3,S,S).

    Where something changed the edited crop covers the photo, tinted to match the unchanged
    surroundings. Elsewhere the photo takes on only the smoothed change of light: fine differences
    there are outlines that the generator moved slightly, and they would show twice.

    Args:
        photo: The photo.
        edited: The edited crop, (3,S,S) in [0, 255].
        original: The crop before the edit, (3,S,S).
        transform: The place of the crop in the photo.
    """
    size = edited.shape[-1]
    coarse = min(size, _COARSE)
    under, inside = photo_under_crop(photo, transform, coarse)
    before, difference = to_side(original, coarse), to_side(edited - original, coarse)
    # What changed, spread to where the inversion does not fit the photo.
    change = _grown(_amount(difference, _CHANGE), inside * _amount(under - before, _MISFIT))
    # Tint: the mean difference between photo and inversion in the unchanged surroundings.
    weight = inside * (1 - change + 1e-3) + 1e-6
    blurred = blur_map(weight * inside * (under - before), coarse / 12)
    tint = (blurred / blur_map(weight, coarse / 12)).clamp(-_LARGEST_TINT, _LARGEST_TINT)
    # Light: the smooth part of the small differences.
    light = blur_map((1 - change) * difference, coarse / 24)
    light = light * smoothstep(light.abs() / _FAINT)
    change, tint, light = (to_side(x, size) for x in (change, tint, light))
    return change, edited + tint, (1 - change) * light


def _amount(difference: Tensor, limits: tuple[float, float]) -> Tensor:
    """A difference (3,S,S) in levels -> (1,S,S): 0 below the limits, 1 above, smoothed."""
    low, high = limits
    largest = difference.abs().amax(0, keepdim=True) / 255
    return smoothstep((blur_map(largest, largest.shape[-1] / 48) - low) / (high - low))


def _grown(change: Tensor, misfit: Tensor) -> Tensor:
    """Spread a change (1,S,S) to neighbours where the inversion misfits the photo.

    So the seam between photo and edit runs where both agree, if there is such a place within
    ``_REACH`` of the crop's side. Takes both maps and returns one, all (1,S,S).
    """
    size = change.shape[-1]
    for _ in range(round(_REACH * size / 2)):
        near = F.max_pool2d(change[None], 5, stride=1, padding=2)[0]
        change = torch.maximum(change, near * misfit)
    return blur_map(change, size / 96)


def _seam_tint(
    photo: Image.Image, edited: Tensor, mask: Tensor, transform: CropTransform
) -> Tensor:
    """The tint (3,S,S) that turns the crop's colours into the photo's at the seam only.

    Args:
        photo: The photo.
        edited: The edited crop, (3,S,S) in [0, 255].
        mask: Feathered mask, (1,S,S).
        transform: The place of the crop in the photo.
    """
    coarse = min(edited.shape[-1], _COARSE)
    under, inside = photo_under_crop(photo, transform, coarse)
    weight = inside * (1 - to_side(mask, coarse))  # the fading margin
    sigma = coarse / 16
    tint = blur_map(weight * (under - to_side(edited, coarse)), sigma)
    tint = tint / (blur_map(weight, sigma) + _SEAM_REACH)
    return to_side(tint.clamp(-_LARGEST_TINT, _LARGEST_TINT), edited.shape[-1])


def _blend(
    photo: Image.Image, layer: Tensor, transform: CropTransform, enlarged: str = "bicubic"
) -> Image.Image:
    """Compute photo * (1 - cover) + colours; layer (4,S,S) holds both in crop space.

    ``enlarged`` names the interpolation of a small layer; "bilinear" spreads no further than to
    the next pixel of the layer.
    """
    quad = np.array(transform.quad)
    left, top, right, bottom = quad_bounds(quad)
    left, top = max(left, 0), max(top, 0)
    right, bottom = min(right + 1, photo.width), min(bottom + 1, photo.height)
    if left >= right or top >= bottom:
        return photo.copy()
    layer = _fit_resolution(layer, float(np.hypot(*(quad[3] - quad[0]))), enlarged)
    # Maps x and y in the photo to positions along the crop's sides, in [-1, 1] inside.
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


def _fit_resolution(layer: Tensor, side: float, enlarged: str) -> Tensor:
    """Resize a layer (4,S,S) near the crop's side in photo pixels, down or up."""
    size, wanted = layer.shape[-1], max(1, math.ceil(side))
    if wanted < size:
        return resize_tensor(layer[None], wanted)[0]
    wanted = min(wanted, max(size, _FINEST_LAYER))
    return F.interpolate(layer[None], (wanted, wanted), mode=enlarged)[0]
