"""Draws portraits: parameters in, images with exact landmarks out.

A painter's algorithm with signed-distance shapes, one portrait at a time, so that its planes stay
in the processor's cache; each stroke touches only its own part of the image. To use several
cores, render in several processes. There is no randomness: equal parameters give equal pixels,
alone or in any batch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from tmsa_core.avatars.drawing.accessories import draw_earrings, draw_eyewear, draw_headwear
from tmsa_core.avatars.drawing.body import draw_background, draw_body, draw_vampire_collar
from tmsa_core.avatars.drawing.canvas import Canvas
from tmsa_core.avatars.drawing.context import DrawingContext
from tmsa_core.avatars.drawing.costumes import draw_face_paint
from tmsa_core.avatars.drawing.eyes import draw_brow_frown, draw_brows, draw_eyes
from tmsa_core.avatars.drawing.facial_hair import draw_facial_hair, draw_moustache
from tmsa_core.avatars.drawing.geometry import (
    Frame,
    Geometry,
    Sitter,
    aligned_views,
    crop_frames,
    crop_views,
    face_landmarks,
    landmark_points,
    measure,
    sitters,
)
from tmsa_core.avatars.drawing.hair import draw_front_hair, draw_rear_hair
from tmsa_core.avatars.drawing.head import (
    draw_age_lines,
    draw_cheeks,
    draw_ears,
    draw_head,
    draw_nose,
)
from tmsa_core.avatars.drawing.mouth import draw_mouth
from tmsa_core.avatars.drawing.palette import palette_of
from tmsa_core.avatars.params import Portraits

__all__ = ["Rendering", "aligned_views", "crop_views", "face_landmarks", "render"]

LAYERS: tuple[Callable[[DrawingContext], None], ...] = (  # from back to front
    draw_background,
    draw_rear_hair,
    draw_body,
    draw_ears,
    draw_head,
    draw_face_paint,
    draw_cheeks,
    draw_age_lines,
    draw_brow_frown,
    draw_nose,
    draw_facial_hair,
    draw_mouth,
    draw_moustache,
    draw_eyes,
    draw_front_hair,
    draw_brows,
    draw_vampire_collar,
    draw_headwear,
    draw_eyewear,
    draw_earrings,
)


@dataclass(frozen=True)
class Rendering:
    """Images of B portraits.

    Attributes:
        images: (B, 3, H, W) float32 in [-1, 1].
        landmarks: (B, 68, 2) float32 in dlib's order, x and y in pixels with pixel centres at
            integers.
        background_mask: (B, 1, H, W) float32 in [0, 1], 1 where nothing hides the background.
    """

    images: Tensor
    landmarks: Tensor
    background_mask: Tensor


@torch.no_grad()
def render(
    portraits: Portraits,
    resolution: int = 128,
    views: Tensor | None = None,
    supersample: int = 2,
    size: tuple[int, int] | None = None,
) -> Rendering:
    """Draw every portrait of the batch.

    Args:
        portraits: B portraits.
        resolution: Height and width in pixels.
        views: (B, 2, 3) affine maps from normalised image coordinates (-1 to 1 between the outer
            edges, y down) to face coordinates; by default the aligned crop.
        supersample: Strokes are drawn at this many times the resolution and averaged.
        size: Height and width, instead of the square ``resolution``.

    Raises:
        ValueError: The batch is empty, or a side or ``supersample`` is below 1.
    """
    height, width = size or (resolution, resolution)
    if not len(portraits):
        raise ValueError("there is no portrait to draw")
    if min(height, width, supersample) < 1:
        raise ValueError(f"{height} x {width} px at {supersample} samples is not an image size")
    people = sitters(portraits)
    faces = [measure(sitter) for sitter in people]
    points = landmark_points(faces, portraits.device)
    crops = crop_views(points)
    views = crops if views is None else views.to(points)

    fine = height * supersample, width * supersample
    planes = [
        _shrink(_draw(sitter, face, view, frame, *fine), supersample)
        for sitter, face, view, frame in zip(people, faces, views, crop_frames(crops), strict=True)
    ]
    images = torch.stack(planes)  # (B, 4, H, W)
    return Rendering(
        images=images[:, :3].mul(2).sub_(1),
        landmarks=to_pixels(points, views, height, width),
        background_mask=images[:, 3:],
    )


def to_pixels(points: Tensor, views: Tensor, height: int, width: int) -> Tensor:
    """(B, P, 2): pixels of points (B, P, 2) in face coordinates, seen through views (B, 2, 3)."""
    inverse = torch.linalg.inv(views[:, :, :2].double())
    normal: Tensor = (points.double() - views[:, None, :, 2].double()) @ inverse.transpose(1, 2)
    extent = torch.tensor([width, height], dtype=torch.float64, device=points.device)
    return (((normal + 1) * extent - 1) / 2).float()


@torch.inference_mode()
def _draw(
    sitter: Sitter, face: Geometry, view: Tensor, frame: Frame, height: int, width: int
) -> Tensor:
    """(4, height, width): red, green, blue in [0, 1] and the background mask."""
    canvas = Canvas(face, view, height, width)
    ctx = DrawingContext(sitter, face, palette_of(sitter), canvas, frame)
    for draw_layer in LAYERS:
        draw_layer(ctx)
    canvas.planes[:3].clamp_(0, 1)
    return canvas.planes


def _shrink(planes: Tensor, times: int) -> Tensor:
    """(4, H * times, W * times) -> (4, H, W): means of squares of pixels.

    Adding rows first, which are contiguous, is several times faster than ``avg_pool2d``.
    """
    rows: Tensor = sum(planes[:, i::times] for i in range(1, times)) + planes[:, ::times]
    sums: Tensor = sum(rows[:, :, i::times] for i in range(1, times)) + rows[:, :, ::times]
    return sums.div_(times * times)
