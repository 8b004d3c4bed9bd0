"""Where in a photo an edit may act: parts of a face by name, or a mask that a user painted.

A region is a text: names such as "hair, beard", or a mask as a PNG file in a data URL. So it fits
into recipes and links. A named part is the polygon that the 68 points of the face span, in shares
of the distance between the eyes. Each region fades out over ``_FADE`` of the crop's side; beyond
that it is exactly zero.
"""

from __future__ import annotations

import base64
import binascii
import io
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from scipy.ndimage import distance_transform_edt
from scipy.spatial import ConvexHull
from torch import Tensor

from tmsa_core.align.paste import photo_to_crop
from tmsa_core.datatypes import CropTransform, Region
from tmsa_core.errors import ImageError, RequestError, quoted, shortened
from tmsa_core.imaging.images import load_image
from tmsa_core.imaging.resize import resize_tensor

DATA_URL = "data:image/png;base64,"
LONGEST = 400_000  # characters of a mask as a data URL
_FADE = 0.07  # share of the crop's side
_SIDE = 256  # pixels of the maps in which shapes are drawn

Points = np.ndarray  # (68,2) in dlib's order, or the corners (K,2) of a polygon
Shape = list[Points]  # polygons


def _spread(points: Points, share: float, unit: float) -> Points:
    """The convex hull of points, moved outwards by ``share`` of ``unit``: corners (K,2)."""
    angles = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1) * share * unit
    around = (points[:, None] + circle).reshape(-1, 2)
    return around[ConvexHull(around).vertices]


def _axes(points: Points) -> tuple[Points, float]:
    """The vector (2,) from the middle of the eyes to the chin, and the distance of the eyes."""
    left, right = points[36:42].mean(0), points[42:48].mean(0)
    return points[8] - (left + right) / 2, float(np.hypot(*(right - left)))


def _eyes(points: Points) -> Shape:
    unit = _axes(points)[1]
    return [_spread(points[36:42], 0.22, unit), _spread(points[42:48], 0.22, unit)]


def _brows(points: Points) -> Shape:
    unit = _axes(points)[1]
    return [_spread(points[17:22], 0.14, unit), _spread(points[22:27], 0.14, unit)]


def _mouth(points: Points) -> Shape:
    return [_spread(points[48:60], 0.18, _axes(points)[1])]


def _beard(points: Points) -> Shape:
    lower = np.concatenate([points[3:14], points[31:36], points[48:60]])
    return [_spread(lower, 0.16, _axes(points)[1])]


def _face(points: Points, forehead: float = 0.55) -> Shape:
    down, unit = _axes(points)
    above = points[17:27] - forehead * down  # the predictor places no points on the forehead
    return [_spread(np.concatenate([points[:27], above]), 0.04, unit)]


def _head(points: Points) -> Shape:
    """The face with all hair that could frame it, down to the shoulders."""
    down, unit = _axes(points)
    across = points[16] - points[0]
    outline = np.concatenate([points[:17], points[17:27] - 1.05 * down])
    shoulders = np.stack([points[0] - 0.18 * across, points[16] + 0.18 * across]) + 1.5 * down
    return [_spread(np.concatenate([outline, shoulders]), 0.55, unit)]


def _body(points: Points) -> Shape:
    down, _ = _axes(points)
    across = points[16] - points[0]
    neck = [points[8] + 0.1 * down + side * across for side in (-0.3, 0.3)]
    foot = [points[8] + 2.5 * down + side * across for side in (1.3, -1.3)]
    shoulders = [points[8] + 0.75 * down + side * across for side in (1.1, -1.1)]
    return [np.stack([*neck, shoulders[0], *foot, shoulders[1]])]


# Name -> the polygons that belong to a part, and those that are cut out of it.
PARTS: dict[str, tuple[Callable[[Points], Shape], tuple[Callable[[Points], Shape], ...]]] = {
    "face": (_face, ()),
    "eyes": (_eyes, ()),
    "brows": (_brows, ()),
    "mouth": (_mouth, ()),
    "beard": (_beard, ()),
    "hair": (_head, (lambda points: _face(points, 0.1), _body)),
    "skin": (_face, (_eyes, _brows, _mouth)),
    "background": (lambda _: [], (_head, _body)),
}


