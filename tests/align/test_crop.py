"""Alignment equals the FFHQ recipe to the pixel, and pasting back undoes it."""

from __future__ import annotations

import json
import sys
import time
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFilter

from tmsa_core.align.crop import align_crop, crop_whole, crop_without_face, face_quad
from tmsa_core.align.paste import paste_back, restore_whole
from tmsa_core.datatypes import CropTransform
from tmsa_core.errors import ImageError

GOLDENS = Path(__file__).parent.parent / "goldens"
GOLDEN = json.loads((GOLDENS / "ffhq_align.json").read_text())
CASES = GOLDEN["cases"]


def synthetic() -> ModuleType:
    """The module that makes the goldens' inputs; it lies beside them, in no package."""
    name = "goldens_synthetic_weights"
    spec = spec_from_file_location(name, GOLDENS / "synthetic_weights.py")
    module = sys.modules[name] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def photo_and_landmarks(name: str) -> tuple[Image.Image, np.ndarray]:
    case = CASES[name]
    pixels = synthetic().pattern_image(case["image_width"], case["image_height"])
    return Image.fromarray(pixels), np.array(case["landmarks"], dtype=np.float64)


def smooth_photo(width: int, height: int) -> Image.Image:
    """Slow waves of colour: nothing in it is too fine for a small crop."""
    y, x = np.mgrid[:height, :width] / max(width, height)
    waves = np.stack([np.sin(9 * x + 4 * y), np.cos(8 * y - 3 * x), np.sin(7 * (x + y))], axis=-1)
    return Image.fromarray(np.rint(127.5 + 100 * waves).astype(np.uint8))


def difference(one: Image.Image, other: Image.Image) -> np.ndarray:
    assert one.size == other.size
    return np.abs(np.asarray(one, int) - np.asarray(other, int))


def inside(transform: CropTransform, size: tuple[int, int]) -> np.ndarray:
    """(H, W) bool: pixels whose centre lies in the crop."""
    quad = np.array(transform.quad)
    basis = np.linalg.inv(np.stack([quad[3] - quad[0], quad[1] - quad[0]], axis=1))
    y, x = np.mgrid[: size[1], : size[0]]
    u = (np.stack([x, y], axis=-1) - quad[0]) @ basis.T
    return ((u >= 0) & (u <= 1)).all(-1)


@pytest.mark.parametrize("name", CASES)
def test_the_crop_equals_the_recipe_to_the_pixel(name):
    photo, landmarks = photo_and_landmarks(name)
    assert np.abs(face_quad(landmarks) - CASES[name]["quad"]).max() < 1e-6
    crop, transform = align_crop(photo, torch.from_numpy(landmarks), 256)
    assert (crop.size, transform.size) == ((256, 256), 256)
    with np.load(GOLDENS / "ffhq_align.npz") as golden:
        expected = golden[name].astype(int)
    stride = GOLDEN["stride"]
    error = np.abs(np.asarray(crop, int)[::stride, ::stride] - expected)
    assert error.max() <= 1
    assert (error > 0).mean() < 0.01


@pytest.mark.parametrize("name", ["frontal", "rotated25", "big_shrink", "border_pad"])
def test_smaller_crops_show_the_same(name):
    photo, landmarks = photo_and_landmarks(name)
    photo = smooth_photo(*photo.size)
    large, where = align_crop(photo, landmarks, 256)
    small, where_small = align_crop(photo, landmarks, 128)
    assert small.size == (128, 128)
    assert np.abs(np.array(where.quad) - where_small.quad).max() < 3  # of 365 pixels or more
    assert difference(large.reduce(2), small).mean() < 1.5


def test_small_crops_do_not_alias():
    """Fine stripes average out to grey; the plain recipe picks some of them."""
    stripes = np.zeros((900, 900, 3), np.uint8)
    stripes[:, ::2] = 255
    _, landmarks = photo_and_landmarks("frontal")
    crop, _ = align_crop(Image.fromarray(stripes), landmarks * 1.4, 128)
    centre = np.asarray(crop, float)[32:96, 32:96]
    assert abs(centre.mean() - 127.5) < 2
    assert centre.std() < 25


