"""Finds the faces of an image and places 68 points on each, upright or turned, large or small.

A sliding-window detector on histograms of oriented gradients (Dalal & Triggs 2005) proposes
boxes, an ensemble of regression trees (Kazemi & Sullivan 2014) places the points; both are
dlib's. The search has four steps, from cheap and likely to expensive and rare:

1. The upright image at two moderate sizes.
2. The same image turned, at the smaller size: large faces.
3. The upright image at the largest size that the time allows: small faces, groups.
4. The image turned, at the larger of the moderate sizes: smaller faces.

Steps 2 to 4 follow only where no face is certain; step 3 also where all faces are small. Each
box becomes a face only if the detector sees it again on a patch in which the face stands
upright, at the place and in the size expected, and if the points stay where they are when that
patch is moved a little.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from tmsa_core.align.detectors import (
    Detector,
    Predict,
    drawing_detector,
    photo_detector,
    read_predictor,
)
from tmsa_core.align.views import (
    PATCH,
    Photo,
    View,
    face_box,
    halves,
    part_view,
    patch_box,
    rotation,
    turned_view,
)
from tmsa_core.datatypes import Face
from tmsa_core.errors import ImageError, NoFaceError

LARGE_FACES = 640  # pixels of the longer side at which large faces are looked for,
LARGE_TURNED_FACES = 560  # the same in turned copies,
SMALL_FACES = 1280  # and smaller ones
SMALLEST_FACE = 60  # pixels in the image: no smaller face is looked for
MAX_SCANNED_PIXELS = 7_000_000  # of the copy in which the smallest faces are looked for
_LARGEST_ENLARGEMENT = 3.0
_WORTHWHILE = 1.1  # a further copy is searched only if it is this many times larger
_GROUP = 1 / 8  # a largest face below this share of the longer side: there may be smaller ones
_LARGE_MARGIN, _SMALL_MARGIN = 0.15, 0.03  # grey border, share of the longer side
# Boxes of one view that are looked at more closely, the best first: a group stands upright.
_MOST_BOXES, _MOST_BOXES_TURNED = 60, 16
_THREADS = 2  # views searched at the same time: dlib lets go of Python's lock meanwhile

# Where a face's box lies on its upright patch: how far its centre may be from the middle, and its
# size relative to the expected one. On a patch turned on purpose the centre lies farther off.
_OFF_CENTRE, _OFF_CENTRE_TURNED = 28, 64
_SIZES = (0.72, 1.35)
# Largest mean distance of points placed from moved patches, in face boxes: for a score of 0, and
# what is added per unit of a positive score.
_AGREEMENT = (0.025, 0.045)
_MOVES = ((8, 1.0, 0.04, 0.0), (-8, 1.0, -0.04, 0.0), (0, 1.08, 0.0, 0.04), (0, 0.93, 0.0, -0.04))
_PASSES = 5  # of placing points on a patch and turning the patch by them
_APART = 0.7  # two faces' centres are farther apart than this share of the larger box
_STEADY = 0.3  # from this doubt on, another box of the same face may give better points
_PART = 1.8  # a hit this many times smaller than a face around it may be a part of that face


@dataclass(frozen=True)
class Hit:
    """A face found: (68, 2) points in the image, the detector's score, and how far the points
    moved with the patch, relative to what is allowed (0: not at all, 1: too far).
    """

    points: np.ndarray
    score: float
    doubt: float = 0.0

    @property
    def trust(self) -> float:
        """What decides between two hits of one face: stable points count more than the score."""
        return self.score - 2 * self.doubt


@dataclass(frozen=True)
class FaceFinder:
    """Finds faces with two of dlib's files; any number of threads may use the same finder.

    Attributes:
        detector: The face detector's file, None for dlib's built-in frontal one.
        predictor: The 68-point shape predictor's file.

    Raises:
        BundleError: A file is missing or is none of dlib's.
    """

    detector: Path | None
    predictor: Path

    def __post_init__(self) -> None:
        self._detector, self._predict  # noqa: B018  wrong files fail here, not at first use

    @cached_property
    def _detector(self) -> Detector:
        """Only ever copied, never run."""
        return photo_detector() if self.detector is None else drawing_detector(self.detector)

    @cached_property
    def _predict(self) -> Predict:
        return read_predictor(self.predictor)

    def find(self, image: Image.Image) -> tuple[Face, ...]:
        """Find all faces of an image.

        Args:
            image: RGB, of any size.

        Returns:
            The faces, largest first, never none. Boxes and points are in pixels of ``image`` and
            may reach over its border.

        Raises:
            NoFaceError: There is no face.
        """
        hits = find_hits(image, self._detector, self._predict)
        if not hits:
            smallest = smallest_face(image.size, self._detector.window)
            raise NoFaceError(
                "No face was found in the image: use one that shows a face from the front, not "
                f"covered and at least {smallest} pixels wide, or say that it is an aligned face "
                "already (--aligned in the shell, aligned=True in code)."
            )
        faces = [Face(_upright_box(hit.points), torch.from_numpy(hit.points)) for hit in hits]
        return tuple(sorted(faces, key=_area, reverse=True))


def find_hits(image: Image.Image, detector: Detector, predict: Predict) -> list[Hit]:
    """Every face of an RGB image once, in no order. The detector itself is only copied."""
    copies = tuple(detector.own_copy() for _ in range(_THREADS))
    return _Search(Photo.of(image), copies, predict).run()


def smallest_face(size: tuple[int, int], window: int) -> int:
    """Side in pixels of the smallest upright face found in an image of ``size``.

    window: side of the smallest face that the detector sees.
    """
    return math.ceil(window / _finest_scale(size, window))


@dataclass(frozen=True)
class _Search:
    """One search in one image; detectors: one for each thread."""

    photo: Photo
    detectors: tuple[Detector, ...]
    predict: Predict

    @property
    def detector(self) -> Detector:
        return self.detectors[0]

    def run(self) -> list[Hit]:
        """Every face once; the steps are those that the module's docstring lists."""
        hits = self._upright()
        if not self._any_certain(hits):
            hits += self._turned(self._scale(LARGE_TURNED_FACES), _LARGE_MARGIN)
        if not self._any_certain(hits) or self._all_small(hits):
            hits += self._finest(hits)
        if not self._any_certain(hits):
            hits += self._turned_small()
        return without_doubles(hits)

    def _scale(self, long_side: int) -> float:
        return min(long_side / max(self.photo.size), _LARGEST_ENLARGEMENT)

    def _any_certain(self, hits: Iterable[Hit]) -> bool:
        return any(hit.score >= self.detector.certain for hit in hits)

    def _is_settled(self, hit: Hit) -> bool:
        """Is no closer look needed at further boxes of this face?"""
        return hit.score >= self.detector.certain and hit.doubt < _STEADY

    def _all_small(self, hits: Iterable[Hit]) -> bool:
        return all(face_box(h.points)[1] < _GROUP * max(self.photo.size) for h in hits)

    def _upright(self) -> list[Hit]:
        hits: list[Hit] = []
        scales = (self._scale(LARGE_FACES), self._scale(SMALL_FACES))
        for scale, margin in zip(scales, (_LARGE_MARGIN, _SMALL_MARGIN), strict=True):
            hits += self._hits([self._view(self.photo.scaled(scale), 0, margin)], hits)
            if scale == _LARGEST_ENLARGEMENT:  # the next copy would be this one again
                break
        return hits

    def _turned(self, scale: float, margin: float) -> list[Hit]:
        """Hits of the first turns that show a certain face, and of those before them."""
        # Without colour a detector is a third quicker; the closer look is at the colours.
        pixels, hits = self.photo.scaled(scale).convert("L"), list[Hit]()
        views = [self._view(pixels, turn, margin) for turn in self.detector.turns]
        for first in range(0, len(views), _THREADS):
            hits += self._hits(views[first : first + _THREADS], hits, _MOST_BOXES_TURNED)
            if self._any_certain(hits):
                break
        return hits

    def _turned_small(self) -> list[Hit]:
        wanted = max(self.detector.window / SMALLEST_FACE, self._scale(LARGE_FACES))
        scale = min(self._scale(SMALL_FACES), wanted)
        if scale < _WORTHWHILE * self._scale(LARGE_TURNED_FACES):
            return []
        return self._turned(scale, _SMALL_MARGIN)

    def _finest(self, known: Sequence[Hit]) -> list[Hit]:
        """Hits in the largest copy, which is searched in two halves."""
        scale = _finest_scale(self.photo.size, self.detector.window)
        if scale < _WORTHWHILE * self._scale(SMALL_FACES):
            return []
        # Faces that lie in neither half as a whole are large enough for the copy before.
        overlap = math.ceil(1.3 * self.detector.window * scale / self._scale(SMALL_FACES))
        pixels = self.photo.scaled(scale)
        views = [partial(part_view, self.photo, pixels, box) for box in halves(pixels, overlap)]
        return self._hits(views, known)

    def _view(self, pixels: Image.Image, turn: float, margin: float) -> Callable[[], View]:
        return partial(turned_view, self.photo, pixels, turn, margin)

    def _hits(
        self,
        views: Sequence[Callable[[], View]],
        known: Sequence[Hit],
        most: int = _MOST_BOXES,
    ) -> list[Hit]:
        """The faces seen in at most ``_THREADS`` views, but for certain ones known already."""
        with ThreadPoolExecutor(_THREADS) as pool:
            seen = list(pool.map(_look, views, self.detectors))
        hits: list[Hit] = []
        for view, boxes in seen:
            certain = [hit for hit in (*known, *hits) if self._is_settled(hit)]
            for box, _ in boxes[:most]:
                if any(_covers(hit, *_place(box, view)) for hit in certain):
                    continue
                hit = self._refined(view.to_photo(_points(self.predict(view.pixels, box))))
                hits += [hit] if hit is not None else []
        return hits

    def _refined(self, points: np.ndarray) -> Hit | None:
        """Place the points again on an upright patch; None where that holds no face."""
        try:
            hit = self._settled(points)
            return None if hit is None else self._confirmed(self._right_way_up(hit))
        except ImageError:  # points that span no face
            return None

    def _confirmed(self, hit: Hit) -> Hit | None:
        """Compare the points with those from moved patches: near by on a face, far elsewhere.

        The median of them all is more accurate than any of them.
        """
        centre, side = face_box(hit.points)
        placed = [hit.points]
        for turn, scale, x, y in _MOVES:
            moved = (hit.points - centre) @ rotation(turn).T * scale + centre
            placed.append(self._points_on_patch(moved + np.array([x, y]) * side))
        distance = np.linalg.norm(np.array(placed[1:]) - hit.points, axis=2).mean() / side
        limit = _AGREEMENT[0] + _AGREEMENT[1] * max(hit.score, 0.0)
        if distance / limit >= self.detector.doubt:
            return None
        return Hit(np.median(placed, axis=0), hit.score, float(distance / limit))

    def _settled(self, points: np.ndarray) -> Hit | None:
        for _ in range(_PASSES):
            points = self._points_on_patch(points)
        _, score = self._middle_box(self.photo.upright_patch(points).pixels, _OFF_CENTRE)
        return Hit(points, score) if score >= self.detector.face else None

    def _right_way_up(self, hit: Hit) -> Hit:
        """A beard with a moustache, seen upside down, passes for hair above a face."""
        centre, _ = face_box(hit.points)
        for turn in (90, 180, 270):
            view = self.photo.upright_patch((hit.points - centre) @ rotation(turn).T + centre)
            box, score = self._middle_box(view.pixels, _OFF_CENTRE_TURNED)
            if score > hit.score:
                turned = self._settled(view.to_photo(_points(self.predict(view.pixels, box))))
                hit = max(hit, turned or hit, key=lambda h: h.score)
        return hit

    def _points_on_patch(self, points: np.ndarray) -> np.ndarray:
        patch = self.photo.upright_patch(points)
        return patch.to_photo(_points(self.predict(patch.pixels, patch_box())))

    def _middle_box(self, patch: np.ndarray, off_centre: float) -> tuple[Any, float]:
        """The face in the middle of a patch and how sure the detector is; -inf: there is none."""
        for box, score in self.detector.boxes(patch, self.detector.face):
            middle = abs(np.array([box.center().x, box.center().y]) - PATCH / 2).max()
            size = box.width() / (PATCH / 2)
            if middle < off_centre and _SIZES[0] < size < _SIZES[1]:
                return box, score
        return None, -math.inf


