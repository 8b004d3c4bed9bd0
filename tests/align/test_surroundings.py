"""What an edit does at the sides of a drawn portrait's crop goes on beyond them."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from tmsa_core.align.paste import paste_back
from tmsa_core.datatypes import CropTransform

BLUE, GREEN, BROWN = (120, 170, 230), (130, 210, 140), (110, 70, 40)


def portrait(background, hair=None, size=200):
    """A head of skin colour with a column of hair above it that reaches the upper border."""
    image = Image.new("RGB", (size, size), background)
    draw = ImageDraw.Draw(image)
    if hair:
        draw.rectangle((70, 0, 130, 100), fill=hair)
    draw.ellipse((60, 70, 140, 170), fill=(230, 190, 160))
    return image


def place(left, top, right, bottom):
    corners = ((left, top), (left, bottom), (right, bottom), (right, top))
    return CropTransform(tuple((x - 0.5, y - 0.5) for x, y in corners), 128)


def edited(before, after, box):
    """The change from one picture to the other, seen by a crop of the box and pasted back."""
    crops = [image.crop(box).resize((128, 128)) for image in (before, after)]
    pasted = paste_back(before, crops[1], place(*box), crops[0], drawn=True)
    return np.asarray(pasted).astype(int)


@pytest.mark.parametrize("box", [(3, 5, 198, 200), (40, 40, 160, 160)])
def test_a_new_background_fills_the_picture(box):
    pasted = edited(portrait(BLUE), portrait(GREEN), box)
    rows = np.concatenate([pasted[:4].reshape(-1, 3), pasted[-4:].reshape(-1, 3)])
    assert np.abs(rows - GREEN).max() < 25
    assert np.abs(pasted[120, 100] - (230, 190, 160)).max() < 10


@pytest.mark.parametrize("box", [(3, 5, 198, 200), (40, 40, 160, 160)])
def test_no_hair_floats_above_a_bald_head(box):
    pasted = edited(portrait(BLUE, BROWN), portrait(BLUE), box)
    assert np.abs(pasted[:30, 75:125] - BLUE).max() < 25
    assert np.abs(pasted[:, :30] - BLUE).max() < 10


def test_what_is_added_ends_in_an_arc():
    """Hair that the upper side of the crop cuts goes on a little and then ends."""
    pasted = edited(portrait(BLUE), portrait(BLUE, BROWN), (40, 40, 160, 160))
    assert np.abs(pasted[38, 90:110] - BROWN).max() < 40
    assert np.abs(pasted[:15] - BLUE).max() < 10


def test_photos_are_pasted_as_before():
    before, after = portrait(BLUE), portrait(GREEN)
    crops = [image.crop((40, 40, 160, 160)).resize((128, 128)) for image in (before, after)]
    pasted = np.asarray(paste_back(before, crops[1], place(40, 40, 160, 160), crops[0]))
    assert np.array_equal(pasted[:40], np.asarray(before)[:40])


def test_an_unchanged_crop_leaves_the_drawing_as_it_is():
    before = portrait(BLUE, BROWN)
    assert np.array_equal(edited(before, before, (40, 40, 160, 160)), np.asarray(before))
