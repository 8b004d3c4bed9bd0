"""Texture lies at the same place of every crop, for all proportions."""

import pytest
import torch
import torch.nn.functional as F

from tmsa_core.avatars.drawing.geometry import crop_frames
from tmsa_core.avatars.drawing.texture import (
    curl_texture,
    forehead_texture,
    freckle_texture,
    strand_texture,
)
from tmsa_core.avatars.params import Portraits, sample_portraits
from tmsa_core.avatars.render import aligned_views, render

SIDE = 128
LOOK = {
    "hair_colour": "blond",
    "headwear": "none",
    "costume": "none",
    "age": "adult",
    "facial_hair": "none",
    "eyewear": "none",
    "makeup": "no",
    "background": "blue",
    "earrings": "no",
}


def people(count: int, **look: str) -> Portraits:
    return sample_portraits(count, torch.Generator().manual_seed(4)).with_(**LOOK | look)


def places() -> tuple[torch.Tensor, torch.Tensor]:
    """x and y of the pixels of a crop."""
    line = (torch.arange(SIDE) * 2 + 1) / SIDE - 1
    y, x = torch.meshgrid(line, line, indexing="ij")
    return x, y


def detail(images: torch.Tensor) -> torch.Tensor:
    """(B,H,W): brightness without structures wider than strands, such as gloss."""
    grey = images.mean(dim=1, keepdim=True)
    return (grey - F.avg_pool2d(grey, (1, 15), 1, (0, 7), count_include_pad=False))[:, 0]


def correlation(a: torch.Tensor, b: torch.Tensor) -> float:
    a, b = a - a.mean(), b - b.mean()
    return float((a * b).sum() / (a.norm() * b.norm()))


def test_frames_undo_the_views_of_crops():
    views = aligned_views(people(5))
    ones = torch.tensor([0.0, 0.0, 1.0])
    for view, frame in zip(views, crop_frames(views), strict=True):
        there = torch.stack([*view, ones])
        back = torch.stack([*torch.tensor(frame), ones])
        torch.testing.assert_close(back @ there, torch.eye(3), atol=1e-5, rtol=0)


@pytest.mark.parametrize(("style", "texture"), [("bob", strand_texture), ("curly", curl_texture)])
def test_hair_of_different_people_has_the_same_texture(style, texture):
    crown = (slice(12, 30), slice(44, 84))  # hair in all portraits
    seen = detail(render(people(12, hair_style=style)).images)[(slice(None), *crown)]
    pattern = detail(texture(*places())[None, None])[0][crown]
    matches = [correlation(image, pattern) for image in seen]
    assert min(matches) > 0.3 and sum(matches) / len(matches) > 0.45


@pytest.mark.parametrize(
    ("option", "texture", "part"),
    [
        ("freckles", freckle_texture, (slice(64, 86), slice(36, 92))),
        ("wrinkles", forehead_texture, (slice(36, 50), slice(48, 80))),
    ],
)
def test_freckles_and_wrinkles_lie_on_their_pattern(option, texture, part):
    with_, without = (
        render(people(6, hair_style="bald", **{option: answer})).images for answer in ("yes", "no")
    )
    darker = (without - with_).mean(dim=1)[(slice(None), *part)]
    pattern = F.avg_pool2d(texture(*places())[None, None], 3, 1, 1)[0, 0][part]
    matches = [correlation(image, pattern) for image in darker]
    assert sum(matches) / len(matches) > 0.6


def test_texture_follows_the_portrait_into_other_images():
    portrait = people(1, hair_style="curly")
    small, large = render(portrait, 96), aligned_views(portrait)
    large = torch.cat([2 * large[..., :2], large[..., 2:]], dim=2)  # twice as much around it
    inner = render(portrait, 192, views=large).images[..., 48:144, 48:144]
    assert (inner - small.images).abs().mean() < 0.01
