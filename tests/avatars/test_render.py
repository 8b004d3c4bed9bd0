"""The avatar renderer: each option shows in its place and changes nothing else."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from tests.avatars.scenes import Placement, scene
from tmsa_core.avatars.params import ATTRIBUTES, TRAITS, Portraits, sample_portraits
from tmsa_core.avatars.render import aligned_views, crop_views, face_landmarks, render

PLAIN = {
    "gender": "female",
    "age": "adult",
    "hair_style": "short",
    "hair_colour": "brown",
    "expression": "neutral",
    "eyes": "open",
    "facial_hair": "none",
    "eyewear": "none",
    "headwear": "none",
    "earrings": "no",
    "lipstick": "no",
    "makeup": "no",
    "freckles": "no",
    "wrinkles": "no",
    "costume": "none",
    "clothes": "tshirt",
    "clothes_colour": "red",
    "background": "blue",
}
NEEDS = {  # attributes that show only together with others
    "frame_shape": {"eyewear": "glasses"},
    "frame_colour": {"eyewear": "glasses"},
    "headwear_colour": {"headwear": "cap"},
}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def plain() -> Portraits:
    person = sample_portraits(1, generator()).with_(**dict.fromkeys(TRAITS, 0.0))
    return person.with_(**PLAIN)


def test_shapes_and_ranges() -> None:
    drawing = render(sample_portraits(3, generator()), resolution=64)
    assert drawing.images.shape == (3, 3, 64, 64)
    assert drawing.images.dtype == torch.float32
    assert drawing.images.min() >= -1 and drawing.images.max() <= 1
    assert drawing.images.std() > 0.1
    assert drawing.landmarks.shape == (3, 68, 2)
    assert drawing.background_mask.shape == (3, 1, 64, 64)
    assert drawing.background_mask.min() >= 0 and drawing.background_mask.max() <= 1
    assert render(plain(), size=(48, 80), supersample=1).images.shape == (1, 3, 48, 80)


def test_images_can_be_trained_on() -> None:
    drawing = render(plain(), resolution=16)
    assert not drawing.images.is_inference() and not drawing.background_mask.is_inference()
    weight = torch.ones(1, requires_grad=True)
    (drawing.images * weight).sum().backward()
    torch.testing.assert_close(weight.grad, drawing.images.sum()[None])


def test_supersampling_averages_squares() -> None:
    fine, coarse = render(plain(), 96, supersample=1), render(plain(), 32, supersample=3)
    torch.testing.assert_close(coarse.images, F.avg_pool2d(fine.images, 3), atol=1e-5, rtol=0)
    mask = F.avg_pool2d(fine.background_mask, 3)
    torch.testing.assert_close(coarse.background_mask, mask, atol=1e-5, rtol=0)


def test_a_portrait_does_not_depend_on_its_batch() -> None:
    people = sample_portraits(4, generator(1))
    together = render(people, resolution=48)
    alone = render(people[2:3], resolution=48)
    assert torch.equal(together.images[2:3], alone.images)
    assert torch.equal(together.landmarks[2:3], alone.landmarks)
    assert torch.equal(render(people, resolution=48).images, together.images)


@pytest.mark.parametrize("cores", [1, 2, 3])
def test_portraits_do_not_depend_on_the_number_of_cores(cores: int) -> None:
    people, before = sample_portraits(3, generator(2)), torch.get_num_threads()
    wanted = render(people, resolution=48).images
    try:
        torch.set_num_threads(cores)
        with torch.inference_mode():
            assert torch.equal(render(people, resolution=48).images, wanted)
        assert torch.get_num_threads() == cores
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("attribute", sorted(ATTRIBUTES))
def test_every_option_looks_different(attribute: str) -> None:
    base = plain().with_(**NEEDS.get(attribute, {}))
    options = ATTRIBUTES[attribute].options
    images = render(
        Portraits.cat([base.with_(**{attribute: o}) for o in options]), 64, supersample=1
    ).images
    for i in range(len(options)):
        for j in range(i):
            change = (images[i] - images[j]).abs().amax(dim=0)
            assert (change > 0.15).sum() >= 8, (options[i], options[j])


@pytest.mark.parametrize("trait", TRAITS)
def test_traits_show_and_are_continuous(trait: str) -> None:
    steps = torch.tensor([-1.0, 0.0, 0.01, 1.0])
    people = Portraits.cat([plain()] * 4).with_(**{trait: steps})
    images = render(people, resolution=64, supersample=1).images
    assert (images[0] - images[3]).abs().mean() > 5e-4
    small, large = (images[2] - images[1]).abs().mean(), (images[3] - images[1]).abs().mean()
    assert small < 0.1 * large + 1e-4


def test_no_trait_value_breaks_the_drawing() -> None:
    people = sample_portraits(16, generator(2))
    signs = torch.randint(0, 2, (16, len(TRAITS)), generator=generator(3)) * 2.0 - 1
    people = people.with_(**{name: signs[:, i] for i, name in enumerate(TRAITS)})
    drawing = render(people, resolution=48, supersample=1)
    assert drawing.images.isfinite().all() and drawing.landmarks.isfinite().all()


def changed_rows_and_columns(before: Portraits, after: Portraits) -> tuple[int, int, int, int]:
    """First and last row, first and last column of the pixels that differ."""
    images = render(Portraits.cat([before, after]), resolution=128).images
    rows, columns = torch.where((images[0] - images[1]).abs().amax(dim=0) > 1e-3)
    return int(rows.min()), int(rows.max()), int(columns.min()), int(columns.max())


@pytest.mark.parametrize(
    ("change", "first_row", "last_row"),
    [
        ({"eyewear": "sunglasses"}, 36, 84),
        ({"makeup": "yes"}, 36, 100),
        ({"lipstick": "yes"}, 76, 108),
        ({"freckles": "yes"}, 60, 92),
        ({"facial_hair": "moustache"}, 70, 104),
        ({"headwear": "cap"}, 0, 62),
        ({"clothes": "collar"}, 104, 127),
        ({"clothes_colour": "green"}, 108, 127),
        ({"hair_style": "bald"}, 0, 76),
    ],
)
def test_a_change_stays_in_its_place(change: dict[str, str], first_row: int, last_row: int) -> None:
    top, bottom, _, _ = changed_rows_and_columns(plain(), plain().with_(**change))
    assert first_row <= top and bottom <= last_row


def test_aligned_views_follow_the_ffhq_formula() -> None:
    people = sample_portraits(6, generator(4))
    for points, view in zip(face_landmarks(people), aligned_views(people), strict=True):
        left, right = points[36:42].mean(0), points[42:48].mean(0)
        eye_to_eye, eyes = right - left, (left + right) / 2
        eye_to_mouth = (points[48] + points[54]) / 2 - eyes
        x = eye_to_eye - eye_to_mouth.flip(0) * torch.tensor([-1.0, 1.0])
        x = x / x.norm() * max(eye_to_eye.norm() * 2.0, eye_to_mouth.norm() * 1.8)
        y = x.flip(0) * torch.tensor([-1.0, 1.0])
        centre = eyes + eye_to_mouth * 0.1
        quad = torch.stack([centre - x - y, centre - x + y, centre + x + y, centre + x - y])
        corners = torch.tensor([[-1.0, -1, 1], [-1, 1, 1], [1, 1, 1], [1, -1, 1]])
        torch.testing.assert_close(corners @ view.T, quad, atol=1e-5, rtol=1e-5)


def test_landmarks_of_aligned_portraits() -> None:
    landmarks = render(sample_portraits(40, generator(5)), resolution=64, supersample=1).landmarks
    left, right = landmarks[:, 36:42].mean(1), landmarks[:, 42:48].mean(1)
    centre = torch.full((40,), 31.5)
    torch.testing.assert_close((left + right)[:, 0] / 2, centre, atol=0.6, rtol=0)
    assert ((right - left)[:, 0] - 16).abs().max() < 0.6  # a quarter of the side
    assert landmarks[:, 17:].min() > 2 and landmarks[:, 17:].max() < 61
    assert (landmarks[:, 8, 1] > landmarks[:, 57, 1]).all()  # chin below the lips
    assert (landmarks[:, 54, 0] > landmarks[:, 48, 0]).all()
    assert (landmarks[:, 36, 0] < landmarks[:, 39, 0]).all()


def test_landmarks_lie_on_what_is_drawn() -> None:
    """The darkest pixel below landmark 62 is the line between the lips."""
    drawing = render(plain(), resolution=256)
    image, points = drawing.images[0].mean(0), drawing.landmarks[0].round().long()
    x, y = points[62].tolist()
    column = image[y - 8 : y + 9, x]
    assert abs(int(column.argmin()) - 8) <= 1
    x, y = points[8].tolist()  # skin above the chin, the shaded neck below
    assert image[y - 4, x] > image[y + 4, x]


def test_closed_eyes_keep_the_crop() -> None:
    opened, closed = plain(), plain().with_(eyes="closed")
    torch.testing.assert_close(aligned_views(opened), aligned_views(closed), atol=1e-3, rtol=0)


def test_the_mask_is_the_background() -> None:
    person = plain()
    blue, pink = render(person), render(person.with_(background="pink"))
    mask = blue.background_mask
    assert torch.equal(mask, pink.background_mask)
    moved = (blue.images - pink.images).abs().amax(1, keepdim=True) > 0.1
    assert moved[mask > 0.99].all()
    assert not moved[mask == 0].any()
    assert 0.2 < float(mask.mean()) < 0.8
    assert mask[0, 0, 64, 64] == 0 and mask[0, 0, 2, 2] == 1


def test_scene_places_faces_where_it_says() -> None:
    people = sample_portraits(2, generator(6)).with_(yaw=0.0)
    places = (Placement(120, 110, 90), Placement(330, 130, 120, roll_degrees=20))
    image = scene(people, places, (300, 460), generator(7))
    assert image.image.shape == (3, 300, 460)
    assert image.image.min() >= -1 and image.image.max() <= 1
    for points, place in zip(image.landmarks, places, strict=True):
        eyes = points[36:48].mean(0)
        torch.testing.assert_close(
            eyes, torch.tensor([float(place.x), float(place.y)]), atol=1.0, rtol=0
        )
    line = image.landmarks[1, 45] - image.landmarks[1, 36]
    angle = torch.rad2deg(torch.atan2(line[1], line[0]))
    torch.testing.assert_close(angle, torch.tensor(20.0), atol=0.5, rtol=0)
    again = scene(people, places, (300, 460), generator(7))
    assert torch.equal(again.image, image.image)


def test_a_scene_seen_through_the_crop_is_the_aligned_portrait() -> None:
    person = plain()
    place = Placement(200, 180, 170, roll_degrees=15)
    image = scene(person, [place], (400, 400), generator(8), supersample=2)
    view = crop_views(image.landmarks)
    axis = (torch.arange(64) * 2 + 1) / 64 - 1
    grid = torch.stack(
        [axis.expand(64, 64), axis[:, None].expand(64, 64), torch.ones(64, 64)], dim=-1
    )
    pixels = grid @ view[0].T
    crop = F.grid_sample(image.image[None], ((pixels * 2 + 1) / 400 - 1)[None], align_corners=False)
    drawing = render(person, resolution=64)
    body = drawing.background_mask < 0.01
    body[..., 58:, :] = False  # a scene fades the shoulders out
    difference = (crop - drawing.images).abs().mean(dim=1, keepdim=True)
    assert difference[body].mean() < 0.06


@pytest.mark.parametrize("wrong", [{"resolution": 0}, {"supersample": 0}, {"size": (0, 8)}])
def test_empty_batches_and_sizes_are_refused(wrong):
    portraits = sample_portraits(2, torch.Generator().manual_seed(0))
    with pytest.raises(ValueError, match="not an image size"):
        render(portraits, **wrong)
    with pytest.raises(ValueError, match="no portrait to draw"):
        render(portraits[:0])
