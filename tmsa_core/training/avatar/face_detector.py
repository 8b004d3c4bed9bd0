"""Training and evaluation of dlib's face detector and 68-point landmark predictor on drawn scenes.

A scene has up to three portraits, cut out or as rotated squares, on a random background. All
randomness is seeded and dlib runs on one thread, so the same machine and versions give the same
files again. Methods: King 2015, "Max-Margin Object Detection", and Kazemi and Sullivan 2014, "One
Millisecond Face Alignment with an Ensemble of Regression Trees".
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFilter

from tmsa_core.align.crop import face_quad
from tmsa_core.align.landmarks import FaceFinder
from tmsa_core.align.views import face_box, patch_box, rotation, upright_patch
from tmsa_core.avatars.params import Portraits, sample_portraits
from tmsa_core.avatars.render import aligned_views, render
from tmsa_core.errors import NoFaceError
from tmsa_core.imaging.images import to_image
from tmsa_core.progress import Progress, print_progress

DETECTOR_SCENES = 1300
PREDICTOR_FACES = 3000
WINDOW = 72  # side of the detector's sliding window in pixels
MAX_ROLL = 20.0
HEADS = (60.0, 200.0)  # range of head heights, in pixels from crown to chin
HEAD_TO_CROP = 1.3  # side of the aligned crop, in head heights
DETECTOR_ROLL = 14.0  # degrees; FaceFinder finds faces turned further in rotated copies
PREDICTOR_HEADS = (60.0, 130.0)
COSTUMES = ("vampire", "rock_star", "clown")  # rare in the prior and hard to recognise
MIRROR = [
    *range(16, -1, -1), *range(26, 16, -1), 27, 28, 29, 30, *range(35, 30, -1),
    45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40,
    *range(54, 47, -1), *range(59, 54, -1), *range(64, 59, -1), 67, 66, 65,
]  # the landmark that each landmark becomes in a mirror image  # fmt: skip


@dataclass(frozen=True)
class Sample:
    """A scene.

    Attributes:
        image: The image.
        landmarks: The landmarks of its N faces, (N,68,2) float64 in pixels.
    """

    image: Image.Image
    landmarks: np.ndarray


@dataclass(frozen=True)
class Measures:
    """How well a finder works.

    Attributes:
        images: Number of scenes.
        faces: Number of faces in them.
        detection_rate: Share of the faces that were found.
        false_positives: False detections per scene.
        landmark_error: Mean of ``landmark_error`` over the faces found.
        corner_error: Mean of ``corner_error`` over the faces found.
        corner_error_95: Its 95th percentile.
    """

    images: int
    faces: int
    detection_rate: float
    false_positives: float
    landmark_error: float
    corner_error: float
    corner_error_95: float


def train_detector(
    out_path: Path,
    count: int = DETECTOR_SCENES,
    seed: int = 0,
    progress: Progress = print_progress,
) -> None:
    """Train a sliding-window detector of upright faces on ``count`` scenes; writes dlib's file."""
    import dlib

    images, boxes = [], []
    for sample in _detector_samples(count, seed):
        images.append(np.asarray(sample.image))
        boxes.append([_rectangle(points) for points in sample.landmarks])
        progress(len(images), count, "detector: scenes drawn")
    options = dlib.simple_object_detector_training_options()
    options.detection_window_size = WINDOW * WINDOW
    options.add_left_right_image_flips = False  # new scenes teach more than mirrored ones
    options.upsample_limit = 0
    options.C = 8
    options.num_threads = 1
    progress(0, 0, f"detector: training on {len(images)} scenes, {sum(map(len, boxes))} faces")
    dlib.train_simple_object_detector(images, boxes, options).save(str(out_path))
    progress(0, 0, f"detector: {out_path.stat().st_size / 1e3:.0f} kB written")


def train_predictor(
    out_path: Path,
    count: int = PREDICTOR_FACES,
    seed: int = 0,
    progress: Progress = print_progress,
) -> None:
    """Train a regression-tree predictor of 68 landmarks on ``count`` faces; writes dlib's file.

    Each face is on a patch as ``FaceFinder`` cuts it: turned upright by an estimate with a small
    error, or with a large one, as in its first pass.
    """
    import dlib

    rng = np.random.default_rng(seed + 1)
    images, shapes = [], []
    scenes = random_samples(count, seed + 1, (1,), heads=PREDICTOR_HEADS, costumes=0.2)
    for done, sample in enumerate(scenes, start=1):
        patch, points = _jittered_patch(sample, rng)
        for pixels, places in ((patch, points), _mirrored(patch, points)):
            parts = [dlib.point(x, y) for x, y in np.rint(places).astype(int).tolist()]
            images.append(pixels)
            shapes.append([dlib.full_object_detection(patch_box(), parts)])
        progress(done, count, "predictor: faces drawn")
    options = dlib.shape_predictor_training_options()
    options.cascade_depth = 12
    options.num_trees_per_cascade_level = 80
    options.tree_depth = 3
    options.nu = 0.1
    options.oversampling_amount = 4
    options.oversampling_translation_jitter = 0.03
    options.feature_pool_size = 500
    options.num_test_splits = 60
    options.random_seed = str(seed)
    options.num_threads = 1
    progress(0, 0, f"predictor: training on {len(images)} faces")
    dlib.train_shape_predictor(images, shapes, options).save(str(out_path))
    progress(0, 0, f"predictor: {out_path.stat().st_size / 1e6:.1f} MB written")


