"""Turned, scaled and upright views of a photo, and maps between their pixels and its own."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from tmsa_core.align.crop import face_quad

# A detector's box (brows to chin) relative to the FFHQ square, as dlib's frontal detector draws it;
# the detector of drawn faces is trained on such boxes.
BOX_SIDE = 0.64
BOX_DROP = 0.08

PATCH = 320  # side of the upright patch in pixels; the face box takes half of it
_GREY = (128, 128, 128)  # colour outside the photo
_SMALLEST_LEVEL = 640  # pixels of the longer side of the smallest halving


@dataclass(frozen=True)
class View:
    """A turned and scaled copy of a photo.

    Attributes:
        pixels: (H,W,3) or (H,W) uint8.
        matrix: (2,2); a point of the photo is matrix @ point of the copy + offset.
        offset: (2,).
    """

    pixels: np.ndarray
    matrix: np.ndarray
    offset: np.ndarray

    def to_photo(self, points: np.ndarray) -> np.ndarray:
        """Points (P,2) of the copy -> points (P,2) of the photo."""
        return points @ self.matrix.T + self.offset

    def from_photo(self, points: np.ndarray) -> np.ndarray:
        """Points (P,2) of the photo -> points (P,2) of the copy."""
        return (points - self.offset) @ np.linalg.inv(self.matrix).T


@dataclass(frozen=True)
class Photo:
    """A photo with its halvings, so that views of a huge photo do not read all its pixels.

    Attributes:
        levels: RGB images; each has half the sides of the one before, rounded up.
    """

    levels: tuple[Image.Image, ...]

    @staticmethod
    def of(image: Image.Image) -> Photo:
        """Halve an RGB image down to ``_SMALLEST_LEVEL``."""
        levels = [image]
        while max(levels[-1].size) >= 2 * _SMALLEST_LEVEL:
            levels.append(levels[-1].reduce(2))
        return Photo(tuple(levels))

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the photo."""
        return self.levels[0].size

    def scaled(self, scale: float) -> Image.Image:
        """A copy with ``scale`` times the sides."""
        width, height = (max(1, round(n * scale)) for n in self.size)
        level = self._level(1 / scale)
        box = (0, 0, *(n / 2**level for n in self.size))
        return self.levels[level].resize((width, height), Image.Resampling.BILINEAR, box)

    def upright_patch(self, points: np.ndarray) -> View:
        """A square patch in which the face of (68,2) points stands upright, see below.

        Raises:
            ImageError: The points span no face.
        """
        _, side = face_box(points)
        level = self._level(side / PATCH)  # one halving less than the patch needs
        if level == 0:
            return upright_patch(self.levels[0], points)
        share = 2**level
        patch = upright_patch(self.levels[level], (points + 0.5) / share - 0.5)
        return View(patch.pixels, patch.matrix * share, (patch.offset + 0.5) * share - 0.5)

    def _level(self, step: float) -> int:
        """The smallest level with at least one pixel for every ``step`` pixels of the photo."""
        return min(max(0, math.floor(math.log2(step))), len(self.levels) - 1)


def face_box(landmarks: np.ndarray | Tensor) -> tuple[np.ndarray, float]:
    """Centre (2,) and side of a face's detector box, of landmarks (68,2).

    Both depend only on the eyes and the mouth and turn with the face.

    Raises:
        ImageError: As in ``face_quad``.
    """
    quad = face_quad(landmarks)
    down = quad[1] - quad[0]
    return quad.mean(0) + BOX_DROP * down, BOX_SIDE * float(np.hypot(*down))


