"""dlib's face detectors with the meaning of their scores, and its predictor of 68 points."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tmsa_core.errors import BundleError

# dlib's 68-point predictor: from (H,W,3) pixels and a rectangle to a shape. Threads may share it.
Predict = Callable[[np.ndarray, Any], Any]


@dataclass(frozen=True)
class Detector:
    """One of dlib's detectors and the meaning of its scores.

    Attributes:
        scanner: dlib's object. It keeps working memory between calls, so two threads must not
            run the same one.
        candidate: Least score of a box that is examined further.
        face: Least score of a face, on an upright patch and with stable points.
        certain: Least score that ends the search.
        doubt: A hit is a face only below this doubt (see ``Hit``).
        turns: Degrees by which the photo is turned, likely ones first. The detector must tolerate
            half a step.
    """

    scanner: Any
    candidate: float
    face: float
    certain: float
    doubt: float
    turns: tuple[float, ...]

    @property
    def window(self) -> int:
        """Side of the smallest face that it finds, in pixels."""
        return int(self.scanner.detection_window_height)

    def own_copy(self) -> Detector:
        """A copy with its own working memory; takes about a millisecond."""
        return replace(self, scanner=copy.deepcopy(self.scanner))

    def boxes(self, pixels: np.ndarray, threshold: float) -> list[tuple[Any, float]]:
        """Rectangles of dlib in (H,W,3) or (H,W) uint8 pixels with their scores, best first."""
        rectangles, scores, _ = self.scanner.run(pixels, 0, threshold)
        return list(zip(rectangles, scores, strict=True))


def photo_detector() -> Detector:
    """The built-in detector of dlib for frontal faces, with thresholds for photos.

    False hits in photos reach a score of 0.5, but their points are not stable: doubts are up to
    0.2 for faces and 0.6 or more for others. The detector tolerates a roll of 30 degrees.
    """
    import dlib  # slow to import, and needed only here

    turns = (90, -90, 45, -45, 180, 135, -135)
    scanner = dlib.get_frontal_face_detector()
    return Detector(scanner, candidate=-0.3, face=0.1, certain=0.8, doubt=0.4, turns=turns)


def drawing_detector(path: Path) -> Detector:
    """This project's detector of drawn faces, which tolerates a roll of 15 to 20 degrees.

    Raises:
        BundleError: The file is missing or does not hold a detector.
    """
    import dlib

    turns = (30, -30, 90, -90, 60, -60, 180, 120, -120, 150, -150)
    scanner = _open(dlib.fhog_object_detector, path, "face detector")
    return Detector(scanner, candidate=-0.7, face=-0.4, certain=0.2, doubt=1.0, turns=turns)


def read_predictor(path: Path) -> Predict:
    """Read a 68-point shape predictor.

    Raises:
        BundleError: The file is missing or does not hold a predictor.
    """
    import dlib

    return _open(dlib.shape_predictor, path, "68-point predictor")


def _open(reader: Any, path: Path, name: str) -> Any:
    try:
        return reader(str(path))
    except RuntimeError as error:
        raise BundleError(f"The {name} {path} cannot be read: {error}.") from error
