"""Faces are found upright and rotated, large and small, with the committed dlib files."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tmsa_core.align import align_crop
from tmsa_core.avatars.params import sample_portraits
from tmsa_core.avatars.render import render
from tmsa_core.datatypes import Face
from tmsa_core.errors import BundleError, ImageError, NoFaceError
from tmsa_core.images import to_image
from tmsa_core.landmarks import FaceFinder
from tmsa_core.training.data import held_out_portraits
from tmsa_core.training.landmarks import (
    Sample,
    corner_error,
    evaluate_finder,
    landmark_error,
    random_samples,
    train_detector,
    train_predictor,
)
from tmsa_core.views import face_box

FILES = Path(__file__).parent.parent / "checkpoints" / "avatar"


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
    picture = Image.new("RGB", size, (96, 120, 110))
    mask = Image.new("L", face.size, 255).rotate(-degrees, expand=True)
    turned = face.rotate(-degrees, Image.Resampling.BICUBIC, expand=True)
    corner = np.round(centre - np.array(turned.size) / 2).astype(int)
    picture.paste(turned, tuple(corner.tolist()), mask)
    centre = corner + np.array(turned.size) / 2
    return Sample(picture, (points @ turn.T + centre - 0.5)[None])


def found(finder: FaceFinder, sample: Sample) -> Sequence[Face]:
    """The faces, checked to be those of the sample."""
    faces = finder.find(sample.image)
    assert len(faces) == len(sample.landmarks)
    return faces


@pytest.mark.parametrize(
    ("side", "degrees"),
    [(140, 0), (200, 30), (300, -30), (450, 60), (640, -15), (650, 90), (250, 180), (400, -120)],
)
def test_a_turned_portrait_in_a_large_picture(finder, side, degrees):
    sample = portrait_in((1000, 1500), side, degrees, seed=side, place=(0.45, 0.6))
    (face,) = found(finder, sample)
    truth = sample.landmarks[0]
    assert landmark_error(truth, face.landmarks.numpy()) < 0.06
    assert corner_error(truth, face.landmarks.numpy()) < 0.04
    centre, width = face_box(truth)
    assert np.abs(np.array(face.box).reshape(2, 2).mean(0) - centre).max() < 0.08 * width


@pytest.mark.parametrize("side", [64, 128, 256, 700])
def test_a_portrait_that_fills_the_picture(finder, side):
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


def test_equal_pictures_give_equal_faces(finder):
    sample = portrait_in((400, 400), 250, 10, seed=5, place=(0.5, 0.5))
    one, other = finder.find(sample.image), finder.find(sample.image)
    assert torch.equal(one[0].landmarks, other[0].landmarks)


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (640, 480)])
def test_pictures_without_a_face(finder, size):
    noise = np.random.default_rng(1).integers(0, 255, (*size[::-1], 3), dtype=np.uint8)
    for picture in (Image.fromarray(noise), Image.new("RGB", size, "white")):
        with pytest.raises(NoFaceError, match="No face was found") as caught:
            finder.find(picture)
        assert isinstance(caught.value, ImageError)


def test_scenes_are_measured(finder):
    """A small held-out run; ``train avatar landmarks`` prints the figures of a larger one."""
    measures = evaluate_finder(finder, count=12, seed=1234)
    assert measures.pictures == 12
    assert measures.faces >= 8
    assert measures.detection_rate >= 0.85
    assert measures.false_positives <= 2 / 12
    assert measures.landmark_error <= 0.04
    assert measures.corner_error <= 0.02
    assert measures.corner_error <= measures.corner_error_95


def test_dlib_s_own_detector_is_the_default():
    finder = FaceFinder(None, FILES / "landmarks.dat")
    assert len(finder.find(portrait_in((300, 300), 250, 0, 4, (0.5, 0.5)).image)) == 1


def test_missing_and_foreign_files(tmp_path):
    with pytest.raises(BundleError, match="68-point predictor .*none.dat"):
        FaceFinder(None, tmp_path / "none.dat")
    (tmp_path / "text.svm").write_text("hello")
    with pytest.raises(BundleError, match="face detector"):
        FaceFinder(tmp_path / "text.svm", FILES / "landmarks.dat")


def test_the_finder_is_immutable(finder):
    with pytest.raises(dataclasses.FrozenInstanceError):
        finder.detector = None


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
    assert landmark_error(truth, truth + (0.1 * eyes, 0)) == pytest.approx(0.1)
    _, side = face_box(truth)
    assert corner_error(truth, truth + (0, side / 0.64)) == pytest.approx(1)


def test_training_makes_working_reproducible_files(tmp_path):
    said: list[str] = []
    for name in ("one", "two"):
        train_detector(tmp_path / f"{name}.svm", count=8, seed=3, report=said.append)
        train_predictor(tmp_path / f"{name}.dat", count=8, seed=3, report=said.append)
    for kind in ("svm", "dat"):
        assert (tmp_path / f"one.{kind}").read_bytes() == (tmp_path / f"two.{kind}").read_bytes()
    assert any("8 of 8" in line for line in said)
    finder = FaceFinder(tmp_path / "one.svm", tmp_path / "one.dat")
    assert finder.detector == tmp_path / "one.svm"
