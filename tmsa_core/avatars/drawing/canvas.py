"""An image under construction, and rectangular windows of it to paint in.

Most strokes cover a small part of the image: each is computed only on the pixels of its window.
What a face has twice is computed once, on a pair of windows stacked along a dimension of 2.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from tmsa_core.avatars.drawing.geometry import Geometry
from tmsa_core.avatars.drawing.palette import Colour
from tmsa_core.avatars.drawing.sdf import affine

Ink = Colour | Tensor  # one colour, or (3, h, w)


class Box(NamedTuple):
    """A rectangle of pixels."""

    top: int
    left: int
    height: int
    width: int

    def of(self, plane: Tensor) -> Tensor:
        """View of these pixels in planes (..., H, W), which lie densely in memory."""
        steps = plane.stride()
        start = plane.storage_offset() + self.top * steps[-2] + self.left * steps[-1]
        return plane.as_strided((*plane.shape[:-2], self.height, self.width), steps, start)


@dataclass(frozen=True)
class Window:
    """Part of a canvas: views of its pixels and copies of their coordinates.

    x, y: (h, w) face coordinates, x turned with the face where the window was asked for so.
    flat, turned: (h, w) x without and with the turn.
    rgb: (3, h, w) in [0, 1]; back: (h, w), share of the background still visible.
    """

    x: Tensor
    y: Tensor
    flat: Tensor
    turned: Tensor
    pixel: float
    box: Box
    rgb: Tensor
    back: Tensor

    def mix(self, alpha: Tensor, ink: Ink, solid: bool = False) -> None:
        """Paint with opacity alpha (h, w). ``solid`` strokes also hide the background."""
        _mix(self.rgb, self.back, alpha, ink, solid)

    def multiply(self, alpha: Tensor, colour: Colour) -> None:
        """Darken towards ``colour`` times what is there."""
        _multiply(self.rgb, alpha, colour)

    def take(self, plane: Tensor) -> Tensor:
        """(h, w): the same part of another plane (H, W)."""
        return self.box.of(plane).contiguous()

    def covered(self) -> Tensor:
        """(h, w): share of the background that is hidden so far."""
        return affine(self.back, -1, 1)


@dataclass(frozen=True)
class Pair:
    """The windows on both sides of the face, computed together and painted one after the other.

    Like ``Window`` with (2, h, w) in place of (h, w), the left side first; (1, h, w) if the other
    side is out of the image. To stack, windows are enlarged to the size of the larger one.
    """

    x: Tensor
    y: Tensor
    flat: Tensor
    turned: Tensor
    pixel: float
    side: Tensor  # (2, 1, 1): -1 on the left, 1 on the right
    boxes: Sequence[Box]
    enlarged: Sequence[Box]
    planes: Tensor
    strokes: list[tuple[Tensor, Ink, str]] = field(default_factory=list)

    def mix(self, alpha: Tensor, ink: Ink, solid: bool = False) -> None:
        """See ``Window.mix``."""
        self.strokes.append((alpha, ink, "solid" if solid else "mix"))

    def multiply(self, alpha: Tensor, colour: Colour) -> None:
        """See ``Window.multiply``."""
        self.strokes.append((alpha, colour, "multiply"))

    def take(self, plane: Tensor) -> Tensor:
        """See ``Window.take``."""
        return _stack(plane, self.enlarged)

    def covered(self) -> Tensor:
        """See ``Window.covered``; as it was before the strokes of this pair."""
        return affine(self.take(self.planes[3]), -1, 1)

    def paint(self) -> None:
        """All strokes on the left, then all on the right: in between, the right lies above."""
        for i, (box, large) in enumerate(zip(self.boxes, self.enlarged, strict=True)):
            inner = Box(box.top - large.top, box.left - large.left, box.height, box.width)
            rgb, back = box.of(self.planes[:3]), box.of(self.planes[3])
            for alpha, ink, kind in self.strokes:
                alpha = inner.of(alpha[i])
                if isinstance(ink, Tensor):
                    ink = inner.of(ink[:, i])
                if kind == "multiply":
                    _multiply(rgb, alpha, ink)
                else:
                    _mix(rgb, back, alpha, ink, kind == "solid")


def _stack(planes: Tensor, boxes: Sequence[Box]) -> Tensor:
    """(..., N, h, w): N boxes of one size of planes (..., H, W)."""
    return torch.stack([box.of(planes) for box in boxes], dim=-3)


def _mix(rgb: Tensor, back: Tensor, alpha: Tensor, ink: Ink, solid: bool) -> None:
    rgb.lerp_(ink if isinstance(ink, Tensor) else _colour(ink, rgb), alpha)
    if solid:
        back.addcmul_(back, alpha, value=-1)


def _multiply(rgb: Tensor, alpha: Tensor, colour: Colour) -> None:
    r, g, b = colour
    rgb.addcmul_(rgb * _colour((r - 1, g - 1, b - 1), rgb), alpha)


def lit(colour: Colour, light: Tensor, sheen: Tensor | None = None) -> Tensor:
    """(3, h, w): ``colour`` times light (h, w), with ``sheen`` of white mixed in."""
    out = _colour(colour, light[None]) * light
    return out if sheen is None else out.add_(sheen)


def _colour(colour: Colour, like: Tensor) -> Tensor:
    """A colour that broadcasts over planes (3, ...). NumPy makes small tensors quicker."""
    numbers = np.array(colour, np.float32).reshape(3, *(1,) * (like.dim() - 1))
    return torch.from_numpy(numbers).to(like.device)


class Canvas:
    """Pixels of one portrait with their face coordinates.

    view: (2, 3) affine from normalised image coordinates to face coordinates. planes: (4, H, W),
    the colours and the share of the background still visible. places: (3, H, W), x, y and turned x.
    """

    def __init__(self, g: Geometry, view: Tensor, height: int, width: int) -> None:
        (a, b, c), (d, e, f) = view.tolist()
        device = view.device
        down = (torch.arange(height, device=device) * 2 + 1) / height - 1
        across = (torch.arange(width, device=device) * 2 + 1) / width - 1
        self.planes = torch.ones(4, height, width, device=device)
        self.places = torch.empty(3, height, width, device=device)
        torch.add((down * b + c)[:, None], across[None], alpha=a, out=self.places[0])
        torch.add((down * e + f)[:, None], across[None], alpha=d, out=self.places[1])
        self.places[2] = g.unturn(self.places[0])
        self.g = g
        self.pixel = 2 * math.sqrt(abs(a * e - b * d) / (height * width))
        det = a * e - b * d
        self._inverse = (e / det, -b / det, -d / det, a / det, c, f)
        self.height, self.width = height, width

    def full(self) -> Window:
        """The whole image, not turned."""
        return self._window(Box(0, 0, self.height, self.width), turned=False)

    def window(
        self, x0: float, y0: float, x1: float, y1: float, turned: bool = True
    ) -> Window | None:
        """The pixels around a rectangle in face coordinates; None if it is out of the image.

        turned: x0 and x1 lie on the turned face, and so do the window's x.
        """
        box = self._box(x0, y0, x1, y1, turned)
        return None if box is None else self._window(box, turned)

    def sides(
        self,
        inner: float,
        top: float,
        outer: float,
        bottom: float,
        turned: bool = True,
        middle: float = 0.0,
    ) -> Iterator[Pair]:
        """A rectangle on the right of the face together with its mirror image on the left.

        Yields one pair and paints it after the body of the loop; nothing if both sides are out of
        the image. inner, outer: x from the mirror, which stands at x = middle.
        """
        spans = {-1.0: (middle - outer, middle - inner), 1.0: (middle + inner, middle + outer)}
        boxes = {side: self._box(x0, top, x1, bottom, turned) for side, (x0, x1) in spans.items()}
        seen = {side: box for side, box in boxes.items() if box is not None}
        if seen:
            pair = self._pair(seen, turned)
            yield pair
            pair.paint()

    def _box(self, x0: float, y0: float, x1: float, y1: float, turned: bool) -> Box | None:
        if turned:
            x0, x1 = self.g.turn(x0), self.g.turn(x1)
        ia, ib, ic, id_, c, f = self._inverse
        corners = [(x - c, y - f) for x in (x0, x1) for y in (y0, y1)]
        across = [(ia * x + ib * y + 1) * self.width / 2 for x, y in corners]
        down = [(ic * x + id_ * y + 1) * self.height / 2 for x, y in corners]
        left, right = max(int(min(across)) - 1, 0), min(int(max(across)) + 2, self.width)
        top, bottom = max(int(min(down)) - 1, 0), min(int(max(down)) + 2, self.height)
        if left >= right or top >= bottom:
            return None
        return Box(top, left, bottom - top, right - left)

    def _window(self, box: Box, turned: bool) -> Window:
        # copies: operations are quicker where all rows of a window lie together
        x, y, u = box.of(self.places).contiguous().unbind()
        rgb, back = box.of(self.planes[:3]), box.of(self.planes[3])
        return Window(u if turned else x, y, x, u, self.pixel, box, rgb, back)

    def _pair(self, seen: Mapping[float, Box], turned: bool) -> Pair:
        boxes = tuple(seen.values())
        height, width = max(b.height for b in boxes), max(b.width for b in boxes)
        enlarged = [
            Box(min(b.top, self.height - height), min(b.left, self.width - width), height, width)
            for b in boxes
        ]
        x, y, u = _stack(self.places, enlarged).unbind()
        side = torch.tensor(tuple(seen), device=self.planes.device).view(-1, 1, 1)
        return Pair(u if turned else x, y, x, u, self.pixel, side, boxes, enlarged, self.planes)