def region_text(region: Region) -> str:
    """A region as a text: cleaned names, or a mask as a data URL; "" for everywhere.

    Args:
        region: Names, separated by commas; a data URL; or a mask as ``load_image`` reads it,
            which a ``Path`` may name: white where the photo may change, grey for a part of it.

    Raises:
        RequestError: A name is unknown, or the mask cannot be read.
    """
    if isinstance(region, str):
        text = region.strip()
        return text if text.startswith(DATA_URL) else ", ".join(_names(text))
    if region is None:
        return ""
    if not isinstance(region, (Image.Image, Path, np.ndarray, bytes)):
        raise RequestError(
            f"region is a {shortened(type(region).__name__)}; use a name such as 'hair', or a mask."
        )
    try:
        mask = load_image(region).convert("L")
    except ImageError as error:
        raise RequestError(f"The mask of a region cannot be read: {error}") from error
    buffer = io.BytesIO()
    mask.save(buffer, "PNG", optimize=True)
    return DATA_URL + base64.b64encode(buffer.getvalue()).decode()


def _names(text: str) -> list[str]:
    """The names in a text, each once; RequestError for one that is no key of ``PARTS``."""
    names = [name.strip().lower() for name in re.split(r"[,+]", text) if name.strip()]
    for name in names:
        if name not in PARTS:
            raise RequestError(
                f"There is no region {quoted(name)}; use {', '.join(PARTS)}, several of them with "
                "commas, or a mask of the image's size."
            )
    return list(dict.fromkeys(names))


def crop_region(
    region: str, size: int, points: Tensor | None, photo: tuple[int, int], place: CropTransform
) -> Tensor:
    """A region in a crop: (1,size,size) in [0, 1], softened.

    Args:
        region: What ``region_text`` returned, not "".
        size: Side of the crop in pixels.
        points: (68,2) landmarks in pixels of the crop; None where a mask needs none.
        photo: Width and height of the photo.
        place: The place of the crop in the photo.

    Raises:
        RequestError: The mask has another size than the photo, is damaged or empty, or there are
            no points for a name.
    """
    side = min(size, _SIDE)
    if region.startswith(DATA_URL):
        hard = photo_to_crop(_read_mask(region, photo), place, side).numpy()[0] / 255
    elif points is None:
        raise RequestError(
            f"There is no face for the region {quoted(region)}: use an image with a face, or a "
            "mask."
        )
    else:
        scaled = (points.numpy() + 0.5) * (side / size) - 0.5
        hard = np.maximum.reduce([_drawn(name, scaled, side) for name in region.split(", ")])
    if not (hard > 0.5).any():
        raise RequestError(
            "The region holds no part of the face's surroundings: paint where the edit may act."
        )
    return resize_tensor(_softened(hard)[None], size)[0].clamp(0, 1)


def _read_mask(url: str, photo: tuple[int, int]) -> Image.Image:
    if len(url) > LONGEST:
        raise RequestError("The mask of a region is too large: paint it with fewer details.")
    try:
        mask = load_image(base64.b64decode(url[len(DATA_URL) :], validate=True)).convert("L")
    except (binascii.Error, ValueError, ImageError) as error:
        raise RequestError("The mask of a region is damaged: send a PNG file.") from error
    if mask.size != photo:
        raise RequestError(
            f"The mask has {mask.width} x {mask.height} pixels and the image {photo[0]} x "
            f"{photo[1]}: make the mask as large as the image."
        )
    return mask


def _drawn(name: str, points: Points, side: int) -> np.ndarray:
    """A part as (side,side) of zeros and ones."""
    shape, holes = PARTS[name]
    canvas = Image.new("L", (side, side), 0 if shape(points) else 1)
    draw = ImageDraw.Draw(canvas)
    for polygon in shape(points):
        draw.polygon([tuple(corner) for corner in polygon.tolist()], fill=1)
    for hole in holes:
        for polygon in hole(points):
            draw.polygon([tuple(corner) for corner in polygon.tolist()], fill=0)
    return np.asarray(canvas, dtype=np.float32)


def _softened(hard: np.ndarray) -> Tensor:
    """(S,S) in [0, 1] -> (1,S,S): unchanged inside, falling smoothly to 0 over ``_FADE`` of S."""
    away = distance_transform_edt(hard <= 0.5)
    near = np.clip(1 - away / (_FADE * len(hard)), 0, 1)
    fade = near * near * (3 - 2 * near)
    return torch.from_numpy(np.where(away > 0, np.maximum(fade, hard * (near > 0)), hard)).float()[
        None
    ]