def evaluate_finder(
    finder: FaceFinder, count: int, seed: int, max_roll: float = MAX_ROLL
) -> Measures:
    """Measure a finder on ``count`` scenes of up to three faces."""
    images = faces = found = false = 0
    errors, corner_errors = [], []
    for sample in random_samples(count, seed, people=(0, 1, 1, 1, 2, 3), max_roll=max_roll):
        images, faces = images + 1, faces + len(sample.landmarks)
        try:
            hits = [face.landmarks.numpy() for face in finder.find(sample.image)]
        except NoFaceError:
            hits = []
        pairs = _matches(sample.landmarks, hits)
        found, false = found + len(pairs), false + len(hits) - len(pairs)
        errors += [landmark_error(*pair) for pair in pairs]
        corner_errors += [corner_error(*pair) for pair in pairs]
    return Measures(
        images,
        faces,
        found / max(faces, 1),
        false / max(images, 1),
        float(np.mean(errors)),
        float(np.mean(corner_errors)),
        float(np.percentile(corner_errors, 95)),
    )


def landmark_error(truth: np.ndarray, found: np.ndarray) -> float:
    """Mean distance of true and found landmarks (68,2), relative to the distance of the eyes."""
    eyes = truth[36:42].mean(0) - truth[42:48].mean(0)
    return float(np.linalg.norm(truth - found, axis=1).mean() / np.hypot(*eyes))


def corner_error(truth: np.ndarray, found: np.ndarray) -> float:
    """Mean distance of the crop's corners, relative to its side, for landmarks (68,2) each."""
    one, other = face_quad(truth), face_quad(found)
    return float(np.linalg.norm(one - other, axis=1).mean() / np.hypot(*(one[3] - one[0])))


def random_samples(
    count: int,
    seed: int,
    people: tuple[int, ...],
    max_roll: float = MAX_ROLL,
    heads: tuple[float, float] = HEADS,
    room: tuple[float, float] = (1.6, 3.0),
    distractors: float = 0.0,
    costumes: float = 0.0,
) -> Iterator[Sample]:
    """Draw random scenes.

    Args:
        count: Number of scenes.
        seed: Seed of everything random.
        people: The number of faces in a scene is one of these, all equally likely.
        max_roll: Largest rotation of a face in degrees.
        heads: Range of head heights in pixels, uniform in the logarithm.
        room: Range of the image's longer side, in units of the largest head.
        distractors: Share of scenes with one more face, turned by at least 60 degrees, whose
            landmarks are left out.
        costumes: Share of portraits that get a costume, in addition to those that have one.

    Yields:
        The scenes.
    """
    rng = np.random.default_rng(seed)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(count):
        # 1. Choose the size of the image, landscape or portrait.
        long_side = heads[1] * rng.uniform(*room)
        size = (int(long_side), int(long_side * rng.uniform(0.75, 1)))
        size = size if rng.random() < 0.5 else size[::-1]
        # 2. Choose the places of the faces. If not all fit, the distractor is left out first.
        wanted, extra = int(rng.choice(people)), int(rng.random() < distractors)
        spots = _spots(rng, wanted + extra, size, heads, max_roll)
        extra = min(extra, max(len(spots) - 1, 0)) if wanted else extra
        # 3. Draw the faces, distractors first.
        image, landmarks = _background(rng, size), []
        for i, spot in enumerate(spots):
            portrait = sample_portraits(1, generator)
            if rng.random() < costumes:
                portrait = portrait.with_(costume=str(rng.choice(COSTUMES)))
            if i < extra:
                _put(image, portrait, replace(spot, roll=float(rng.uniform(60, 300))), rng)
            else:
                landmarks.append(_put(image, portrait, spot, rng))
        yield Sample(_photographed(image, rng), np.array(landmarks).reshape(-1, 68, 2))


def _detector_samples(count: int, seed: int) -> Iterator[Sample]:
    """Scenes of small faces, which train fastest, and some close-ups as negative examples."""
    close_ups = count // 8
    hard = {"max_roll": DETECTOR_ROLL, "distractors": 0.5, "costumes": 0.3}
    yield from random_samples(count - close_ups, seed, (0, 1, 1, 1, 2), heads=(92, 112), **hard)
    yield from random_samples(close_ups, seed + 1, (1,), heads=(180, 250), room=(1.2, 1.5), **hard)


@dataclass(frozen=True)
class _Spot:
    """Place of a portrait: centre and side of its aligned crop in pixels, roll in degrees."""

    x: float
    y: float
    side: float
    roll: float


