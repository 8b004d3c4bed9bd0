"""Faces are found upright and rotated, large and small, with the committed dlib files."""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import dlib
import numpy as np
import pytest
import torch
from PIL import Image

from tmsa_core.align.crop import align_crop
from tmsa_core.align.detectors import Detector
from tmsa_core.align.landmarks import FaceFinder, Hit, find_hits, without_doubles
from tmsa_core.align.views import PATCH, Photo, face_box, upright_patch
from tmsa_core.avatars.params import sample_portraits
from tmsa_core.avatars.render import render
from tmsa_core.datatypes import Face
from tmsa_core.errors import BundleError, ImageError, NoFaceError
from tmsa_core.imaging.images import to_image
from tmsa_core.training.avatar.face_detector import (
    Sample,
    corner_error,
    evaluate_finder,
    landmark_error,
    random_samples,
    train_detector,
    train_predictor,
)
from tmsa_core.training.avatar.renders import held_out_portraits

FILES = Path(__file__).parent.parent.parent / "checkpoints" / "avatar"


@pytest.fixture(scope="module")
def finder() -> FaceFinder:
    return FaceFinder(FILES / "face_detector.svm", FILES / "landmarks.dat")


def portrait_in(
    size: tuple[int, int], side: int, degrees: float, seed: int, place: tuple[float, float]
) -> Sample:
    """One square portrait of ``side`` pixels, turned, centred at ``place`` (shares of size)."""
    drawn = render(sample_portraits(1, torch.Generator().manual_seed(seed)), 160)
    face = to_image(drawn.images).resize((side, side), Image.Resampling.BICUBIC)
    scale = side / 160
    points = (drawn.landmarks[0].double().numpy() + 0.5) * scale - side / 2
    angle = math.radians(degrees)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    centre = np.array(size) * place
    image = Image.new("RGB", size, (96, 120, 110))
    mask = Image.new("L", face.size, 255).rotate(-degrees, expand=True)
    turned = face.rotate(-degrees, Image.Resampling.BICUBIC, expand=True)
    corner = np.round(centre - np.array(turned.size) / 2).astype(int)
    image.paste(turned, tuple(corner.tolist()), mask)
    centre = corner + np.array(turned.size) / 2
    return Sample(image, (points @ turn.T + centre - 0.5)[None])


def found(finder: FaceFinder, sample: Sample) -> Sequence[Face]:
    """The faces, checked to be those of the sample."""
    faces = finder.find(sample.image)
    assert len(faces) == len(sample.landmarks)
    return faces


@pytest.mark.parametrize(
    ("side", "degrees"),
    [(140, 0), (200, 30), (300, -30), (450, 60), (640, -15), (650, 90), (250, 180), (400, -120)],
)
def test_a_turned_portrait_in_a_large_image(finder, side, degrees):
    sample = portrait_in((1000, 1500), side, degrees, seed=side, place=(0.45, 0.6))
    (face,) = found(finder, sample)
    truth = sample.landmarks[0]
    assert landmark_error(truth, face.landmarks.numpy()) < 0.06
    assert corner_error(truth, face.landmarks.numpy()) < 0.04
    centre, width = face_box(truth)
    assert np.abs(np.array(face.box).reshape(2, 2).mean(0) - centre).max() < 0.08 * width


@pytest.mark.parametrize("side", [64, 128, 256, 700])
def test_a_portrait_that_fills_the_image(finder, side):
    sample = portrait_in((side, side), side, 0, seed=3, place=(0.5, 0.5))
    (face,) = found(finder, sample)
    assert corner_error(sample.landmarks[0], face.landmarks.numpy()) < 0.04


@pytest.mark.parametrize("number", [24, 312, 449])
def test_a_clown_is_found_and_not_the_painted_eyes(finder, number):
    drawn = render(held_out_portraits(2000)[number : number + 1], 128)
    (face,) = finder.find(to_image(drawn.images[0]))
    assert corner_error(drawn.landmarks[0].double().numpy(), face.landmarks.numpy()) < 0.08


