"""Carry an edit on beyond its crop, in pictures that a renderer drew.

The generator draws the aligned crop only. Hair, hats, shoulders and background of a drawn portrait
go on beyond it in flat colours, so what the edit did to them at the crop's sides tells what it
would have done beyond: a pixel there changes as the pixels of its own colour on the sides changed,
and near ones count most. With weights of one over the squared distance and equal colours this is
the harmonic continuation of the sides, so what the edit adds (an afro cut flat) ends in an arc.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from tmsa_core.align.maps import photo_under_crop, smoothstep, to_side
from tmsa_core.datatypes import CropTransform

# Tuned by eye on bald, afro, hat, long hair and green background of six drawn portraits.
_REACH = 0.6  # share of the crop's side up to which an edit goes on; hats and shoulders fit
_COARSE = 96  # pixels of the crop in which the continuation is computed
_MARGIN = 6  # pixels of these that count as the sides
# Levels of 255; the median is 2 to 3 on eight drawn portraits, 54 and more on busy backgrounds.
_MISFIT = 15.0
_SIDE_POINTS = 64  # points on each side of the crop
_INSET = 0.012  # share of the side that the points lie inside the crop
_ALIKE = 20.0  # levels of 255 between colours that count as the same
_UNLIKE = 1e-3  # least likeness, so that a colour that no side shows follows the nearest points
_LIKE = 0.3  # a colour that is less like every point is an outline's
_CHANGED = (0.85, 0.95)  # shares of changed points at which a pixel starts to change, and changes


@dataclass(frozen=True)
class _Sides:
    """Points along the crop's sides.

    Attributes:
        places: (P,2) in units of the crop.
        colours: (P,3) in the photo.
        cover: (P,), how far the edit covers the photo there.
        edited: (P,3), the edit's colours there.
    """

    places: Tensor
    colours: Tensor
    cover: Tensor
    edited: Tensor


def margin(transform: CropTransform, photo_size: tuple[int, int]) -> float:
    """How far the photo reaches beyond the crop, in sides of the crop, at most ``_REACH``."""
    width, height = photo_size
    corners = np.array([[0, 0], [0, height], [width, height], [width, 0]]) - 0.5
    quad = np.array(transform.quad)
    axes = np.stack([quad[3] - quad[0], quad[1] - quad[0]], axis=1)
    inside = np.linalg.solve(axes, (corners - quad[0]).T)  # in sides of the crop
    return float(np.clip(max(-inside.min(), inside.max() - 1), 0, _REACH))


def fits_at_sides(photo: Image.Image, original: Tensor, transform: CropTransform) -> bool:
    """Whether the unedited crop shows the photo at its sides, so that an edit can go on there.

    A busy background, which the generator cannot draw, changes with every edit; spread beyond the
    crop it would repaint the photo.

    Args:
        photo: The photo, RGB.
        original: The crop before the edit, as the generator makes it, (3,S,S) in [0, 255].
        transform: The place of the crop in the photo.
    """
    under, inside = photo_under_crop(photo, transform, _COARSE)
    sides = torch.ones(_COARSE, _COARSE, dtype=torch.bool)
    sides[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN] = False
    differences = (under - to_side(original, _COARSE)).abs().amax(0)[sides & (inside[0] > 0)]
    return bool(len(differences)) and float(differences.median()) < _MISFIT


def widened(transform: CropTransform, border: float) -> CropTransform:
    """The place of a crop that is larger by ``border`` sides on each side."""
    quad = np.array(transform.quad)
    wide = quad.mean(0) + (quad - quad.mean(0)) * (1 + 2 * border)
    return CropTransform(tuple((float(x), float(y)) for x, y in wide), transform.size)


def continued(
    photo: Image.Image, layer: Tensor, transform: CropTransform
) -> tuple[Tensor, CropTransform]:
    """Continue the layer of an edit beyond its crop, as far as the photo reaches.

    Args:
        photo: The photo, RGB.
        layer: Cover (1,S,S) in [0, 1] and the edit's colours (3,S,S) in [0, 255], as (4,S,S).
        transform: The place of the crop in the photo.

    Returns:
        The larger layer (4,S+2m,S+2m) and its place; the same if nothing changes at the sides.
    """
    size = layer.shape[-1]
    pixels = int(np.ceil(margin(transform, photo.size) * size))
    if not pixels:
        return layer, transform
    wide = widened(transform, pixels / size)
    side = max(1, round(min(size, _COARSE) * (1 + 2 * pixels / size)))
    under, inside = photo_under_crop(photo, wide, side)
    across = ((torch.arange(side) + 0.5) / side * (size + 2 * pixels) - pixels) / size
    places = torch.stack(torch.meshgrid(across, across, indexing="xy"), dim=-1)  # (side,side,2)
    beyond = ((places < 0) | (places > 1)).any(-1)
    sides = _sides(layer, under, inside, pixels / size)
    if not len(sides.places) or float(sides.cover.max()) < _CHANGED[0]:
        return layer, transform
    coarse = to_side(F.pad(layer[None], (pixels,) * 4, "replicate")[0], side) * ~beyond
    outside = beyond & (inside[0] > 0)
    known = outside | ~beyond
    coarse[:, outside], alike = _as_on_the_sides(places[outside], under[:, outside].T, sides)
    found = torch.zeros(side, side)
    found[outside] = alike
    coarse = _with_outlines(coarse, outside & (found < _LIKE), known & (found >= _LIKE))
    coarse = _with_outlines(coarse, ~known, known)  # so that the photo's last pixels change too
    near = F.max_pool2d(known.float()[None], 3, 1, 1)
    grown = _enlarged(coarse, near, size + 2 * pixels)
    grown[:, pixels : pixels + size, pixels : pixels + size] = layer
    return grown, wide


def _with_outlines(coarse: Tensor, thin: Tensor, sure: Tensor) -> Tensor:
    """Let outlines, whose colours no side shows, change with the pixels beside them.

    Args:
        coarse: Cover and colours, (4,N,N).
        thin: The outlines, bool (N,N).
        sure: Other pixels, bool (N,N).
    """
    cover = coarse[:1] * sure
    beside = F.max_pool2d(cover[None], 3, 1, 1)[0]
    sums = F.avg_pool2d(torch.cat([cover, cover * coarse[1:]])[None], 3, 1, 1)[0]
    spread = torch.cat([beside, sums[1:] / sums[:1].clamp_min(1e-6)])
    return torch.where(thin & (beside[0] > 0), spread, coarse)


def _enlarged(coarse: Tensor, known: Tensor, size: int) -> Tensor:
    """Cover and colours (4,N,N) at ``size`` pixels, from pixels that are ``known`` (1,N,N) only."""
    cover = coarse[:1] * known
    parts = to_side(torch.cat([known, cover, cover * coarse[1:]]), size)
    shown = parts[1:2] / parts[:1].clamp_min(1e-3)
    return torch.cat([shown.clamp(0, 1), parts[2:] / parts[1:2].clamp_min(1e-3)])


def _sides(layer: Tensor, under: Tensor, inside: Tensor, border: float) -> _Sides:
    """Sample the sides: layer (4,S,S), photo (3,N,N) and whether it is there (1,N,N)."""
    run = (torch.arange(_SIDE_POINTS) + 0.5) / _SIDE_POINTS
    low, high = torch.full_like(run, _INSET), torch.full_like(run, 1 - _INSET)
    places = torch.cat(
        [torch.stack(pair, 1) for pair in ((run, low), (run, high), (low, run), (high, run))]
    )
    here = _sample(layer, places * 2 - 1)
    there = _sample(torch.cat([under, inside]), (places * 2 - 1) / (1 + 2 * border))
    seen = there[:, 3] > 0.99
    return _Sides(places[seen], there[seen, :3], here[seen, 0], here[seen, 1:])


def _sample(pixels: Tensor, grid: Tensor) -> Tensor:
    """Pixels (C,H,W) at points (P,2) in [-1, 1] -> (P,C)."""
    found = F.grid_sample(
        pixels[None], grid[None, None], "bilinear", padding_mode="border", align_corners=False
    )
    return found[0, :, 0].T


def _as_on_the_sides(places: Tensor, colours: Tensor, sides: _Sides) -> tuple[Tensor, Tensor]:
    """Continue the sides to pixels at places (N,2) that have the colours (N,3) in the photo.

    Returns:
        Cover and colours (4,N), and the likeness (N,) to the most similar point of the sides.
    """
    distance = torch.cdist(places, sides.places).square() + 1e-5
    alike = torch.exp(-torch.cdist(colours, sides.colours).square() / (2 * _ALIKE**2))
    weight = (alike + _UNLIKE) / distance  # (N,P)
    low, high = _CHANGED
    share = (weight @ sides.cover) / weight.sum(1)
    nearest = weight * sides.cover / distance  # colours come from close by: a mean is none of them
    edited = nearest @ sides.edited / nearest.sum(1, keepdim=True).clamp_min(1e-9)
    cover = smoothstep((share - low) / (high - low))
    return torch.cat([cover[None], edited.T]), alike.amax(1)
