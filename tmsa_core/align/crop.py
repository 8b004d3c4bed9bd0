"""Cut an aligned crop out of a photo.

The crop follows the recipe of the FFHQ data set (Karras et al. 2019, "A Style-Based Generator
Architecture for GANs", appendix A) as e4e uses it: 68 landmarks define a square that turns with the
eyes; the photo is shrunk, cut, padded by blurred reflection beyond its border, and sampled.

Points are x then y in pixels, and pixel centres lie at whole numbers. Pillow's coordinates are
larger by one half.
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

_RECIPE_SIZE = 256  # crops of this size or larger feed networks trained with the plain recipe
_MAX_PADDED = 100_000_000  # pixels of a padded image; bounds the memory


def face_quad(landmarks: np.ndarray | Tensor) -> np.ndarray:
    """The square of the FFHQ recipe around a face.

    ``avatars.drawing.geometry`` has the same formula on tensors, in batches and differentiable;
    this one works on NumPy arrays in float64, as the public recipe does.

    Args:
        landmarks: (68,2) points in dlib's order.

    Returns:
        The corners (4,2) float64: upper left, lower left, lower right, upper right.

    Raises:
        ImageError: The points are not finite or span no face.
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
        raise ImageError("The face is too small to be cut out: use an image with a larger face.")
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
    """Cut a face out of an image, upright and square, in RGB.

    Args:
        image: The photo.
        landmarks: (68,2) points of the face in pixels, in dlib's order.
        output_size: Side of the crop in pixels.
        supersample: 1 is the exact recipe, which samples large faces sparsely (up to one pixel in
            four). n > 1 samples n times as finely and averages, which keeps fine lines clean.
            None is 1 for crops of 256 pixels or more and 2 for smaller ones, whose networks are
            all trained in this project.

    Returns:
        The crop and its place in the photo.

    Raises:
        ImageError: The landmarks span no face or lie far outside the image.
    """
    image = in_rgb(image)
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
    """Resize the centre square of an aligned image to ``size`` pixels; returns its place too."""
    left, top, right, bottom = box = _centre_square(image)
    crop = image.resize((size, size), Image.Resampling.LANCZOS, box)
    corners = np.array([[left, top], [left, bottom], [right, bottom], [right, top]])
    return crop, _transform(corners - 0.5, size)


def resize_square(image: Image.Image, size: int) -> Image.Image:
    """The same square by bilinear resizing, as encoders of ``size`` pixels were trained on."""
    return image.resize((size, size), Image.Resampling.BILINEAR, _centre_square(image))


def crop_whole(
    image: Image.Image, size: int, content: float = 1.0
) -> tuple[Image.Image, CropTransform]:
    """Stretch the whole image to the crop's width and to a share of its height, as e4e does.

    ``restore_whole`` is the inverse.

    Args:
        image: The photo.
        size: Side of the crop in pixels.
        content: Share of the rows that hold the image; the rest above and below is black. Cars
            have 384 of 512 rows, churches all.

    Returns:
        The crop and its place in the photo.
    """
    top, height = content_rows(size, content)
    crop = Image.new("RGB", (size, size))
    crop.paste(image.resize((size, height), Image.Resampling.LANCZOS), (0, top))
    scale = image.height / height
    above, below = -top * scale, (size - top) * scale
    corners = np.array([[0, above], [0, below], [image.width, below], [image.width, above]])
    return crop, _transform(corners - 0.5, size)


def content_rows(size: int, content: float) -> tuple[int, int]:
    """The first row and the number of rows of a crop that hold the image, see ``crop_whole``."""
    height = round(size * content)
    return (size - height) // 2, height


@dataclass(frozen=True)
class _Stage:
    """An image between photo and crop, and the quad (4,2) in its pixels."""

    image: Image.Image
    quad: np.ndarray

    @property
    def side(self) -> float:
        """Length of the quad's side (it is a square)."""
        return float(np.hypot(*(self.quad[3] - self.quad[0])))


def in_rgb(image: Image.Image) -> Image.Image:
    """The image in RGB; the same object if it is RGB already."""
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


def quad_bounds(quad: np.ndarray) -> tuple[int, int, int, int]:
    """Whole pixels around a quad (4,2): left, top, right, bottom."""
    low, high = np.floor(quad.min(0)), np.ceil(quad.max(0))
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def _border(side: float) -> int:
    return max(round(side * 0.1), 3)


def _cut(stage: _Stage) -> _Stage:
    left, top, right, bottom = quad_bounds(stage.quad)
    border, (width, height) = _border(stage.side), stage.image.size
    # Keep at least one pixel, so that a face outside the image still gives a (grey) crop.
    left, top = min(max(left - border, 0), width - 1), min(max(top - border, 0), height - 1)
    right = max(min(right + border, width), left + 1)
    bottom = max(min(bottom + border, height), top + 1)
    if (right - left, bottom - top) == (width, height):
        return stage
    return _Stage(stage.image.crop((left, top, right, bottom)), stage.quad - (left, top))


def _pad(stage: _Stage) -> _Stage:
    """Pad the image where the quad leaves it, by reflection that fades to blur and then to grey."""
    left, top, right, bottom = quad_bounds(stage.quad)
    border, (width, height) = _border(stage.side), stage.image.size
    needed = [border - left, border - top, right - width + border, bottom - height + border]
    if max(needed) <= border - 4:
        return stage
    left, top, right, bottom = (max(n, round(stage.side * 0.3), 1) for n in needed)
    if (width + left + right) * (height + top + bottom) > _MAX_PADDED:
        raise ImageError("The face lies far outside the image: use landmarks in its own pixels.")
    pixels = np.asarray(stage.image, dtype=np.float32)
    pixels = np.pad(pixels, ((top, bottom), (left, right), (0, 0)), "reflect")  # (H, W, 3)
    # mask: 0 at the border of the image, 1 at the outermost padding; negative inside.
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
    return _Stage(padded, stage.quad + np.array([left, top]))


def _blur(pixels: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur of (H,W,3) float32; a wide one runs on a reduced copy and looks the same."""
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
    """Left, top, right, bottom of the largest square in the middle."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return left, top, left + side, top + side
