"""From a photo to an aligned crop and back.

The crop follows the recipe of the FFHQ data set (Karras et al. 2019, "A Style-Based Generator
Architecture for GANs", appendix A) in the form e4e uses it: 68 landmarks give a square that is
turned with the eyes; the photo is shrunk, cut, padded by blurred reflection where the square
leaves it, and sampled.

Coordinates are those of landmarks: x then y, pixel centres at whole numbers. Pillow's are larger
by one half.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from scipy.ndimage import gaussian_filter
from torch import Tensor

from tmsa_core.datatypes import CropTransform
from tmsa_core.errors import ImageError
from tmsa_core.images import resize_tensor

FEATHER = 0.12  # share of the crop's side over which a pasted crop fades into the photo
_RECIPE_SIZE = 256  # from this size on, crops feed networks trained with the plain recipe
_CHANGE = (0.01, 0.05)  # differences (of 1) that count as no change and as full change
_MISFIT = (0.04, 0.15)  # the same for photo and inversion, where a change spreads
_REACH = 0.1  # how far it spreads, as a share of the crop's side
_FAINT = 4.0  # levels; a change of light fades out below
_LARGEST_TINT = 32.0  # levels; more than that is another background, not another light
_SEAM_REACH = 0.05  # where less than this share of the surroundings is margin, colours are kept
_MOST_PADDED = 100_000_000  # pixels of a picture that is continued to reach a face
_COARSE = 256
_FINEST_LAYER = 1024  # layers are enlarged smoothly up to here, linearly from there on
_STRIP_PIXELS = 1 << 20


def face_quad(landmarks: np.ndarray | Tensor) -> np.ndarray:
    """(68, 2) points in dlib's order -> (4, 2) float64, the square to crop.

    Corners in the order upper left, lower left, lower right, upper right. Raises ImageError
    where the points are not finite or span no face.
    """
    points = np.asarray(landmarks, dtype=np.float64)
    if points.shape != (68, 2) or not np.isfinite(points).all():
        raise ImageError(
            f"Got landmarks of shape {points.shape} as a face: expected 68 finite points (x, y)."
        )
    eye_left, eye_right = points[36:42].mean(0), points[42:48].mean(0)
    eyes, eye_to_eye = (eye_left + eye_right) / 2, eye_right - eye_left
    eye_to_mouth = (points[48] + points[54]) / 2 - eyes
    x = eye_to_eye - _quarter_turn(eye_to_mouth)
    length = np.hypot(*x)
    if length < 1:
        raise ImageError("The face is too small to be cut out: use a picture with a larger face.")
    x *= max(2.0 * np.hypot(*eye_to_eye), 1.8 * np.hypot(*eye_to_mouth)) / length
    y = _quarter_turn(x)
    centre = eyes + 0.1 * eye_to_mouth
    return np.stack([centre - x - y, centre - x + y, centre + x + y, centre + x - y])


def align_crop(
    image: Image.Image,
    landmarks: np.ndarray | Tensor,
    output_size: int,
    supersample: int | None = None,
) -> tuple[Image.Image, CropTransform]:
    """Cut the face out of a picture, upright and square, in RGB.

    output_size: side of the crop in pixels. supersample: 1 is the recipe to the letter, which
    samples large faces sparsely (up to one pixel in four); n > 1 shrinks further, samples n
    times as finely and averages, which keeps fine lines clean. None takes 1 from 256 px on and
    2 below, where all networks are our own.

    Returns the crop and where it lies. Raises ImageError for landmarks that span no face or lie
    far outside the picture.
    """
    image = _in_rgb(image)
    if supersample is None:
        supersample = 1 if output_size >= _RECIPE_SIZE else 2
    sampled_size = output_size * supersample
    stage = _Stage(image, face_quad(landmarks))
    stage = _shrink(stage, sampled_size, 0.5 if supersample == 1 else 1.0)
    scale = np.array(image.size) / stage.image.size
    covered = (stage.quad + 0.5) * scale - 0.5
    stage = _pad(_cut(stage))
    crop = stage.image.transform(
        (sampled_size, sampled_size),
        Image.Transform.QUAD,
        (stage.quad + 0.5).flatten().tolist(),
        Image.Resampling.BILINEAR,
    )
    if supersample > 1:
        crop = crop.reduce(supersample)
    return crop, _transform(covered, output_size)


def crop_without_face(image: Image.Image, size: int) -> tuple[Image.Image, CropTransform]:
    """The centre square of a picture that is aligned already, resized to ``size`` pixels."""
    left, top, right, bottom = box = _centre_square(image)
    crop = image.resize((size, size), Image.Resampling.LANCZOS, box)
    corners = np.array([[left, top], [left, bottom], [right, bottom], [right, top]])
    return crop, _transform(corners - 0.5, size)


def resize_square(image: Image.Image, size: int) -> Image.Image:
    """The same square as encoders of ``size`` pixels are used to see it: bilinear."""
    return image.resize((size, size), Image.Resampling.BILINEAR, _centre_square(image))


def crop_whole(
    image: Image.Image, size: int, content: float = 1.0
) -> tuple[Image.Image, CropTransform]:
    """The whole picture, stretched to the crop's width and to ``content`` of its height.

    So e4e treats cars (384 of 512 rows, black above and below, as its generator draws them) and
    churches (all rows). ``restore_whole`` is the way back.
    """
    top, height = _content_rows(size, content)
    crop = Image.new("RGB", (size, size))
    crop.paste(image.resize((size, height), Image.Resampling.LANCZOS), (0, top))
    scale = image.height / height
    above, below = -top * scale, (size - top) * scale
    corners = np.array([[0, above], [0, below], [image.width, below], [image.width, above]])
    return crop, _transform(corners - 0.5, size)


def restore_whole(photo: Image.Image, crop: Image.Image, content: float = 1.0) -> Image.Image:
    """A crop of ``crop_whole``, edited, in the size and proportions of its photo."""
    top, height = _content_rows(crop.height, content)
    box = (0, top, crop.width, top + height)
    return crop.resize(photo.size, Image.Resampling.LANCZOS, box)


def _content_rows(size: int, content: float) -> tuple[int, int]:
    """First row and number of rows that hold the picture."""
    height = round(size * content)
    return (size - height) // 2, height


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


@dataclass(frozen=True)
class _Stage:
    """A picture on its way to the crop, and the quad in its pixels."""

    image: Image.Image
    quad: np.ndarray

    @property
    def side(self) -> float:
        """Length of the quad's side (it is a square)."""
        return float(np.hypot(*(self.quad[3] - self.quad[0])))


