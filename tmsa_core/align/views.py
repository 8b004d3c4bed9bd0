"""Turned, scaled and upright views of an image, and the way from their pixels to its own."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from tmsa_core.align.crop import face_quad

# The box a detector frames, relative to the FFHQ square: dlib's frontal detector draws such
# boxes (brows to chin), and our own is trained on them.
BOX_SIDE = 0.64
BOX_DROP = 0.08

PATCH = 320  # side of the upright patch; the face box takes half of it
_GREY = (128, 128, 128)  # outside the image
_SMALLEST_LEVEL = 640  # pixels of the longer side; halving stops before it gets smaller


@dataclass(frozen=True)
class View:
    """A turned and scaled copy of a photo. photo = matrix @ (x, y) + offset."""

    pixels: np.ndarray  # (H, W, 3) or (H, W) uint8
    matrix: np.ndarray  # (2, 2)
    offset: np.ndarray  # (2,)

    def to_photo(self, points: np.ndarray) -> np.ndarray:
        """(P, 2) pixels of the copy -> pixels of the photo."""
        return points @ self.matrix.T + self.offset

    def from_photo(self, points: np.ndarray) -> np.ndarray:
        """(P, 2) pixels of the photo -> pixels of the copy."""
        return (points - self.offset) @ np.linalg.inv(self.matrix).T


@dataclass(frozen=True)
class Photo:
    """An image with its halvings, so that views of a huge one need not read all its pixels.

    levels: RGB; each has half the sides of the one before, rounded up.
    """

    levels: tuple[Image.Image, ...]

    @staticmethod
    def of(image: Image.Image) -> Photo:
        """An RGB image, halved as often as is of use."""
        levels = [image]
        while max(levels[-1].size) >= 2 * _SMALLEST_LEVEL:
            levels.append(levels[-1].reduce(2))
        return Photo(tuple(levels))

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the image itself."""
        return self.levels[0].size

    def scaled(self, scale: float) -> Image.Image:
        """A copy with ``scale`` times as many pixels a side."""
        size = tuple(max(1, round(n * scale)) for n in self.size)
        level = self._level(1 / scale)
        box = (0, 0, *(n / 2**level for n in self.size))
        return self.levels[level].resize(size, Image.Resampling.BILINEAR, box)

    def upright_patch(self, points: np.ndarray) -> View:
        """A square patch in which the face of (68, 2) points stands upright.

        Its box takes the middle half. Raises ImageError for points that span no face.
        """
        _, side = face_box(points)
        level = self._level(side / PATCH)  # one halving less than the patch could do with
        if level == 0:
            return upright_patch(self.levels[0], points)
        share = 2**level
        patch = upright_patch(self.levels[level], (points + 0.5) / share - 0.5)
        return View(patch.pixels, patch.matrix * share, (patch.offset + 0.5) * share - 0.5)

    def _level(self, step: float) -> int:
        """The smallest level with at least one pixel to every ``step`` pixels of the image."""
        return min(max(0, math.floor(math.log2(step))), len(self.levels) - 1)


def face_box(landmarks: np.ndarray | Tensor) -> tuple[np.ndarray, float]:
    """Centre (2,) and side of the square from brows to chin that a detector frames.

    Both depend on the eyes and the mouth alone and turn with the face. Raises ImageError like
    ``face_quad``.
    """
    quad = face_quad(landmarks)
    down = quad[1] - quad[0]
    return quad.mean(0) + BOX_DROP * down, BOX_SIDE * float(np.hypot(*down))


def rotation(degrees: float) -> np.ndarray:
    """(2, 2): turns (x, y) clockwise on the screen."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.array([[c, -s], [s, c]])


def turned_view(photo: Photo, pixels: Image.Image, turn: float, margin: float) -> View:
    """A scaled copy of the whole image, turned, within a grey margin.

    Args:
        photo: The image.
        pixels: What ``photo.scaled`` returned.
        turn: Degrees; an upright face in the view lies turned clockwise by it in the image.
        margin: Share of the longer side, for faces that fill the image or are cut off.
    """
    matrix, small = rotation(turn), np.array(pixels.size)
    size = np.ceil(np.abs(matrix).round(9) @ small + 2 * round(margin * max(pixels.size)))
    size = tuple(int(n) for n in size)
    return _view(pixels, size, matrix, (small - 1) / 2, np.array(photo.size) / small)


def part_view(photo: Photo, pixels: Image.Image, box: tuple[int, int, int, int]) -> View:
    """The box (left, top, right, bottom) of ``pixels``, which ``photo.scaled`` returned."""
    scale = np.array(photo.size) / pixels.size
    offset = scale * (np.array(box[:2]) + 0.5) - 0.5
    return View(np.asarray(pixels.crop(box)), np.diag(scale), offset)


def halves(pixels: Image.Image, overlap: int) -> tuple[tuple[int, int, int, int], ...]:
    """Two boxes (left, top, right, bottom) that share ``overlap`` pixels of the longer side."""
    width, height = pixels.size
    if width >= height:
        middle = width // 2
        return (0, 0, middle + overlap // 2, height), (middle - overlap // 2, 0, width, height)
    middle = height // 2
    return (0, 0, width, middle + overlap // 2), (0, middle - overlap // 2, width, height)


def upright_patch(photo: Image.Image, points: np.ndarray) -> View:
    """A square patch in which the face stands upright and its box takes the middle half."""
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
    """The middle half of a patch, where the predictor expects the face: a dlib rectangle."""
    import dlib

    quarter = PATCH // 4
    return dlib.rectangle(quarter, quarter, 3 * quarter - 1, 3 * quarter - 1)


def _view(source: Image.Image, size: tuple[int, int], matrix: np.ndarray, centre: np.ndarray,
          scale: np.ndarray | float = 1.0) -> View:  # fmt: skip
    """Sample ``size`` pixels of ``source`` around ``centre``; a step to the right is matrix[:, 0].

    scale: photo pixels per source pixel. Outside the image all is grey.
    """
    offset = centre - matrix @ ((np.array(size) - 1) / 2)  # source position of pixel (0, 0)
    corner = offset + 0.5 - matrix @ (0.5, 0.5)  # Pillow counts from pixel corners
    data = (*matrix[0], corner[0], *matrix[1], corner[1])
    view = source.transform(size, Image.Transform.AFFINE, data, Image.Resampling.BILINEAR,
                            fillcolor=_GREY[: len(source.getbands())])  # fmt: skip
    scale = np.broadcast_to(np.asarray(scale, dtype=np.float64), (2,))
    return View(np.asarray(view), scale[:, None] * matrix, scale * (offset + 0.5) - 0.5)
