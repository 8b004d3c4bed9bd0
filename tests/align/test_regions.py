"""Regions of a photo: names, masks, and what they refuse."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tmsa_core.align.paste import whole_image
from tmsa_core.align.regions import PARTS, crop_region, region_text
from tmsa_core.avatars.render import render
from tmsa_core.errors import RequestError
from tmsa_core.training.avatar.renders import held_out_portraits

SIDE = 128


@pytest.fixture(scope="module")
def points() -> torch.Tensor:
    return render(held_out_portraits(1), SIDE, supersample=1).landmarks[0]


def region(name: str, points: torch.Tensor | None) -> torch.Tensor:
    return crop_region(name, SIDE, points, (SIDE, SIDE), whole_image(SIDE))


@pytest.mark.parametrize("name", PARTS)
def test_every_part_is_full_inside_soft_at_its_border_and_zero_beyond(name, points):
    mask = region(name, points)
    assert mask.shape == (1, SIDE, SIDE)
    assert float(mask.max()) == 1 and (mask == 0).any()
    assert float((mask[:, 1:] - mask[:, :-1]).abs().max()) < 0.35


@pytest.mark.parametrize(
    ("name", "inside", "outside"), [("eyes", 37, 57), ("mouth", 57, 37), ("brows", 19, 8)]
)
def test_a_part_lies_on_its_landmarks(name, inside, outside, points):
    mask = region(name, points)[0]
    (x, y), (u, v) = points[inside].round().int().tolist(), points[outside].round().int().tolist()
    assert mask[y, x] == 1 and mask[v, u] == 0


def test_names_add_up(points):
    both = region("eyes, mouth", points)
    assert torch.equal(both, torch.maximum(region("eyes", points), region("mouth", points)))


def test_a_mask_becomes_a_text_and_acts_where_it_is_white(tmp_path: Path):
    pixels = np.zeros((SIDE, SIDE), dtype=np.uint8)
    pixels[20:60, 20:60] = 255
    file = tmp_path / "mask.png"
    Image.fromarray(pixels).save(file)
    text = region_text(file)
    assert text == region_text(pixels) == region_text(text)
    mask = region(text, None)[0]
    assert mask[40, 40] == 1 and mask[100, 100] == 0


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("nose, hair", "no region 'nose'"),
        (7, "region is a int"),
        (Path("nowhere.png"), "mask of a region cannot be read"),
        (np.zeros((4, 4, 7), dtype=np.uint8), "mask of a region cannot be read"),
    ],
)
def test_what_is_no_region_is_refused(given, sentence):
    with pytest.raises(RequestError, match=sentence):
        region_text(given)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (region_text(np.full((64, 64), 255, dtype=np.uint8)), "64 x 64 pixels and the image 128"),
        (region_text(np.zeros((SIDE, SIDE), dtype=np.uint8)), "holds no part"),
        ("data:image/png;base64,AAAA", "damaged"),
        ("hair", "no face for the region 'hair'"),
    ],
)
def test_a_region_that_does_not_fit_the_photo_is_refused(text, sentence):
    with pytest.raises(RequestError, match=sentence):
        region(text, None)