def without_doubles(hits: Sequence[Hit]) -> list[Hit]:
    """The best hit of each face.

    Of two hits whose centres lie closer together than those of two heads can, the one that
    deserves more trust stays. But a hit much smaller than another that it lies in, as a painted
    eye may, goes whatever its score if the points of the larger one are no less stable.
    """
    whole = [hit for hit in hits if not any(_is_part(hit, other) for other in hits)]
    kept: list[Hit] = []
    for hit in sorted(whole, key=lambda h: h.trust, reverse=True):
        centre, side = face_box(hit.points)
        places = [face_box(k.points) for k in kept]
        if all(np.hypot(*(centre - c)) > _APART * max(side, s) for c, s in places):
            kept.append(hit)
    return kept


def _is_part(hit: Hit, face: Hit) -> bool:
    """Does the hit lie in a much larger one, as the painted eye of a clown may?"""
    (centre, side), (middle, whole) = face_box(hit.points), face_box(face.points)
    inside = whole > _PART * side and float(np.hypot(*(centre - middle))) < 0.6 * whole
    return inside and face.doubt <= hit.doubt


def _look(view: Callable[[], View], detector: Detector) -> tuple[View, list[tuple[Any, float]]]:
    """A view and the boxes in it that are worth a closer look."""
    made = view()
    return made, detector.boxes(made.pixels, detector.candidate)