def test_the_aligned_crop_is_the_portrait(finder):
    """Found, turned upright and cut out, a pasted portrait looks as it was drawn."""
    drawn = render(sample_portraits(1, torch.Generator().manual_seed(11)), 128)
    sample = portrait_in((900, 700), 300, 25, seed=11, place=(0.5, 0.5))
    (face,) = found(finder, sample)
    crop, _ = align_crop(sample.image, face.landmarks, 128)
    error = np.abs(np.asarray(crop, float) - np.asarray(to_image(drawn.images), float))
    assert error[16:112, 16:112].mean() < 12


def test_several_faces_largest_first(finder):
    small = portrait_in((1200, 800), 200, 5, seed=21, place=(0.25, 0.5))
    large = portrait_in((1200, 800), 420, -5, seed=22, place=(0.7, 0.5))
    large.image.paste(small.image.crop((0, 0, 560, 800)), (0, 0))
    faces = finder.find(large.image)
    assert len(faces) == 2
    assert corner_error(large.landmarks[0], faces[0].landmarks.numpy()) < 0.03
    assert corner_error(small.landmarks[0], faces[1].landmarks.numpy()) < 0.03


def test_face_fields(finder):
    sample = portrait_in((400, 400), 250, 0, seed=5, place=(0.5, 0.5))
    (face,) = found(finder, sample)
    assert face.landmarks.shape == (68, 2)
    assert face.landmarks.dtype == torch.float64
    left, top, right, bottom = face.box
    assert left < right
    assert top < bottom


def test_equal_images_give_equal_faces(finder):
    sample = portrait_in((400, 400), 250, 10, seed=5, place=(0.5, 0.5))
    one, other = finder.find(sample.image), finder.find(sample.image)
    assert torch.equal(one[0].landmarks, other[0].landmarks)


def test_threads_find_what_one_thread_finds(finder):
    """dlib's detectors keep working memory between calls: shared ones mix up images, or crash."""
    samples = list(random_samples(8, 99, people=(1, 1, 2)))
    alone = [finder.find(sample.image) for sample in samples]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda sample: finder.find(sample.image), samples * 3))
    for faces, wanted in zip(together, alone * 3, strict=True):
        assert len(faces) == len(wanted)
        for face, other in zip(faces, wanted, strict=True):
            assert torch.equal(face.landmarks, other.landmarks)


