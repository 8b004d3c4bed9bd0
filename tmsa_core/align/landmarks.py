"""Find the faces of a photo, upright or turned, large or small, and place 68 points on each.

A sliding-window detector on histograms of oriented gradients (Dalal & Triggs 2005) proposes boxes
and an ensemble of regression trees (Kazemi & Sullivan 2014) places the points; both are dlib's.
The search has four steps, from cheap and likely to expensive and rare:

1. The upright photo at two moderate sizes.
2. The photo turned, at the smaller of these sizes: large faces.
3. The upright photo at the largest size that ``MAX_SCANNED_PIXELS`` allows: small faces, groups.
4. The photo turned, at the larger of the moderate sizes: smaller faces.

Steps 2 to 4 run only if no face is certain; step 3 also if all faces are small. A box becomes a
face only if the detector finds it again on an upright patch, at the expected place and size, and
if the points are stable when the patch is moved a little.

The boxes of a view are examined best first, and a few in a row that are no faces end it. This
bounds the work on a photo that is full of patterns.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
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
    BOX_DROP,
    BOX_SIDE,
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

# Sizes of the searched copies: pixels of the longer side.
LARGE_FACES = 640
LARGE_TURNED_FACES = 560  # turned copies in step 2
SMALL_FACES = 1280
SMALLEST_FACE = 60  # pixels in the photo; smaller faces are not searched
MAX_SCANNED_PIXELS = 7_000_000  # of the largest copy; bounds the time
_MAX_ENLARGEMENT = 3.0
_WORTHWHILE = 1.1  # another copy is searched only if it is this many times larger
_GROUP = 1 / 8  # all faces below this share of the longer side: there may be smaller ones
_LARGE_MARGIN, _SMALL_MARGIN = 0.15, 0.03  # grey border, share of the longer side
_MAX_BOXES, _MAX_BOXES_TURNED = 60, 16  # examined per view, best first; groups are upright
# Boxes in a row that are no faces and end a view. In 12 public group photos and 30 drawn scenes no
# face came after more than two such boxes.
_MISSES, _MISSES_TURNED = 6, 3
_MANY_MISSES = 24  # of a photo; from then on one box without a face ends a turned view
_THREADS = 2  # views searched at the same time; dlib releases Python's lock

# The box of a face on its upright patch: largest distance from the middle in pixels (a patch
# turned on purpose has a larger one), and size relative to the expected one.
_OFF_CENTRE, _OFF_CENTRE_TURNED = 28, 64
_SIZES = (0.72, 1.35)
_SIZES_AT_FIRST = (0.6, 1.6)  # while the patch is not upright yet
# Largest mean distance between points placed from moved patches, in face boxes: for a score of 0,
# and what is added per unit of a positive score.
_AGREEMENT = (0.025, 0.045)
# Moves of the patch: degrees, scale, and x and y in face boxes.
_MOVES = ((8, 1.0, 0.04, 0.0), (-8, 1.0, -0.04, 0.0), (0, 1.08, 0.0, 0.04), (0, 0.93, 0.0, -0.04))
_PASSES = 5  # of placing points on a patch and turning the patch by them
_APART = 0.7  # least distance between the centres of two faces, share of the larger box
_STEADY = 0.3  # at this doubt or more, another box of the same face may give better points
_PART = 1.8  # a hit this many times smaller than a face around it may be a part of that face


@dataclass(frozen=True)
class Hit:
    """A face that was found.

    Attributes:
        points: (68,2) in pixels of the photo.
        score: The detector's score.
        doubt: How far the points moved with the patch: 0 not at all, 1 the limit.
    """

    points: np.ndarray
    score: float
    doubt: float = 0.0

    @property
    def trust(self) -> float:
        """Decides between two hits of one face: stable points count more than the score."""
        return self.score - 2 * self.doubt


class FaceFinder:
    """Finds faces with two of dlib's files; threads may share a finder.

    Args:
        detector: File of the face detector, None for dlib's built-in frontal one.
        predictor: File of the 68-point shape predictor.

    Raises:
        BundleError: A file is missing or is not one of dlib's.
    """

    def __init__(self, detector: Path | None, predictor: Path) -> None:
        self._detector = photo_detector() if detector is None else drawing_detector(detector)
        self._predict = read_predictor(predictor)

    def find(self, image: Image.Image) -> tuple[Face, ...]:
        """Find all faces of an image.

        Args:
            image: RGB, of any size.

        Returns:
            At least one face, the largest first. Boxes and points are in pixels of ``image`` and
            may reach over its border.

        Raises:
            NoFaceError: No face was found.
        """
        hits = find_hits(image, self._detector, self._predict)
        if not hits:
            smallest = smallest_face(image.size, self._detector.window)
            raise NoFaceError(
                "No face was found in the image: use one that shows a face from the front, not "
                f"covered and at least {smallest} pixels wide, or say that it is an aligned face "
                "already (--aligned in the shell, aligned=True in code)."
            )
        hits.sort(key=lambda hit: face_box(hit.points)[1], reverse=True)
        return tuple(Face(_upright_box(h.points), torch.from_numpy(h.points)) for h in hits)

    def place_in_crop(self, crop: Image.Image) -> torch.Tensor:
        """The landmarks (68,2) float64 of a face whose place is known, in pixels of its crop."""
        import dlib

        scale = PATCH / 2 / (BOX_SIDE * crop.width)  # the predictor sees the face box at PATCH / 2
        side = round(crop.width * scale)
        corner = round(0.5 * side - PATCH / 4), round((0.5 + BOX_DROP) * side - PATCH / 4)
        box = dlib.rectangle(*corner, corner[0] + PATCH // 2 - 1, corner[1] + PATCH // 2 - 1)
        pixels = np.array(crop.convert("RGB").resize((side, side), Image.Resampling.BILINEAR))
        parts = self._predict(pixels, box).parts()
        points = np.array([(part.x, part.y) for part in parts], dtype=np.float64)
        return torch.from_numpy((points + 0.5) * (crop.width / side) - 0.5)


def find_hits(image: Image.Image, detector: Detector, predict: Predict) -> list[Hit]:
    """Every face of an RGB image once, in any order. Runs copies of the detector only."""
    copies = tuple(detector.own_copy() for _ in range(_THREADS))
    return _Search(Photo.of(image), copies, predict).run()


def smallest_face(size: tuple[int, int], window: int) -> int:
    """Side in pixels of the smallest upright face that is found.

    Args:
        size: Width and height of the image.
        window: Side of the smallest face that the detector finds.
    """
    return math.ceil(window / _finest_scale(size, window))


@dataclass
class _Search:
    """One search in one photo, with a detector for each thread; ``misses`` counts as it goes on.

    Attributes:
        misses: How many examined boxes were no faces.
    """

    photo: Photo
    detectors: tuple[Detector, ...]
    predict: Predict
    misses: int = 0

    @property
    def detector(self) -> Detector:
        return self.detectors[0]

    def run(self) -> list[Hit]:
        """Every face once, by the four steps of the module's docstring."""
        hits = self._upright()
        if not self._any_certain(hits):
            hits += self._turned(self._scale(LARGE_TURNED_FACES), _LARGE_MARGIN)
        if not self._any_certain(hits) or self._all_small(hits):
            hits += self._finest(hits)
        if not self._any_certain(hits):
            hits += self._turned_small()
        return without_doubles(hits)

    def _scale(self, long_side: int) -> float:
        return min(long_side / max(self.photo.size), _MAX_ENLARGEMENT)

    def _any_certain(self, hits: Iterable[Hit]) -> bool:
        return any(hit.score >= self.detector.certain for hit in hits)

    def _is_settled(self, hit: Hit) -> bool:
        """Whether further boxes of this face can be skipped."""
        return hit.score >= self.detector.certain and hit.doubt < _STEADY

    def _all_small(self, hits: Iterable[Hit]) -> bool:
        return all(face_box(h.points)[1] < _GROUP * max(self.photo.size) for h in hits)

    def _upright(self) -> list[Hit]:
        hits: list[Hit] = []
        scales = (self._scale(LARGE_FACES), self._scale(SMALL_FACES))
        for scale, margin in zip(scales, (_LARGE_MARGIN, _SMALL_MARGIN), strict=True):
            hits += self._hits([self._view(self.photo.scaled(scale), 0, margin)], hits)
            if scale == _MAX_ENLARGEMENT:  # the next copy would be this one again
                break
        return hits

    def _turned(self, scale: float, margin: float) -> list[Hit]:
        """Hits of all turns, up to the first ones that show a certain face."""
        # Grey copies are searched a third quicker; boxes are then examined in colour.
        pixels, hits = self.photo.scaled(scale).convert("L"), list[Hit]()
        views = [self._view(pixels, turn, margin) for turn in self.detector.turns]
        for first in range(0, len(views), _THREADS):
            hits += self._hits(views[first : first + _THREADS], hits, turned=True)
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
        """New hits in the largest copy, which is searched in two halves."""
        scale = _finest_scale(self.photo.size, self.detector.window)
        if scale < _WORTHWHILE * self._scale(SMALL_FACES):
            return []
        # Faces that lie in neither half as a whole are large enough for the smaller copy.
        overlap = math.ceil(1.3 * self.detector.window * scale / self._scale(SMALL_FACES))
        pixels = self.photo.scaled(scale)
        views = [partial(part_view, self.photo, pixels, box) for box in halves(pixels, overlap)]
        return self._hits(views, known)

    def _view(self, pixels: Image.Image, turn: float, margin: float) -> Callable[[], View]:
        return partial(turned_view, self.photo, pixels, turn, margin)

    def _hits(
        self, views: Sequence[Callable[[], View]], known: Sequence[Hit], turned: bool = False
    ) -> list[Hit]:
        """The faces in at most ``_THREADS`` views, without settled ones that are known."""
        with ThreadPoolExecutor(_THREADS) as pool:
            seen = list(pool.map(_look, views, self.detectors))
        most = _MAX_BOXES_TURNED if turned else _MAX_BOXES
        hits: list[Hit] = []
        for view, boxes in seen:
            certain = [hit for hit in (*known, *hits) if self._is_settled(hit)]
            hits += self._examined(view, boxes[:most], certain, self._misses_allowed(turned))
        return hits

    def _misses_allowed(self, turned: bool) -> int:
        """How many boxes in a row without a face end the next view."""
        if not turned:
            return _MISSES
        return _MISSES_TURNED if self.misses < _MANY_MISSES else 1

    def _examined(
        self,
        view: View,
        boxes: Sequence[tuple[Any, float]],
        certain: Sequence[Hit],
        most_misses: int,
    ) -> list[Hit]:
        """The faces at boxes of a view, up to ``most_misses`` boxes in a row without a face.

        Boxes of the faces in ``certain`` are left out.
        """
        hits: list[Hit] = []
        in_a_row = 0
        for box, _ in boxes:
            if any(_covers(hit, *_place(box, view)) for hit in certain):
                continue
            hit = self._refined(view.to_photo(_points(self.predict(view.pixels, box))))
            if hit is not None:
                hits.append(hit)
                in_a_row = 0
                continue
            self.misses += 1
            in_a_row += 1
            if in_a_row == most_misses:
                break
        return hits

    def _refined(self, points: np.ndarray) -> Hit | None:
        """Place points (68,2) again on an upright patch; None if that shows no face."""
        try:
            hit = self._upright_hit(points)
            return None if hit is None else self._confirmed(self._right_way_up(hit))
        except ImageError:  # points that span no face
            return None

    def _confirmed(self, hit: Hit) -> Hit | None:
        """Check that points from moved patches agree, as they do on faces only.

        Returns their median, which is more accurate than any of them, or None.
        """
        centre, side = face_box(hit.points)
        limit = _AGREEMENT[0] + _AGREEMENT[1] * max(hit.score, 0.0)
        placed, doubt = [hit.points], 0.0
        for turn, scale, x, y in _MOVES:
            moved = (hit.points - centre) @ rotation(turn).T * scale + centre
            placed.append(self._points_on_patch(moved + np.array([x, y]) * side))
            doubt += _distance(placed[-1], hit.points) / (side * limit * len(_MOVES))
            if doubt >= self.detector.doubt:
                return None
        return Hit(np.median(placed, axis=0), hit.score, doubt)

    def _upright_hit(self, points: np.ndarray) -> Hit | None:
        """Turn the patch by the points (68,2) until it is upright; None if it shows no face."""
        points = self._points_on_patch(points)
        if not self._may_be_face(points):
            return None
        for _ in range(_PASSES - 1):
            points = self._points_on_patch(points)
        _, score = self._middle_box(self.photo.upright_patch(points).pixels, _OFF_CENTRE)
        return Hit(points, score) if score >= self.detector.face else None

    def _may_be_face(self, points: np.ndarray) -> bool:
        """Whether the first patch of points (68,2) shows a box; this saves time on other things."""
        patch = self.photo.upright_patch(points).pixels
        return self._middle_box(patch, _OFF_CENTRE_TURNED, _SIZES_AT_FIRST)[0] is not None

    def _right_way_up(self, hit: Hit) -> Hit:
        """The hit, or a better one at another turn.

        A beard with a moustache, upside down, can look like hair above a face.
        """
        centre, _ = face_box(hit.points)
        for turn in (90, 180, 270):
            view = self.photo.upright_patch((hit.points - centre) @ rotation(turn).T + centre)
            box, score = self._middle_box(view.pixels, _OFF_CENTRE_TURNED)
            if score > hit.score:
                turned = self._upright_hit(view.to_photo(_points(self.predict(view.pixels, box))))
                if turned is not None and turned.score > hit.score:
                    hit = turned
        return hit

    def _points_on_patch(self, points: np.ndarray) -> np.ndarray:
        """Place the points (68,2) on the upright patch of earlier points (68,2)."""
        patch = self.photo.upright_patch(points)
        return patch.to_photo(_points(self.predict(patch.pixels, patch_box())))

    def _middle_box(
        self, patch: np.ndarray, off_centre: float, sizes: tuple[float, float] = _SIZES
    ) -> tuple[Any, float]:
        """The rectangle of the face in the middle of a patch and its score; -inf for no face."""
        for box, score in self.detector.boxes(patch, self.detector.face):
            middle = abs(np.array([box.center().x, box.center().y]) - PATCH / 2).max()
            size = box.width() / (PATCH / 2)
            if middle < off_centre and sizes[0] < size < sizes[1]:
                return box, score
        return None, -math.inf


