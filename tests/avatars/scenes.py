"""Larger images with rendered people at known places, like photos of groups.

They test face detection and alignment: every landmark is known exactly.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from tmsa_core.avatars.drawing.geometry import EYE_LEVEL, face_landmarks
from tmsa_core.avatars.params import Portraits
from tmsa_core.avatars.render import render

HEAD_HEIGHT = 1.4  # of an average head, in face coordinates
REACH = 1.9  # half side of the square in which a portrait is drawn: hats and shoulders fit


@dataclass(frozen=True)
class Placement:
    """The place of one person in a scene.

    x, y: pixel of the place between the eyes. scale: height of an average head from crown to
    chin in pixels. roll_degrees: positive turns the head clockwise.
    """

    x: float
    y: float
    scale: float
    roll_degrees: float = 0.0


@dataclass(frozen=True)
class Scene:
    """image: (3, H, W) float32 in [-1, 1]. landmarks: (N, 68, 2) float32 in its pixels."""

    image: Tensor
    landmarks: Tensor


def scene(
    portraits: Portraits,
    placements: Sequence[Placement],
    size: tuple[int, int],
    generator: torch.Generator,
    supersample: int = 1,
) -> Scene:
    """Draw N portraits at N places over one random backdrop, later ones in front.

    size: (height, width). Only the backdrop is random.
    """
    device = portraits.device
    image = backdrop(size, generator).to(device)
    points = face_landmarks(portraits)
    landmarks = torch.zeros_like(points)
    for i, placement in enumerate(placements):
        pose = _pose(placement, device)  # face coordinates to scene pixels
        landmarks[i] = (points[i].double() @ pose[:, :2].T + pose[:, 2]).float()
        _paste(portraits[i : i + 1], placement, pose, image, supersample)
    return Scene(image, landmarks)


def _pose(placement: Placement, device: torch.device) -> Tensor:
    """(2, 3) float64 affine from face coordinates to scene pixels."""
    zoom, angle = placement.scale / HEAD_HEIGHT, math.radians(placement.roll_degrees)
    turn = torch.tensor(
        [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]],
        dtype=torch.float64,
        device=device,
    )
    centre = torch.tensor([placement.x, placement.y], dtype=torch.float64, device=device)
    shift = centre - zoom * turn @ turn.new_tensor([0.0, EYE_LEVEL])
    return torch.cat([zoom * turn, shift[:, None]], dim=1)


def _paste(
    portrait: Portraits, placement: Placement, pose: Tensor, image: Tensor, supersample: int
) -> None:
    """Draw one portrait into its square of ``image`` (changed in place)."""
    height, width = image.shape[1:]
    half = math.ceil(REACH * placement.scale / HEAD_HEIGHT)
    left, right = max(round(placement.x) - half, 0), min(round(placement.x) + half, width)
    top, bottom = max(round(placement.y) - half, 0), min(round(placement.y) + half, height)
    if left >= right or top >= bottom:
        return
    inner = (bottom - top, right - left)
    drawn = render(
        portrait, size=inner, views=_view(pose, left, top, inner), supersample=supersample
    )
    spot = image[:, top:bottom, left:right]
    share = 1 - drawn.background_mask[0]
    # the torso runs down to the end of its square, where it fades out unless the image ends
    if bottom < height:
        rows = torch.arange(bottom - top, device=image.device) + top - placement.y
        fade = (half - rows) / (0.12 * half)
        share = share * fade.clamp(0, 1)[:, None]
    spot.lerp_(drawn.images[0], share.expand_as(spot))


def _view(pose: Tensor, left: int, top: int, inner: tuple[int, int]) -> Tensor:
    """(1, 2, 3): from the normalised coordinates of a crop to face coordinates."""
    height, width = inner
    to_scene = pose.new_tensor(
        [
            [width / 2, 0, left + width / 2 - 0.5],
            [0, height / 2, top + height / 2 - 0.5],
            [0, 0, 1],
        ]
    )
    full = torch.cat([pose, pose.new_tensor([[0, 0, 1]])])
    return (torch.linalg.inv(full) @ to_scene)[None, :2].float()


def backdrop(size: tuple[int, int], generator: torch.Generator, shapes: int = 14) -> Tensor:
    """(3, H, W) in [-1, 1]: a soft colour field with discs, boxes and stripes in it."""
    height, width = size
    coarse = torch.rand(1, 3, 4, 4, generator=generator, device=generator.device)
    field = F.interpolate(coarse, size=size, mode="bicubic", align_corners=True)[0].clamp_(0, 1)
    y = torch.linspace(0, 1, height, device=field.device)[:, None]
    x = torch.linspace(0, width / height, width, device=field.device)[None]
    for _ in range(shapes):
        kind, cx, cy, size_x, size_y, angle, *colour = torch.rand(
            9, generator=generator, device=generator.device
        ).tolist()
        field = _add_shape(
            field,
            x,
            y,
            kind,
            (cx * width / height, cy),
            (0.02 + 0.2 * size_x, 0.02 + 0.2 * size_y),
            angle * math.pi,
            colour,
        )
    return field.mul_(2).sub_(1)


def _add_shape(
    field: Tensor,
    x: Tensor,
    y: Tensor,
    kind: float,
    centre: tuple[float, float],
    radii: tuple[float, float],
    angle: float,
    colour: Sequence[float],
) -> Tensor:
    cos, sin = math.cos(angle), math.sin(angle)
    u = ((x - centre[0]) * cos + (y - centre[1]) * sin) / radii[0]
    v = ((y - centre[1]) * cos - (x - centre[0]) * sin) / radii[1]
    level = torch.hypot(u, v) if kind < 0.5 else torch.maximum(u.abs(), v.abs())
    if kind > 0.85:
        level = v.abs() * 3  # a stripe across the whole image
    inside = ((1 - level) * 20).clamp_(0, 1) * 0.8
    return torch.lerp(field, field.new_tensor(colour)[:, None, None], inside[None])
