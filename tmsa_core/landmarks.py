"""Finds faces in a picture and 68 points on each, upright or rotated, large or small.

A sliding-window detector on histograms of oriented gradients (Dalal & Triggs 2005) proposes
boxes, an ensemble of regression trees (Kazemi & Sullivan 2014) places the points; both are
dlib's. The detector knows upright faces only, so rotated copies of the picture are searched too,
and the points are placed a second time on a patch in which the face stands upright.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from tmsa_core.align import face_quad
from tmsa_core.datatypes import Face
from tmsa_core.errors import BundleError, ImageError, NoFaceError
from tmsa_core.quoting import shortened

# The box a detector frames, relative to the FFHQ square: dlib's frontal detector draws such
# boxes (brows to chin), and our own is trained on them.
BOX_SIDE = 0.64
BOX_DROP = 0.08

LONG_SIDES = (640, 1280)  # sizes at which a picture is searched: large faces, then small ones
TURNS = (30, -30, 90, -90, 60, -60, 180, 120, -120, 150, -150)  # degrees
_LARGEST_ENLARGEMENT = 3.0
_MARGINS = (0.15, 0.03)  # grey border at either size, share of the longer side
_GREY = (128, 128, 128)
_CANDIDATE = -0.7  # detector scores: worth a closer look,
_FACE = -0.4  # a face when seen upright and when the points agree,
_CERTAIN = 0.2  # beyond doubt
# Largest mean distance of points placed from moved patches, in face boxes: for a score of 0, and
# what is added per unit of a positive score.
_AGREEMENT = (0.025, 0.045)
_PART = 1.8  # a hit this many times smaller than a face around it is a part of that face
_MOVES = ((8, 1.0, 0.04, 0.0), (-8, 1.0, -0.04, 0.0), (0, 1.08, 0.0, 0.04), (0, 0.93, 0.0, -0.04))
_PATCH = 320  # side of the upright patch; the face box takes half of it
_PASSES = 3


@dataclass(frozen=True)
class FaceFinder:
    """Finds faces with two of dlib's files.

    detector: the face detector's file, None for dlib's built-in frontal one. predictor: the
    68-point shape predictor's file. Raises BundleError where a file is missing or is none of
    dlib's.
    """

    detector: Path | None
    predictor: Path

    def __post_init__(self) -> None:
        self._detect, self._predict  # noqa: B018  wrong files shall fail here, not at first use

    @cached_property
    def _detect(self) -> Any:
        import dlib  # slow to import, and needed only here

        if self.detector is None:
            return dlib.get_frontal_face_detector()
        return _open(dlib.fhog_object_detector, self.detector, "face detector")

    @cached_property
    def _predict(self) -> Any:
        import dlib

        return _open(dlib.shape_predictor, self.predictor, "68-point predictor")

    def find(self, image: Image.Image) -> tuple[Face, ...]:
        """All faces of an RGB picture, largest first; never empty.

        Searches the picture as it is, for large faces and for small ones, and if that gives
        nothing certain, turned in steps of up to 30 degrees; the first turn with a certain face
        ends the search. Box and points are in pixels of ``image`` and may reach over its border.
        Raises NoFaceError where there is no face.
        """
        hits = self._search(image)
        if not hits:
            raise NoFaceError(
                "No face was found in the picture: use one that shows a face from the front, "
                "not too small and not covered, or say that it is an aligned face already "
                "(--aligned in the shell, aligned=True in code)."
            )
        faces = [Face(_upright_box(hit.points), torch.from_numpy(hit.points)) for hit in hits]
        return tuple(sorted(faces, key=_area, reverse=True))

    def _search(self, image: Image.Image) -> list[_Hit]:
        copies = _copies(image)
        hits = [hit for copy in copies for hit in self._hits(copy, 0)]
        for copy in copies:
            for turn in TURNS:
                if any(hit.score >= _CERTAIN for hit in hits):
                    return _without_doubles(hits)
                hits += self._hits(copy, turn)
        return _without_doubles(hits)

    def _hits(self, copy: _Copy, turn: float) -> Iterator[_Hit]:
        view = _turned(copy, turn)
        boxes, _, _ = self._detect.run(view.pixels, 0, _CANDIDATE)
        for box in boxes:
            points = view.to_photo(_points(self._predict(view.pixels, box)))
            hit = self._refined(copy.photo, points)
            if hit is not None:
                yield hit

    def _refined(self, photo: Image.Image, points: np.ndarray) -> _Hit | None:
        """Place the points again on an upright patch; None where that holds no face."""
        try:
            hit = self._settled(photo, points)
            if hit is None:
                return None
            # A beard with a moustache, seen upside down, passes for hair above a face.
            centre, _ = face_box(hit.points)
            for turn in (90, 180, 270):
                view = upright_patch(photo, (hit.points - centre) @ rotation(turn).T + centre)
                box, score = self._best_box(view.pixels)
                if score > hit.score:
                    turned = view.to_photo(_points(self._predict(view.pixels, box)))
                    hit = max(hit, self._settled(photo, turned) or hit, key=lambda h: h.score)
            limit = _AGREEMENT[0] + _AGREEMENT[1] * max(hit.score, 0.0)
            return hit if self._disagreement(photo, hit.points) < limit else None
        except ImageError:  # points that span no face
            return None

    def _settled(self, photo: Image.Image, points: np.ndarray) -> _Hit | None:
        for _ in range(_PASSES):
            patch = upright_patch(photo, points)
            points = patch.to_photo(_points(self._predict(patch.pixels, patch_box())))
        _, score = self._best_box(upright_patch(photo, points).pixels)
        return _Hit(points, score) if score >= _FACE else None

    def _disagreement(self, photo: Image.Image, points: np.ndarray) -> float:
        """How far the points go astray from moved patches: little on a face, far elsewhere."""
        centre, side = face_box(points)
        distances = []
        for turn, scale, x, y in _MOVES:
            moved = (points - centre) @ rotation(turn).T * scale + centre + np.array([x, y]) * side
            patch = upright_patch(photo, moved)
            again = patch.to_photo(_points(self._predict(patch.pixels, patch_box())))
            distances.append(np.linalg.norm(again - points, axis=1).mean())
        return float(np.mean(distances) / side)

    def _best_box(self, patch: np.ndarray) -> tuple[Any, float]:
        """The face in the middle of a patch and how sure the detector is; -inf: there is none."""
        boxes, scores, _ = self._detect.run(patch, 0, _FACE)
        middle, reach = _PATCH / 2, _PATCH / 5
        near = [
            (box, score)
            for box, score in zip(boxes, scores, strict=True)
            if abs(box.center().x - middle) < reach and abs(box.center().y - middle) < reach
        ]
        return max(near, key=lambda pair: pair[1], default=(None, -math.inf))


def face_box(landmarks: np.ndarray | Tensor) -> tuple[np.ndarray, float]:
    """Centre (2,) and side of the square from brows to chin that a detector frames.

    Both depend on the eyes and the mouth alone and turn with the face. Raises ImageError like
    ``face_quad``.
    """
    quad = face_quad(landmarks)
    down = quad[1] - quad[0]
    return quad.mean(0) + BOX_DROP * down, BOX_SIDE * float(np.hypot(*down))


@dataclass(frozen=True)
class _Hit:
    points: np.ndarray  # (68, 2) in the photo
    score: float


@dataclass(frozen=True)
class View:
    """A turned and scaled copy of a photo. photo = matrix @ (x, y) + offset."""

    pixels: np.ndarray  # (H, W, 3) uint8
    matrix: np.ndarray  # (2, 2)
    offset: np.ndarray  # (2,)

    def to_photo(self, points: np.ndarray) -> np.ndarray:
        """(P, 2) pixels of the copy -> pixels of the photo."""
        return points @ self.matrix.T + self.offset

    def from_photo(self, points: np.ndarray) -> np.ndarray:
        """(P, 2) pixels of the photo -> pixels of the copy."""
        return (points - self.offset) @ np.linalg.inv(self.matrix).T


def _open(reader: Any, path: Path, name: str) -> Any:
    try:
        return reader(str(path))
    except RuntimeError as error:
        raise BundleError(
            f"The {name} {path.name} cannot be read ({shortened(error)}): get it again."
        ) from error


def _points(shape: Any) -> np.ndarray:
    return np.array([(p.x, p.y) for p in shape.parts()], dtype=np.float64)


def _upright_box(points: np.ndarray) -> tuple[float, float, float, float]:
    centre, side = face_box(points)
    x, y = centre.tolist()
    return x - side / 2, y - side / 2, x + side / 2, y + side / 2


def _area(face: Face) -> float:
    return (face.box[2] - face.box[0]) * (face.box[3] - face.box[1])


@dataclass(frozen=True)
class _Copy:
    """A photo at the size at which it is searched, and the grey margin that goes around it."""

    photo: Image.Image
    pixels: Image.Image
    margin: int


def _copies(photo: Image.Image) -> list[_Copy]:
    largest = max(photo.size)
    copies = []
    for long_side, margin in zip(LONG_SIDES, _MARGINS, strict=True):
        scale = min(long_side / largest, _LARGEST_ENLARGEMENT)
        size = [max(1, round(n * scale)) for n in photo.size]
        pixels = photo.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
        copies.append(_Copy(photo, pixels, round(margin * max(size))))
        if scale == _LARGEST_ENLARGEMENT:  # the next size would be this one again
            break
    return copies


def _view(source: Image.Image, size: tuple[int, int], matrix: np.ndarray, centre: np.ndarray,
          scale: np.ndarray | float = 1.0) -> View:  # fmt: skip
    """Sample ``size`` pixels of ``source`` around ``centre``; a step to the right is matrix[:, 0].

    scale: photo pixels per source pixel. Outside the picture all is grey.
    """
    offset = centre - matrix @ ((np.array(size) - 1) / 2)  # source position of pixel (0, 0)
    corner = offset + 0.5 - matrix @ (0.5, 0.5)  # Pillow counts from pixel corners
    data = (*matrix[0], corner[0], *matrix[1], corner[1])
    view = source.transform(size, Image.Transform.AFFINE, data, Image.Resampling.BILINEAR,
                            fillcolor=_GREY)  # fmt: skip
    scale = np.broadcast_to(np.asarray(scale, dtype=np.float64), (2,))
    return View(np.asarray(view), scale[:, None] * matrix, scale * (offset + 0.5) - 0.5)


def rotation(degrees: float) -> np.ndarray:
    """(2, 2): turns (x, y) clockwise on the screen."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.array([[c, -s], [s, c]])