@pytest.mark.parametrize("size", [128, 256])
@pytest.mark.parametrize("name", ["frontal", "rotated25", "tiny", "right_bottom_pad"])
def test_round_trip(name, size):
    """Aligned and pasted back without an edit, a smooth photo hardly changes."""
    _, landmarks = photo_and_landmarks(name)
    photo = smooth_photo(CASES[name]["image_width"], CASES[name]["image_height"])
    crop, transform = align_crop(photo, landmarks, size)
    change = difference(paste_back(photo, crop, transform), photo)
    outside = ~inside(transform, photo.size)
    assert change[outside].max(initial=0) == 0
    # Where the face leaves the photo, the recipe blurs and greys the photo's border too.
    assert change.max() <= (60 if CASES[name]["padded"] else 4)
    assert change.mean() < (1.5 if CASES[name]["padded"] else 0.4)


def test_round_trip_is_in_register():
    """Moving the crop by a pixel either way, of 1,481, makes the round trip worse."""
    photo, landmarks = photo_and_landmarks("big_shrink")
    crop, transform = align_crop(photo, landmarks, 256)

    def error(dx: float, dy: float) -> float:
        moved = tuple((x + dx, y + dy) for x, y in transform.quad)
        pasted = paste_back(photo, crop, CropTransform(moved, transform.size))
        return float(difference(pasted, photo).mean())

    here = error(0, 0)
    assert all(here < error(dx, dy) for dx, dy in [(1, 0), (-1, 0), (0, 1), (0, -1)])


@pytest.mark.parametrize("name", ["rotated25_subpixel", "border_pad", "right_bottom_pad", "tiny"])
def test_pixels_outside_the_crop_are_untouched(name):
    photo, landmarks = photo_and_landmarks(name)
    crop, transform = align_crop(photo, landmarks, 128)
    negative = crop.point(lambda v: 255 - v)
    for pasted in (
        paste_back(photo, negative, transform),
        paste_back(photo, negative, transform, crop),
    ):
        change = difference(pasted, photo).max(-1)
        where = inside(transform, photo.size)
        assert change[~where].max(initial=0) == 0
        assert change[where].mean() > 20


@pytest.mark.parametrize("size", [128, 1024])
def test_the_seam_takes_the_colours_of_the_photo(size):
    """A crop in another light shows no frame: at the seam it has the photo's light."""
    _, landmarks = photo_and_landmarks("rotated25")
    photo = smooth_photo(800, 600)
    crop, transform = align_crop(photo, landmarks, size)
    lighter = crop.point(lambda v: min(v + 20, 255))
    change = difference(paste_back(photo, lighter, transform), photo).max(-1)
    centre, *corners = np.array([np.mean(transform.quad, axis=0), *transform.quad])
    assert change[tuple(centre.round().astype(int)[::-1])] >= 17
    sides = [(corners[i] + corners[(i + 1) % 4]) / 2 for i in range(4)]
    margin = [side + 0.08 * (centre - side) for side in sides]  # within the fading margin
    assert max(change[tuple(point.round().astype(int)[::-1])] for point in margin) <= 6


def test_the_round_trip_is_exact_at_full_resolution():
    """At 1024 pixels a photo's own detail survives the way into the crop and back."""
    _, landmarks = photo_and_landmarks("frontal")
    photo = smooth_photo(900, 900)
    crop, transform = align_crop(photo, landmarks, 1024)
    change = difference(paste_back(photo, crop, transform), photo)
    assert change.max() <= 1 and change[~inside(transform, photo.size)].max() == 0


def test_the_edge_is_smooth():
    """A white crop on black fades: no step between neighbours beyond what the feather makes."""
    photo = Image.new("RGB", (800, 600))
    _, landmarks = photo_and_landmarks("rotated25")
    crop, transform = align_crop(photo, landmarks, 128)
    pasted = np.asarray(paste_back(photo, Image.new("RGB", crop.size, "white"), transform), int)
    steps = max(np.abs(np.diff(pasted, axis=0)).max(), np.abs(np.diff(pasted, axis=1)).max())
    assert pasted.max() == 255
    assert steps < 255 / 365 / 0.12 * 2.5  # slope of a smoothstep over 12 % of 365 pixels


def test_an_unchanged_crop_leaves_the_photo_as_it_is():
    photo, landmarks = photo_and_landmarks("rotated25")
    _, transform = align_crop(photo, landmarks, 128)
    inversion = smooth_photo(128, 128)  # a bad inversion: nothing of it may show
    assert difference(paste_back(photo, inversion, transform, inversion), photo).max() == 0


