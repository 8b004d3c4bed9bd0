"""Edits in regions: nothing changes outside, everything asked for changes inside."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import parse_qsl

import numpy as np
import pytest
from PIL import Image

from tmsa_core import EditRequest
from tmsa_core.avatars.render import render
from tmsa_core.errors import RequestError
from tmsa_core.imaging.images import to_image
from tmsa_core.training.avatar.renders import held_out_portraits
from tmsa_core.ui.links import from_query, from_recipe, to_query

SMILE = EditRequest("human face", "smiling human face", region="mouth")
GLASSES = EditRequest("human face", "human face with sunglasses", region="eyes")


def changed(a: Image.Image, b: Image.Image) -> np.ndarray:
    """(H,W): the largest change of each pixel."""
    return np.abs(np.asarray(a).astype(int) - np.asarray(b).astype(int)).max(-1)


@pytest.fixture(scope="module", params=["e4e", "hfgi"])
def face(editor, request):
    portrait = to_image(render(held_out_portraits(2)[1:], 200).images[0])
    return editor.prepare(portrait, inversion=request.param)


def test_pixels_outside_the_region_are_the_photos_own(editor, face):
    result = editor.edit(face, SMILE)
    where = np.asarray(editor.region_in_photo(face, "mouth"))
    change = changed(result.image, face.photo)
    assert not change[where == 0].any() and change.max() > 40
    assert 0.03 < (where > 0).mean() < 0.3
    whole = editor.edit(face, replace(SMILE, region=""))
    assert changed(whole.image, face.photo)[where == 0].any()


def test_two_edits_act_each_in_its_own_region(editor, face):
    both = editor.edit(face, [SMILE, GLASSES])
    for one in (SMILE, GLASSES):
        where = np.asarray(editor.region_in_photo(face, one.region)) == 255
        alone = editor.edit(face, one)
        assert np.mean(changed(both.crop, alone.crop)) > 1
        assert np.mean(changed(both.image, alone.image)[where]) < 6
    nowhere = np.asarray(editor.region_in_photo(face, "eyes, mouth")) == 0
    assert not changed(both.image, face.photo)[nowhere].any()


def test_an_edit_everywhere_may_join_one_in_a_region(editor, avatar_face):
    hair = EditRequest("human face", "human face with red hair")
    result = editor.edit(avatar_face, [hair, SMILE])
    alone = editor.edit(avatar_face, hair)
    outside = np.asarray(editor.region_in_photo(avatar_face, "mouth")) == 0
    assert changed(result.crop, alone.crop)[outside].max() <= 1
    assert changed(result.crop, alone.crop).max() > 40


def test_a_mask_of_another_size_is_refused(editor, face):
    with pytest.raises(RequestError, match="make the mask as large as the image"):
        editor.edit(face, replace(SMILE, region=Image.new("L", (50, 40), "white")))


def test_recipes_and_links_hold_regions(editor):
    mask = Image.new("L", (200, 200))
    mask.paste(255, (50, 50, 150, 150))
    requests = [SMILE, replace(GLASSES, region=mask), replace(SMILE, region="")]
    recipe = editor.recipe(requests, "e4e")
    edits = from_recipe(recipe).edits
    assert editor.recipe(edits, "e4e") == recipe
    assert (
        edits[0].region == "mouth" and edits[1].region.startswith("data:") and not edits[2].region
    )
    query = to_query(from_recipe(recipe))
    assert from_query(parse_qsl(query[1:], keep_blank_values=True)).edits == edits