def without_doubles(hits: Sequence[Hit]) -> list[Hit]:
    """The best hit of each face.

    Of two hits that are too close to be two heads, the one with more ``trust`` stays. But a hit
    inside a much larger one, such as a painted eye, is dropped whatever its score if the points
    of the larger one are at least as stable.
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
    """Whether the hit lies in a much larger one with points at least as stable."""
    (centre, side), (middle, whole) = face_box(hit.points), face_box(face.points)
    inside = whole > _PART * side and float(np.hypot(*(centre - middle))) < 0.6 * whole
    return inside and face.doubt <= hit.doubt


def _look(view: Callable[[], View], detector: Detector) -> tuple[View, list[tuple[Any, float]]]:
    """Make a view and find its boxes to examine further."""
    made = view()
    return made, detector.boxes(made.pixels, detector.candidate)


def _finest_scale(size: tuple[int, int], window: int) -> float:
    """Pixels of the largest copy per photo pixel: as fine as ``MAX_SCANNED_PIXELS`` allows."""
    affordable = math.sqrt(MAX_SCANNED_PIXELS / (size[0] * size[1]))
    moderate = min(SMALL_FACES / max(size), _MAX_ENLARGEMENT)
    return max(min(window / SMALLEST_FACE, affordable), moderate)


def _place(box: Any, view: View) -> tuple[np.ndarray, float]:
    """Centre (2,) and side, in the photo, of dlib's rectangle in a view."""
    centre = view.to_photo(np.array([[box.center().x, box.center().y]], dtype=np.float64))[0]
    return centre, box.width() * math.sqrt(abs(np.linalg.det(view.matrix)))


def _covers(hit: Hit, centre: np.ndarray, side: float) -> bool:
    """Whether a box of this centre (2,) and side is the face of a hit."""
    middle, whole = face_box(hit.points)
    return float(np.hypot(*(centre - middle))) < 0.25 * whole and 0.65 < side / whole < 1.5


def _distance(points: np.ndarray, others: np.ndarray) -> float:
    """Mean distance between points (68,2) and others (68,2)."""
    return float(np.linalg.norm(points - others, axis=1).mean())


def _points(shape: Any) -> np.ndarray:
    """Convert a shape of dlib to points (68,2) float64."""
    return np.array([(p.x, p.y) for p in shape.parts()], dtype=np.float64)


def _upright_box(points: np.ndarray) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of the ``face_box`` of points (68,2), not turned."""
    centre, side = face_box(points)
    x, y = centre.tolist()
    return x - side / 2, y - side / 2, x + side / 2, y + side / 2