def _in_rgb(image: Image.Image) -> Image.Image:
    return image if image.mode == "RGB" else image.convert("RGB")


def _quarter_turn(v: np.ndarray) -> np.ndarray:
    return np.array([-v[1], v[0]])


def _transform(quad: np.ndarray, size: int) -> CropTransform:
    return CropTransform(tuple((float(x), float(y)) for x, y in quad), size)


def _shrink(stage: _Stage, sampled_size: int, share: float) -> _Stage:
    factor = math.floor(stage.side / sampled_size * share)
    if factor <= 1:
        return stage
    width, height = (max(1, round(n / factor)) for n in stage.image.size)
    return _Stage(
        stage.image.resize((width, height), Image.Resampling.LANCZOS), stage.quad / factor
    )


def _bounds(quad: np.ndarray) -> tuple[int, int, int, int]:
    """Whole pixels around a quad: left, top, right, bottom."""
    low, high = np.floor(quad.min(0)), np.ceil(quad.max(0))
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def _border(side: float) -> int:
    return max(round(side * 0.1), 3)


def _cut(stage: _Stage) -> _Stage:
    left, top, right, bottom = _bounds(stage.quad)
    border, (width, height) = _border(stage.side), stage.image.size
    # At least one pixel stays, so that a face outside the picture still ends in a (grey) crop.
    left, top = min(max(left - border, 0), width - 1), min(max(top - border, 0), height - 1)
    right = max(min(right + border, width), left + 1)
    bottom = max(min(bottom + border, height), top + 1)
    if (right - left, bottom - top) == (width, height):
        return stage
    return _Stage(stage.image.crop((left, top, right, bottom)), stage.quad - (left, top))


def _pad(stage: _Stage) -> _Stage:
    """Where the quad leaves the picture, continue it by reflection that blurs and greys away."""
    left, top, right, bottom = _bounds(stage.quad)
    border, (width, height) = _border(stage.side), stage.image.size
    needed = [border - left, border - top, right - width + border, bottom - height + border]
    if max(needed) <= border - 4:
        return stage
    left, top, right, bottom = (max(n, round(stage.side * 0.3), 1) for n in needed)
    if (width + left + right) * (height + top + bottom) > _MOST_PADDED:
        raise ImageError("The face lies far outside the picture: use landmarks in its own pixels.")
    pixels = np.asarray(stage.image, dtype=np.float32)
    pixels = np.pad(pixels, ((top, bottom), (left, right), (0, 0)), "reflect")  # (H, W, 3)
    height, width = pixels.shape[:2]
    y, x = np.ogrid[:height, :width]
    x, y = x.astype(np.float32), y.astype(np.float32)
    mask = np.maximum(
        1 - np.minimum(x / left, (width - 1 - x) / right),
        1 - np.minimum(y / top, (height - 1 - y) / bottom),
    )[:, :, None]
    pixels += (_blur(pixels, stage.side * 0.02) - pixels) * np.clip(mask * 3 + 1, 0, 1)
    pixels += (np.median(pixels, axis=(0, 1)) - pixels) * np.clip(mask, 0, 1)
    padded = Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))
    return _Stage(padded, stage.quad + (left, top))


def _blur(pixels: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur of (H, W, 3) float32. Wide ones work on a reduced copy: same to the eye."""
    reduction = int(sigma // 10)  # 1 or 0 up to the widest blur of a 256 px crop (20.5)
    if sigma <= 21 or min(pixels.shape[:2]) < 2 * reduction:
        return gaussian_filter(pixels, (sigma, sigma, 0))
    tensor = torch.from_numpy(pixels).permute(2, 0, 1).unsqueeze(0)
    small = [n // reduction for n in pixels.shape[:2]]
    reduced = F.interpolate(tensor, small, mode="bilinear", antialias=True)[0]
    blurred = gaussian_filter(reduced.numpy(), (0, sigma / reduction, sigma / reduction))
    grown = F.interpolate(torch.from_numpy(blurred)[None], pixels.shape[:2], mode="bilinear")
    return grown[0].permute(1, 2, 0).numpy()


def _centre_square(image: Image.Image) -> tuple[int, int, int, int]:
    """Left, top, right, bottom."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return left, top, left + side, top + side


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