def _spots(
    rng: np.random.Generator,
    count: int,
    size: tuple[int, int],
    heads: tuple[float, float],
    max_roll: float,
) -> list[_Spot]:
    """Up to ``count`` places for heads, inside the image and apart from each other."""
    spots: list[_Spot] = []
    for _ in range(count * 8):
        side = HEAD_TO_CROP * float(np.exp(rng.uniform(*np.log(heads))))
        reach = side * 0.4  # the face stays inside the image, hair may be cut off
        if len(spots) == count or 2 * reach >= min(size):
            continue
        x, y = (float(rng.uniform(reach, n - reach)) for n in size)
        spot = _Spot(x, y, side, float(rng.uniform(-max_roll, max_roll)))
        if all(math.hypot(x - s.x, y - s.y) > 0.6 * (side + s.side) for s in spots):
            spots.append(spot)
    return spots


def _put(
    image: Image.Image, portrait: Portraits, spot: _Spot, rng: np.random.Generator
) -> np.ndarray:
    """Draw a portrait into the image, cut out or as a square; returns its landmarks (68,2)."""
    # 1. Render it, with more or less of the shoulders.
    width = rng.choice((1.0, 1.25, 1.6))
    view = aligned_views(portrait)
    view[:, :, :2] *= width
    resolution = max(32, round(spot.side * width))
    drawn = render(portrait, resolution, view, supersample=2 if resolution < 160 else 1)
    visible = np.ones((resolution, resolution), np.float32)
    if rng.random() < 0.5:
        visible -= drawn.background_mask[0, 0].numpy()
    # 2. Place it. Pillow needs the inverse map, from image to portrait, between pixel corners.
    turn = rotation(spot.roll)
    scale = spot.side * width / resolution
    middle = (resolution - 1) / 2
    inverse = turn.T / scale
    offset = middle + 0.5 - inverse @ (spot.x + 0.5, spot.y + 0.5)
    matrix = (*inverse[0], offset[0], *inverse[1], offset[1])
    transform = (image.size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
    mask = Image.fromarray(np.rint(visible * 255).astype(np.uint8)).transform(*transform)
    image.paste(to_image(drawn.images).transform(*transform), mask=mask)
    # 3. Map its landmarks to the image.
    points = drawn.landmarks[0].double().numpy() - middle
    return points @ turn.T * scale + (spot.x, spot.y)


def _background(rng: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    """Cloudy colours with random shapes, so that a face is not the only structure."""
    cells = int(rng.choice((2, 3, 5, 12, 40)))
    clouds = rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8)
    image = Image.fromarray(clouds).resize(size, Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(0, 25))):
        x, y = rng.uniform(-0.1, 1, 2) * size
        w, h = rng.uniform(0.03, 0.35, 2) * max(size)
        colour = tuple(int(c) for c in rng.integers(0, 256, 3))
        kind = rng.integers(4)
        if kind == 0:
            draw.line((x, y, x + w, y + h - w / 2), colour, int(rng.integers(1, 9)))
        elif kind == 1:
            draw.rectangle((x, y, x + w, y + h), colour)
        else:
            draw.ellipse((x, y, x + w, y + h), colour if kind == 2 else None, colour, width=3)
    return image


def _photographed(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Add the effects of a camera: exposure, blur and noise."""
    if rng.random() < 0.3:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.2)))
    pixels = np.asarray(image, dtype=np.float32) * rng.uniform(0.75, 1.15)
    pixels = pixels + rng.uniform(-15, 15)
    if rng.random() < 0.5:
        pixels = pixels + rng.normal(0, rng.uniform(1, 8), pixels.shape)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def _jittered_patch(sample: Sample, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The patch that ``FaceFinder`` cuts by an inexact estimate: grey (H,W), landmarks (68,2)."""
    points = sample.landmarks[0]
    centre, side = face_box(points)
    rough = rng.random() < 0.5
    turn = rng.normal(0, 11 if rough else 3)
    scale = math.exp(rng.normal(0, 0.09 if rough else 0.03))
    shift = rng.normal(0, 0.06 if rough else 0.02, 2) * side
    estimate = (points - centre) @ rotation(turn).T * scale + centre + shift
    view = upright_patch(sample.image, estimate)
    grey = np.asarray(Image.fromarray(view.pixels).convert("L"))
    return grey, view.from_photo(points)


def _mirrored(patch: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mirror a patch (H,W) and its landmarks (68,2), which keep dlib's order."""
    width = patch.shape[1]
    return np.ascontiguousarray(patch[:, ::-1]), (points * (-1, 1) + (width - 1, 0))[MIRROR]


def _rectangle(points: np.ndarray) -> Any:
    """The box of a face with landmarks (68,2), as dlib's rectangle."""
    import dlib

    (x, y), side = face_box(points)
    left, top, size = round(x - side / 2), round(y - side / 2), round(side)
    return dlib.rectangle(left, top, left + size - 1, top + size - 1)


def _matches(truth: np.ndarray, found: list[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pairs (truth, found) of faces (68,2) whose box centres are less than a third of a box apart.

    truth is (N,68,2).
    """
    pairs, remaining = [], list(found)
    for points in truth:
        centre, side = face_box(points)
        distances = [np.hypot(*(face_box(f)[0] - centre)) for f in remaining]
        if distances and min(distances) < side / 3:
            pairs.append((points, remaining.pop(int(np.argmin(distances)))))
    return pairs