def _finest_scale(size: tuple[int, int], window: int) -> float:
    """Copy's pixels per image pixel that show the smallest faces the time allows."""
    affordable = math.sqrt(MAX_SCANNED_PIXELS / (size[0] * size[1]))
    moderate = min(SMALL_FACES / max(size), _LARGEST_ENLARGEMENT)
    return max(min(window / SMALLEST_FACE, affordable), moderate)


def _place(box: Any, view: View) -> tuple[np.ndarray, float]:
    """Centre (2,) and side of a view's rectangle in the photo."""
    centre = view.to_photo(np.array([[box.center().x, box.center().y]], dtype=np.float64))[0]
    return centre, box.width() * math.sqrt(abs(np.linalg.det(view.matrix)))


def _covers(hit: Hit, centre: np.ndarray, side: float) -> bool:
    """Is a box of this place and size the face of a hit?"""
    middle, whole = face_box(hit.points)
    return float(np.hypot(*(centre - middle))) < 0.25 * whole and 0.65 < side / whole < 1.5


def _points(shape: Any) -> np.ndarray:
    return np.array([(p.x, p.y) for p in shape.parts()], dtype=np.float64)


def _upright_box(points: np.ndarray) -> tuple[float, float, float, float]:
    centre, side = face_box(points)
    x, y = centre.tolist()
    return x - side / 2, y - side / 2, x + side / 2, y + side / 2


def _area(face: Face) -> float:
    return (face.box[2] - face.box[0]) * (face.box[3] - face.box[1])