def _turned(copy: _Copy, turn: float) -> View:
    """The whole picture, turned, with a margin for faces that fill it or are cut off."""
    matrix, small = rotation(turn), np.array(copy.pixels.size)
    size = tuple(int(n) for n in np.ceil(np.abs(matrix) @ small + 2 * copy.margin))
    return _view(copy.pixels, size, matrix, (small - 1) / 2, np.array(copy.photo.size) / small)


def upright_patch(photo: Image.Image, points: np.ndarray) -> View:
    """A square patch in which the face stands upright and its box takes the middle half."""
    centre, side = face_box(points)
    quad = face_quad(points)
    right = (quad[3] - quad[0]) / np.hypot(*(quad[3] - quad[0]))
    step = 2 * side / _PATCH  # photo pixels per patch pixel
    reach = math.ceil(side * math.sqrt(2)) + 2
    low = np.clip(np.floor(centre) - reach, 0, np.array(photo.size) - 1).astype(int)
    high = np.clip(np.ceil(centre) + reach, low + 1, photo.size).astype(int)
    factor = max(1, int(step))  # shrink first: sampling alone would alias
    part = photo.reduce(factor, (*low.tolist(), *high.tolist()))
    matrix = np.array([[right[0], -right[1]], [right[1], right[0]]]) * (step / factor)
    middle = (centre - low + 0.5) / factor - 0.5
    view = _view(part, (_PATCH, _PATCH), matrix, middle, factor)
    return View(view.pixels, view.matrix, view.offset + low)


def patch_box() -> Any:
    """The middle half of a patch, where the predictor expects the face: a dlib rectangle."""
    import dlib

    quarter = _PATCH // 4
    return dlib.rectangle(quarter, quarter, 3 * quarter - 1, 3 * quarter - 1)


def _without_doubles(hits: Sequence[_Hit]) -> list[_Hit]:
    """The best hit of each face: parts of faces are dropped, and others whose centre lies within
    half a box of a better one.
    """
    kept: list[_Hit] = []
    whole = [hit for hit in hits if not any(_is_part(hit, other) for other in hits)]
    for hit in sorted(whole, key=lambda h: h.score, reverse=True):
        centre, side = face_box(hit.points)
        places = [face_box(k.points) for k in kept]
        if all(np.hypot(*(centre - c)) > 0.5 * max(side, s) for c, s in places):
            kept.append(hit)
    return kept


def _is_part(hit: _Hit, face: _Hit) -> bool:
    """Does the hit lie in a much larger one, as the painted eye of a clown may?"""
    (centre, side), (middle, whole) = face_box(hit.points), face_box(face.points)
    return whole > _PART * side and float(np.hypot(*(centre - middle))) < 0.6 * whole
