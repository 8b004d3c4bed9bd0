"""The image of one portrait, and rectangular windows of it to paint in.

Most strokes cover a small part of the image: each is computed only on the pixels of its window.
Features that a face has twice are computed once, on two windows stacked along a dimension of 2.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, cast

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
        """View (..., height, width) of these pixels in contiguous planes (..., H, W)."""
        steps = plane.stride()
        start = plane.storage_offset() + self.top * steps[-2] + self.left * steps[-1]
        return plane.as_strided((*plane.shape[:-2], self.height, self.width), steps, start)


@dataclass(frozen=True)
class Window:
    """Part of a canvas: views of its pixels and copies of their coordinates.

    Attributes:
        x, y: (h, w) face coordinates; x is ``turned`` or ``flat``, see ``Canvas.window``.
        flat: (h, w) x in the image.
        turned: (h, w) x on the turned face.
        pixel: Width of a pixel in face coordinates.
        box: Its place on the canvas.
        rgb: (3, h, w) colours in [0, 1].
        background: (h, w) share of the background that is still visible.
    """

    x: Tensor
    y: Tensor
    flat: Tensor
    turned: Tensor
    pixel: float
    box: Box
    rgb: Tensor
    background: Tensor

    def mix(self, alpha: Tensor, ink: Ink, solid: bool = False) -> None:
        """Paint ink with opacity alpha (h, w). ``solid`` strokes also hide the background."""
        _mix(self.rgb, self.background, alpha, ink, solid)

    def multiply(self, alpha: Tensor, colour: Colour) -> None:
        """Multiply the pixels by ``colour``, with opacity alpha (h, w)."""
        _multiply(self.rgb, alpha, colour)

    def take(self, plane: Tensor) -> Tensor:
        """(h, w): the pixels of this window in another plane (H, W)."""
        return self.box.of(plane).contiguous()

    def covered(self) -> Tensor:
        """(h, w): share of the background that is already hidden."""
        return affine(self.background, -1, 1)


@dataclass(frozen=True)
class Pair:
    """The windows on both sides of the face, computed together and painted one after the other.

    Like ``Window`` with (2, h, w) in place of (h, w), the left side first; (1, h, w) if the other
    side is outside the image. Both windows are enlarged to the size of the larger one.

    Attributes:
        side: (2, 1, 1), -1 on the left and 1 on the right.
        boxes: The places of the windows on the canvas.
        enlarged: The same, enlarged to one size.
        planes: (4, H, W), those of the canvas.
        strokes: Opacity, ink and kind of each stroke that ``paint`` will paint.
    """

    x: Tensor
    y: Tensor
    flat: Tensor
    turned: Tensor
    pixel: float
    side: Tensor
    boxes: Sequence[Box]
    enlarged: Sequence[Box]
    planes: Tensor
    strokes: list[tuple[Tensor, Ink, Literal["mix", "solid", "multiply"]]] = field(
        default_factory=list
    )

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
        """See ``Window.covered``; without the strokes of this pair."""
        return affine(self.take(self.planes[3]), -1, 1)

    def paint(self) -> None:
        """Paint all strokes on the left, then all on the right, which covers the left."""
        for i, (box, large) in enumerate(zip(self.boxes, self.enlarged, strict=True)):
            inner = Box(box.top - large.top, box.left - large.left, box.height, box.width)
            rgb, background = box.of(self.planes[:3]), box.of(self.planes[3])
            for alpha, ink, kind in self.strokes:
                own_alpha = inner.of(alpha[i])
                own_ink = inner.of(ink[:, i]) if isinstance(ink, Tensor) else ink
                if kind == "multiply":
                    _multiply(rgb, own_alpha, cast(Colour, own_ink))
                else:
                    _mix(rgb, background, own_alpha, own_ink, kind == "solid")


def _stack(planes: Tensor, boxes: Sequence[Box]) -> Tensor:
    """(..., N, h, w): N boxes of equal size from planes (..., H, W)."""
    return torch.stack([box.of(planes) for box in boxes], dim=-3)


def _mix(rgb: Tensor, background: Tensor, alpha: Tensor, ink: Ink, solid: bool) -> None:
    """Change rgb (3, h, w) and background (h, w) in place, with opacity alpha (h, w)."""
    rgb.lerp_(ink if isinstance(ink, Tensor) else _colour(ink, rgb), alpha)
    if solid:
        background.addcmul_(background, alpha, value=-1)


def _multiply(rgb: Tensor, alpha: Tensor, colour: Colour) -> None:
    """Change rgb (3, h, w) in place, with opacity alpha (h, w)."""
    r, g, b = colour
    rgb.addcmul_(rgb * _colour((r - 1, g - 1, b - 1), rgb), alpha)


def lit(colour: Colour, light: Tensor, sheen: Tensor | None = None) -> Tensor:
    """(3, h, w): colour times light (h, w), plus sheen (h, w) of white."""
    out = _colour(colour, light[None]) * light
    return out if sheen is None else out.add_(sheen)


def _colour(colour: Colour, like: Tensor) -> Tensor:
    """(3, 1, 1) or (3, 1, 1, 1): broadcasts over ``like`` (3, ...). NumPy is faster for this."""
    numbers = np.array(colour, np.float32).reshape(3, *(1,) * (like.dim() - 1))
    return torch.from_numpy(numbers).to(like.device)


class Canvas:
    """Pixels of one portrait with their face coordinates.

    Args:
        face: Geometry of the face, for the turn.
        view: (2, 3) affine map from normalised image coordinates to face coordinates.
        height: Rows of the image, H.
        width: Columns of the image, W.

    Attributes:
        planes: (4, H, W), red, green, blue and the share of the background still visible.
        places: (3, H, W), x and y in face coordinates and x on the turned face.
        pixel: Width of a pixel in face coordinates.
    """

    def __init__(self, face: Geometry, view: Tensor, height: int, width: int) -> None:
        (a, b, c), (d, e, f) = view.tolist()
        device = view.device
        down = (torch.arange(height, device=device) * 2 + 1) / height - 1
        across = (torch.arange(width, device=device) * 2 + 1) / width - 1
        self.planes = torch.ones(4, height, width, device=device)
        self.places = torch.empty(3, height, width, device=device)
        torch.add((down * b + c)[:, None], across[None], alpha=a, out=self.places[0])
        torch.add((down * e + f)[:, None], across[None], alpha=d, out=self.places[1])
        self.places[2] = face.unturn(self.places[0])
        self.face = face
        self.pixel = 2 * math.sqrt(abs(a * e - b * d) / (height * width))
        det = a * e - b * d
        self._inverse = (e / det, -b / det, -d / det, a / det, c, f)
        self.height, self.width = height, width

    def full(self) -> Window:
        """The whole image; x is flat."""
        return self._window(Box(0, 0, self.height, self.width), turned=False)

    def window(
        self, x0: float, y0: float, x1: float, y1: float, turned: bool = True
    ) -> Window | None:
        """The pixels around a rectangle, or None if it lies outside the image.

        Args:
            x0: Left edge in face coordinates.
            y0: Top edge.
            x1: Right edge.
            y1: Bottom edge.
            turned: True if x0, x1 and the window's x lie on the turned face.
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
        """Yield a rectangle on the right of the face with its mirror image on the left.

        Yields one pair, and paints it after the body of the loop; yields nothing if both sides lie
        outside the image.

        Args:
            inner: Smaller distance from the mirror in x.
            top: Top edge.
            outer: Larger distance from the mirror in x.
            bottom: Bottom edge.
            turned: See ``window``.
            middle: X of the mirror.
        """
        spans = {-1.0: (middle - outer, middle - inner), 1.0: (middle + inner, middle + outer)}
        boxes = {side: self._box(x0, top, x1, bottom, turned) for side, (x0, x1) in spans.items()}
        seen = {side: box for side, box in boxes.items() if box is not None}
        if seen:
            pair = self._pair(seen, turned)
            yield pair
            pair.paint()

    def _box(self, x0: float, y0: float, x1: float, y1: float, turned: bool) -> Box | None:
        """The pixels around a rectangle in face coordinates; see ``window``."""
        if turned:
            x0, x1 = self.face.turn(x0), self.face.turn(x1)
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
        """The window of these pixels."""
        # Copies, because operations are faster on contiguous rows
        x, y, u = box.of(self.places).contiguous().unbind()
        rgb, background = box.of(self.planes[:3]), box.of(self.planes[3])
        return Window(u if turned else x, y, x, u, self.pixel, box, rgb, background)

    def _pair(self, seen: Mapping[float, Box], turned: bool) -> Pair:
        """The pair of the boxes of the sides, -1 and 1, that lie in the image."""
        boxes = tuple(seen.values())
        height, width = max(b.height for b in boxes), max(b.width for b in boxes)
        enlarged = [
            Box(min(b.top, self.height - height), min(b.left, self.width - width), height, width)
            for b in boxes
        ]
        x, y, u = _stack(self.places, enlarged).unbind()
        side = torch.tensor(tuple(seen), device=self.planes.device).view(-1, 1, 1)
        return Pair(u if turned else x, y, x, u, self.pixel, side, boxes, enlarged, self.planes)