def rotation(degrees: float) -> np.ndarray:
    """The matrix (2,2) that turns (x, y) clockwise on the screen."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.array([[c, -s], [s, c]])


def turned_view(photo: Photo, pixels: Image.Image, turn: float, margin: float) -> View:
    """Turn a scaled copy of the whole photo, within a grey margin.

    Args:
        photo: The photo.
        pixels: What ``photo.scaled`` returned.
        turn: Degrees by which an upright face of the view is turned clockwise in the photo.
        margin: Share of the longer side, for faces that fill the photo or are cut off.
    """
    matrix, small = rotation(turn), np.array(pixels.size)
    size = np.ceil(np.abs(matrix).round(9) @ small + 2 * round(margin * max(pixels.size)))
    size = tuple(int(n) for n in size)
    return _view(pixels, size, matrix, (small - 1) / 2, np.array(photo.size) / small)


def part_view(photo: Photo, pixels: Image.Image, box: tuple[int, int, int, int]) -> View:
    """Cut a box (left, top, right, bottom) out of ``pixels``, which ``photo.scaled`` returned."""
    scale = np.array(photo.size) / pixels.size
    offset = scale * (np.array(box[:2]) + 0.5) - 0.5
    return View(np.asarray(pixels.crop(box)), np.diag(scale), offset)


def halves(pixels: Image.Image, overlap: int) -> tuple[tuple[int, int, int, int], ...]:
    """Two boxes (left, top, right, bottom) that overlap by ``overlap`` pixels."""
    width, height = pixels.size
    if width >= height:
        middle = width // 2
        return (0, 0, middle + overlap // 2, height), (middle - overlap // 2, 0, width, height)
    middle = height // 2
    return (0, 0, width, middle + overlap // 2), (0, middle - overlap // 2, width, height)


def upright_patch(photo: Image.Image, points: np.ndarray) -> View:
    """A patch (PATCH,PATCH,3) in which the face of (68,2) points is upright.

    The face box takes the middle half of the patch.
    """
    centre, side = face_box(points)
    quad = face_quad(points)
    right = (quad[3] - quad[0]) / np.hypot(*(quad[3] - quad[0]))
    step = 2 * side / PATCH  # photo pixels per patch pixel
    reach = math.ceil(side * math.sqrt(2)) + 2
    low = np.clip(np.floor(centre) - reach, 0, np.array(photo.size) - 1).astype(int)
    high = np.clip(np.ceil(centre) + reach, low + 1, photo.size).astype(int)
    factor = max(1, int(step))  # shrink first: sampling alone would alias
    part = photo.reduce(factor, (*low.tolist(), *high.tolist()))
    matrix = np.array([[right[0], -right[1]], [right[1], right[0]]]) * (step / factor)
    middle = (centre - low + 0.5) / factor - 0.5
    view = _view(part, (PATCH, PATCH), matrix, middle, factor)
    return View(view.pixels, view.matrix, view.offset + low)


def patch_box() -> Any:
    """The middle half of a patch as dlib's rectangle: the face box for the predictor."""
    import dlib

    quarter = PATCH // 4
    return dlib.rectangle(quarter, quarter, 3 * quarter - 1, 3 * quarter - 1)


def _view(source: Image.Image, size: tuple[int, int], matrix: np.ndarray, centre: np.ndarray,
          scale: np.ndarray | float = 1.0) -> View:  # fmt: skip
    """Sample a view of ``size`` pixels from ``source``; it is grey outside the photo.

    Args:
        source: A scaled copy or a part of the photo.
        size: Width and height of the view.
        matrix: (2,2); its first column is a step to the right in the view, in source pixels.
        centre: The centre of the view in source pixels, (2,).
        scale: Photo pixels per source pixel, a number or (2,).
    """
    offset = centre - matrix @ ((np.array(size) - 1) / 2)  # source position of pixel (0, 0)
    corner = offset + 0.5 - matrix @ (0.5, 0.5)  # Pillow counts from pixel corners
    data = (*matrix[0], corner[0], *matrix[1], corner[1])
    view = source.transform(size, Image.Transform.AFFINE, data, Image.Resampling.BILINEAR,
                            fillcolor=_GREY[: len(source.getbands())])  # fmt: skip
    scale = np.broadcast_to(np.asarray(scale, dtype=np.float64), (2,))
    return View(np.asarray(view), scale[:, None] * matrix, scale * (offset + 0.5) - 0.5)