def test_only_what_changed_is_carried_over_in_matched_colours():
    """An inversion that is too dark by 30: the edit's patch comes back brightened by 30."""
    photo = Image.new("RGB", (800, 600), (150, 150, 150))
    _, landmarks = photo_and_landmarks("rotated25")
    crop, transform = align_crop(photo, landmarks, 128)
    inversion = Image.new("RGB", crop.size, (120, 120, 120))
    edited = inversion.copy()
    ImageDraw.Draw(edited).rectangle((50, 50, 78, 78), fill=(200, 60, 60))
    pasted = paste_back(photo, edited, transform, inversion)
    middle = tuple(np.array(transform.quad).mean(0).round().astype(int).tolist())
    assert np.abs(np.array(pasted.getpixel(middle)) - (230, 90, 90)).max() <= 3
    corner = np.array(transform.quad)[0] * 0.85 + np.array(transform.quad)[2] * 0.15
    assert pasted.getpixel(tuple(corner.round().astype(int).tolist())) == (150, 150, 150)


def test_the_edit_shows_where_the_inversion_missed_something():
    """Glasses of the photo that neither crop shows vanish where the edit paints over them."""
    photo = Image.new("RGB", (256, 256), (180, 140, 120))
    ImageDraw.Draw(photo).rectangle((100, 120, 156, 128), fill="black")
    crop, transform = crop_without_face(photo, 128)
    inversion = Image.new("RGB", crop.size, (180, 140, 120))
    edited = inversion.copy()
    ImageDraw.Draw(edited).rectangle((40, 50, 88, 74), fill=(90, 140, 200))
    pasted = np.asarray(paste_back(photo, edited, transform, inversion), int)
    assert np.abs(pasted[110:140, 96:160] - (90, 140, 200)).max() < 25


def disc(size: int, x: int, colour: str) -> Image.Image:
    """A disc of radius 20 at height 64 on grey."""
    image = Image.new("RGB", (size, size), (200, 200, 200))
    ImageDraw.Draw(image).ellipse((x - 20, 44, x + 20, 84), fill=colour)
    return image


def test_what_the_inversion_misplaced_does_not_show_twice():
    """The disc of the photo, six pixels beside the inversion's, goes when the edit colours it."""
    photo = disc(128, 58, "black")
    _crop, transform = crop_without_face(photo, 128)
    pasted = np.asarray(paste_back(photo, disc(128, 64, "red"), transform, disc(128, 64, "black")))
    assert np.abs(pasted[54:74, 34:41].astype(int) - 200).max() < 30  # the rest of the old disc
    assert np.abs(pasted[54:74, 54:74].astype(int) - (255, 0, 0)).max() < 30


def test_slightly_moved_outlines_stay_as_in_the_photo():
    photo = disc(128, 64, "black")
    _crop, transform = crop_without_face(photo, 128)
    inversion = disc(128, 58, "black").filter(ImageFilter.GaussianBlur(3))
    edited = Image.blend(
        inversion, disc(128, 59, "black").filter(ImageFilter.GaussianBlur(3)), 0.12
    )
    assert 0 < difference(edited, inversion).max() < 8
    assert difference(paste_back(photo, edited, transform, inversion), photo).max() <= 2


def test_a_change_of_light_is_carried_over_smoothly():
    photo = disc(128, 64, "black")
    _crop, transform = crop_without_face(photo, 128)
    lighter = Image.fromarray(np.asarray(photo) + np.uint8(4))
    change = difference(paste_back(photo, lighter, transform, photo), photo)
    assert change[20:108, 20:108].min() >= 3 and change.max() <= 5


@pytest.mark.parametrize("size", [(300, 200), (200, 300), (128, 128), (50, 50)])
def test_a_whole_image_is_stretched_and_comes_back_in_its_own_proportions(size):
    photo = smooth_photo(*size)
    for share, bars in ((1.0, 0), (0.75, 64)):
        crop, transform = crop_whole(photo, 512, share)
        assert (crop.size, transform.size) == ((512, 512), 512)
        pixels = np.asarray(crop, int)
        assert not pixels[:bars].any() and not pixels[512 - bars :].any()
        stretched = photo.resize((512, 512 - 2 * bars), Image.Resampling.LANCZOS)
        assert (pixels[bars : 512 - bars] == np.asarray(stretched)).all()
        height = size[1] * 512 / (512 - 2 * bars)  # of the whole crop, in photo pixels
        corners = np.array(transform.quad) + 0.5
        assert np.allclose(corners[2] - corners[0], (size[0], height))
        assert np.allclose(corners.mean(0), (size[0] / 2, size[1] / 2))
        change = difference(restore_whole(photo, crop, share), photo)
        assert change[3:-3, 3:-3].max() <= 3 and change.mean() < 2
        white = restore_whole(photo, Image.new("RGB", crop.size, "white"), share)
        assert (np.asarray(white) == 255).all()