def test_small_faces_of_a_group_are_found(finder):
    """Faces of 62 to 100 pixels in an image of 1600, all beside the largest of them."""
    image, truths = Image.new("RGB", (1600, 1200), (96, 120, 110)), []
    for i, face in enumerate((100, 62, 70, 64, 80, 66, 72, 90)):
        side = round(face / 0.64)
        portrait = portrait_in((400, 600), side, 6 * (-1) ** i, 40 + i, (0.5, 0.5))
        corner = np.array([400 * (i % 4), 600 * (i // 4)])
        image.paste(portrait.image, tuple(corner.tolist()))
        truths.append(portrait.landmarks[0] + corner)
    found_faces = finder.find(image)
    assert len(found_faces) == len(truths)
    for truth in truths:
        assert min(corner_error(truth, face.landmarks.numpy()) for face in found_faces) < 0.06


@pytest.mark.parametrize("place", [(0.2, 0.3), (0.5, 0.5), (0.83, 0.7)])
def test_a_small_face_in_a_photo_of_twelve_megapixels(finder, place):
    sample = portrait_in((4000, 3000), round(120 / 0.64), 4, seed=17, place=place)
    (face,) = found(finder, sample)
    assert corner_error(sample.landmarks[0], face.landmarks.numpy()) < 0.04


class FalseHits:
    """A detector of dlib's that sees something else beside every face of a whole image."""

    def __init__(self, scanner: Any, shift: tuple[float, float], scale: float) -> None:
        self.scanner, self.shift, self.scale = scanner, shift, scale
        self.detection_window_height = scanner.detection_window_height

    def __deepcopy__(self, memo: dict[int, Any]) -> FalseHits:
        return FalseHits(copy.deepcopy(self.scanner), self.shift, self.scale)

    def run(self, pixels: np.ndarray, upsample: int, threshold: float) -> tuple[list, list, list]:
        boxes, scores, kinds = self.scanner.run(pixels, upsample, threshold)
        if pixels.shape[:2] == (PATCH, PATCH):  # the closer look shows nothing there
            return boxes, scores, kinds
        false = []
        for box in boxes:
            x, y = (c + s * box.width() for c, s in zip(centre_of(box), self.shift, strict=True))
            half = self.scale * box.width() / 2
            corners = (x - half, y - half, x + half, y + half)
            false.append(dlib.rectangle(*(round(v) for v in corners)))
        return [*false, *boxes], [*scores, *scores], [*kinds, *kinds]


def centre_of(box: Any) -> tuple[int, int]:
    return box.center().x, box.center().y


class RedSquare:
    """Sees red squares as faces: detector and predictor, the latter of points to scale."""

    detection_window_height = 64

    def __deepcopy__(self, memo: dict[int, Any]) -> RedSquare:
        return self

    def run(self, pixels: np.ndarray, upsample: int, threshold: float) -> tuple[list, list, list]:
        if pixels.ndim == 2:
            return [], [], []
        red = (pixels[:, :, 0] > 150) & (pixels[:, :, 1] < 80)
        rows, columns = np.nonzero(red.any(1))[0], np.nonzero(red.any(0))[0]
        if len(rows) < 20 or len(columns) < 20:
            return [], [], []
        corners = columns[0], rows[0], columns[-1], rows[-1]
        return [dlib.rectangle(*(int(c) for c in corners))], [1.0], [0]

    def predict(self, pixels: np.ndarray, box: Any) -> Any:
        """The points of an average face in the box that was asked about, whatever is there."""
        points = (RED_FACE - 0.5) * box.width() + centre_of(box)
        parts = [dlib.point(round(x), round(y)) for x, y in points.tolist()]
        return dlib.full_object_detection(box, parts)


def unit_face() -> np.ndarray:
    """(68, 2) points of a drawn face, its box being the unit square."""
    points = render(sample_portraits(1, torch.Generator().manual_seed(4)), 160).landmarks[0]
    points = points.double().numpy()
    centre, side = face_box(points)
    eyes = points[42:48].mean(0) - points[36:42].mean(0)
    turn = math.atan2(eyes[1], eyes[0])
    cos, sin = math.cos(turn), math.sin(turn)
    return (points - centre) @ np.array([[cos, -sin], [sin, cos]]) / side + 0.5


RED_FACE = unit_face()


def test_a_false_box_beside_a_face_does_not_take_its_place():
    """Only a box at the expected place and size confirms a hit; any near one did."""
    image = Image.new("RGB", (800, 600), "white")
    image.paste((220, 30, 30), (300, 200, 500, 400))
    square = RedSquare()
    for scanner in (square, FalseHits(square, (-0.3, 0.4), 1.3)):
        detector = Detector(scanner, -0.7, face=-0.4, certain=0.2, doubt=1.0, turns=())
        hits = find_hits(image, detector, square.predict)
        assert len(hits) == 1
        centre, side = face_box(hits[0].points)
        assert np.abs(centre - (400, 300)).max() < 0.03 * 200
        assert side == pytest.approx(200, rel=0.08)


@pytest.mark.parametrize("seed", [3, 8, 14])
def test_false_boxes_beside_drawn_faces_change_nothing(finder, seed):
    sample = portrait_in((700, 700), 300, 5, seed, (0.55, 0.45))
    scanner = dlib.fhog_object_detector(str(FILES / "face_detector.svm"))
    predict = dlib.shape_predictor(str(FILES / "landmarks.dat"))
    false = FalseHits(scanner, (-0.3, 0.4), 1.3)
    detector = Detector(false, -0.7, face=-0.4, certain=0.2, doubt=1.0, turns=())
    hits = find_hits(sample.image, detector, predict)
    assert [corner_error(sample.landmarks[0], hit.points) < 0.04 for hit in hits] == [True]


def test_a_face_inside_a_larger_false_hit_is_kept():
    """Two hits in one another: the one whose points are stable stays."""
    face = Hit(RED_FACE * 100 + 150, score=0.9, doubt=0.2)
    around = Hit(RED_FACE * 220 + 100, score=0.3, doubt=0.9)
    eye = dataclasses.replace(face, score=0.2, doubt=0.8)
    clown = dataclasses.replace(around, score=0.6, doubt=0.2)
    assert without_doubles([face, around]) == [face]
    assert without_doubles([eye, clown]) == [clown]


class Counted:
    """A detector that notes how many pixels it was shown."""

    def __init__(self, scanner: Any, shown: list[int]) -> None:
        self.scanner, self.shown = scanner, shown
        self.detection_window_height = scanner.detection_window_height

    def __deepcopy__(self, memo: dict[int, Any]) -> Counted:
        return Counted(copy.deepcopy(self.scanner), self.shown)

    def run(self, pixels: np.ndarray, upsample: int, threshold: float) -> tuple[list, list, list]:
        self.shown.append(pixels.shape[0] * pixels.shape[1])
        return self.scanner.run(pixels, upsample, threshold)


@pytest.mark.parametrize("size", [(4000, 3000), (8000, 8000)])
@pytest.mark.parametrize("own", [True, False])
def test_the_work_on_a_huge_image_without_a_face_is_bounded(size, own):
    """Twelve megapixels take 3 s and 64 take 6 s on two cores; pixels count the same anywhere."""
    finder = FaceFinder(FILES / "face_detector.svm" if own else None, FILES / "landmarks.dat")
    shown: list[int] = []
    known = finder._detector
    detector = dataclasses.replace(known, scanner=Counted(known.scanner, shown))
    image = Image.new("RGB", size, (96, 120, 110))
    assert find_hits(image, detector, finder._predict) == []
    assert sum(shown) < 56_000_000
    assert max(shown) < 6_000_000


class Everywhere:
    """A detector that takes every place of a view for a face, and nothing on a closer look."""

    detection_window_height = 64

    def __init__(self, looks: list[int]) -> None:
        self.looks = looks

    def __deepcopy__(self, memo: dict[int, Any]) -> Everywhere:
        return self

    def run(self, pixels: np.ndarray, upsample: int, threshold: float) -> tuple[list, list, list]:
        self.looks.append(pixels.shape[0])
        if pixels.shape[:2] == (PATCH, PATCH):
            return [], [], []
        places = [(x, y) for y in range(100, 400, 75) for x in range(100, 400, 75)]
        boxes = [dlib.rectangle(x, y, x + 63, y + 63) for x, y in places]
        return boxes, [0.1] * len(boxes), [0] * len(boxes)


def test_the_work_on_an_image_full_of_patterns_is_bounded(finder):
    """Each of 26 views offers 16 boxes that are no faces; few of them are looked at closely."""
    looks: list[int] = []
    detector = dataclasses.replace(finder._detector, scanner=Everywhere(looks))
    image = Image.new("RGB", (4000, 3000), (96, 120, 110))
    assert find_hits(image, detector, finder._predict) == []
    views = sum(side != PATCH for side in looks)
    assert views == 26
    assert len(looks) - views <= 60


def test_no_face_in_a_huge_image_says_how_small_a_face_may_be(finder):
    with pytest.raises(NoFaceError, match="at least 60 pixels wide"):
        finder.find(Image.new("RGB", (2000, 1500), "white"))
    with pytest.raises(NoFaceError, match=r"at least 1\d\d pixels wide"):
        finder.find(Image.new("RGB", (8000, 6000), "white"))


@pytest.mark.parametrize("side", [90.0, 700.0, 2900.0])
def test_a_patch_of_a_huge_photo_is_that_of_the_photo_itself(side):
    """Cut from halvings, it shows the same pixels at the same places."""
    sample = portrait_in((4000, 3600), round(side / 0.64), 10, seed=2, place=(0.5, 0.5))
    points = sample.landmarks[0]
    plain, fast = upright_patch(sample.image, points), Photo.of(sample.image).upright_patch(points)
    corners = np.array([[0.0, 0.0], [319.0, 0.0], [160.0, 300.0]])
    assert np.abs(plain.to_photo(corners) - fast.to_photo(corners)).max() < 1e-6
    assert np.abs(plain.pixels.astype(int) - fast.pixels.astype(int)).mean() < 3


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (640, 480)])
def test_images_without_a_face(finder, size):
    noise = np.random.default_rng(1).integers(0, 255, (*size[::-1], 3), dtype=np.uint8)
    for image in (Image.fromarray(noise), Image.new("RGB", size, "white")):
        with pytest.raises(NoFaceError, match="No face was found") as caught:
            finder.find(image)
        assert isinstance(caught.value, ImageError)


def test_scenes_are_measured(finder):
    """A small held-out run; ``train avatar landmarks`` prints the figures of a larger one."""
    measures = evaluate_finder(finder, count=12, seed=1234)
    assert measures.images == 12
    assert measures.faces >= 8
    assert measures.detection_rate >= 0.85
    assert measures.false_positives <= 2 / 12
    assert measures.landmark_error <= 0.04
    assert measures.corner_error <= 0.02
    assert measures.corner_error <= measures.corner_error_95


def test_dlib_s_own_detector_is_the_default():
    finder = FaceFinder(None, FILES / "landmarks.dat")
    assert len(finder.find(portrait_in((300, 300), 250, 0, 5, (0.5, 0.5)).image)) == 1


def test_missing_and_foreign_files_are_refused(tmp_path):
    with pytest.raises(BundleError, match=r"68-point predictor .*none.dat"):
        FaceFinder(None, tmp_path / "none.dat")
    (tmp_path / "text.svm").write_text("hello")
    with pytest.raises(BundleError, match="face detector"):
        FaceFinder(tmp_path / "text.svm", FILES / "landmarks.dat")


def test_scenes_are_reproducible_and_labelled():
    one, other = (list(random_samples(3, 7, people=(0, 1, 2))) for _ in range(2))
    for a, b in zip(one, other, strict=True):
        assert np.array_equal(np.asarray(a.image), np.asarray(b.image))
        assert np.array_equal(a.landmarks, b.landmarks)
        assert a.landmarks.shape[1:] == (68, 2)
        for points in a.landmarks:
            centre, side = face_box(points)
            assert (centre > side / 4).all()
            assert (centre < np.array(a.image.size) - side / 4).all()


def test_errors_are_relative_to_the_face():
    truth = render(sample_portraits(1, torch.Generator().manual_seed(0)), 128).landmarks[0]
    truth = truth.double().numpy()
    eyes = np.hypot(*(truth[36:42].mean(0) - truth[42:48].mean(0)))
    assert landmark_error(truth, truth + np.array([0.1 * eyes, 0])) == pytest.approx(0.1)
    _, side = face_box(truth)
    assert corner_error(truth, truth + np.array([0, side / 0.64])) == pytest.approx(1)


def test_training_makes_working_reproducible_files(tmp_path):
    done: list[tuple[int, int]] = []

    def progress(*report: object) -> None:
        done.append(report[:2])

    for name in ("one", "two"):
        train_detector(tmp_path / f"{name}.svm", count=8, seed=3, progress=progress)
        train_predictor(tmp_path / f"{name}.dat", count=8, seed=3, progress=progress)
    for kind in ("svm", "dat"):
        assert (tmp_path / f"one.{kind}").read_bytes() == (tmp_path / f"two.{kind}").read_bytes()
    assert (8, 8) in done
    FaceFinder(tmp_path / "one.svm", tmp_path / "one.dat")  # both files can be read