@pytest.mark.parametrize("size", [(300, 200), (200, 300), (128, 128), (50, 50)])
def test_crop_without_face(size):
    photo = smooth_photo(*size)
    crop, transform = crop_without_face(photo, 128)
    assert (crop.size, transform.size) == ((128, 128), 128)
    side = min(size)
    pasted = paste_back(photo, Image.new("RGB", crop.size, "white"), transform)
    change = difference(pasted, photo)
    assert (np.asarray(pasted)[size[1] // 2, size[0] // 2] == 255).all()
    if size[0] == size[1]:  # the crop is the image: all of it is replaced, to the border
        assert (np.asarray(pasted) == 255).all()
    assert (change.max(-1) > 0).sum() <= side * side
    assert difference(paste_back(photo, crop, transform), photo).max() <= 3


def test_an_image_one_pixel_wide_survives():
    crop, transform = crop_without_face(Image.new("RGB", (1, 7), "red"), 128)
    assert crop.getpixel((64, 64)) == (255, 0, 0)
    assert paste_back(Image.new("RGB", (1, 7), "red"), crop, transform).size == (1, 7)


def test_without_face_the_same_size_is_the_same_image():
    photo = smooth_photo(128, 128)
    crop, transform = crop_without_face(photo, 128)
    assert difference(crop, photo).max() == 0
    assert transform.quad == ((-0.5, -0.5), (-0.5, 127.5), (127.5, 127.5), (127.5, -0.5))
    assert difference(paste_back(photo, crop, transform), photo).max() == 0


@pytest.mark.parametrize("shift", [(-5000, 0), (0, 5000), (-350, -350)])
def test_faces_beyond_the_image_survive(shift):
    photo, landmarks = photo_and_landmarks("frontal")
    crop, transform = align_crop(photo, landmarks + shift, 128)
    assert crop.size == (128, 128)
    assert paste_back(photo, crop, transform).size == photo.size


def test_faces_far_outside_the_image_are_refused():
    photo, landmarks = photo_and_landmarks("frontal")
    with pytest.raises(ImageError, match="far outside"):
        align_crop(photo, landmarks - 10_000_000, 256)


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "CMYK", "1", "F"])
@pytest.mark.parametrize("name", ["frontal", "border_pad"])
def test_images_of_other_modes_are_converted_to_rgb(mode, name):
    photo, landmarks = photo_and_landmarks(name)
    photo = photo.convert(mode)
    crop, transform = align_crop(photo, landmarks, 256)
    expected, _ = align_crop(photo.convert("RGB"), landmarks, 256)
    assert crop.mode == "RGB" and difference(crop, expected).max() == 0
    pasted = paste_back(photo, crop.convert("RGBA"), transform)
    assert pasted.mode == "RGB"
    outside = ~inside(transform, photo.size)
    assert difference(pasted, photo.convert("RGB"))[outside].max(initial=0) == 0


@pytest.mark.parametrize(
    "landmarks", [np.zeros((68, 2)), np.full((68, 2), np.nan), np.zeros((5, 2))]
)
def test_landmarks_that_span_no_face_are_refused(landmarks):
    with pytest.raises(ImageError, match="face"):
        face_quad(landmarks)


def test_a_large_photo_is_pasted_back_quickly():
    photo = Image.new("RGB", (4000, 3000), (90, 120, 150))
    _, landmarks = photo_and_landmarks("rotated25")
    crop, transform = align_crop(photo, landmarks * 5, 256)
    edited = crop.point(lambda v: 255 - v)

    def seconds() -> float:
        started = time.process_time()  # of the processor, as other work may run beside it
        paste_back(photo, edited, transform, crop)
        return time.process_time() - started

    assert min(seconds() for _ in range(3)) < 3  # 0.3 on an idle machine
