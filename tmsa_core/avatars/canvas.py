"""A picture under construction, and rectangular windows of it to paint in.

Most strokes cover a small part of the picture: each is computed only on the pixels of its window.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from tmsa_core.avatars.geometry import Geometry
from tmsa_core.avatars.palette import Colour

Ink = Colour | Tensor  # one colour, or (3, h, w)


@dataclass(frozen=True)
class Window:
    """Part of a canvas: views of its pixels and their coordinates.

    x, y: (h, w) face coordinates, x turned with the face where the window was asked for so.
    flat, turned: (h, w) x without and with the turn.
    rgb: (3, h, w) in [0, 1]; back: (h, w), share of the background still visible.
    """

    x: Tensor
    y: Tensor
    flat: Tensor
    turned: Tensor
    pixel: float
    rgb: Tensor
    back: Tensor

    def mix(self, alpha: Tensor, ink: Ink, solid: bool = False) -> None:
        """Paint with opacity alpha (h, w). ``solid`` strokes also hide the background."""
        self.rgb.lerp_(self._ink(ink), alpha.expand_as(self.rgb))
        if solid:
            self.back.mul_(1 - alpha)

    def multiply(self, alpha: Tensor, colour: Colour) -> None:
        """Darken towards ``colour`` times what is there."""
        for channel, c in zip(self.rgb, colour, strict=True):
            channel.mul_(alpha * (c - 1) + 1)

    def add(self, alpha: Tensor, colour: Colour) -> None:
        """Add light."""
        for channel, c in zip(self.rgb, colour, strict=True):
            channel.add_(alpha, alpha=c)

    def _ink(self, ink: Ink) -> Tensor:
        if isinstance(ink, Tensor):
            return ink
        return self.rgb.new_tensor(ink).view(3, 1, 1)


def lit(colour: Colour, light: Tensor, sheen: Tensor | None = None) -> Tensor:
    """(3, h, w): ``colour`` times light (h, w), with ``sheen`` of white mixed in."""
    out = light.new_tensor(colour).view(3, 1, 1) * light
    return out if sheen is None else out.add_(sheen)


class Canvas:
    """Pixels of one portrait with their face coordinates.

    view: (2, 3) affine from normalised picture coordinates to face coordinates. planes: (4, H, W),
    the colours and the share of the background still visible.
    """

    def __init__(self, g: Geometry, view: Tensor, height: int, width: int) -> None:
        (a, b, c), (d, e, f) = view.tolist()
        device = view.device
        down = (torch.arange(height, device=device) * 2 + 1) / height - 1
        across = (torch.arange(width, device=device) * 2 + 1) / width - 1
        self.x = torch.addcmul((down * b + c)[:, None], across[None], across.new_tensor(a))
        self.y = torch.addcmul((down * e + f)[:, None], across[None], across.new_tensor(d))
        self.u = g.unturn(self.x)
        self.g = g
        self.pixel = 2 * math.sqrt(abs(a * e - b * d) / (height * width))
        self.planes = torch.ones(4, height, width, device=device)
        self.rgb, self.back = self.planes[:3], self.planes[3]
        det = a * e - b * d
        self._inverse = (e / det, -b / det, -d / det, a / det, c, f)
        self.height, self.width = height, width

    def full(self) -> Window:
        return Window(self.x, self.y, self.x, self.u, self.pixel, self.rgb, self.back)

    def window(
        self, x0: float, y0: float, x1: float, y1: float, turned: bool = True
    ) -> Window | None:
        """The pixels around a rectangle in face coordinates; None if it is out of the picture.

        turned: x0 and x1 lie on the turned face, and so do the window's x.
        """
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
        rows, columns = slice(top, bottom), slice(left, right)
        return Window(
            (self.u if turned else self.x)[rows, columns],
            self.y[rows, columns],
            self.x[rows, columns],
            self.u[rows, columns],
            self.pixel,
            self.rgb[:, rows, columns],
            self.back[rows, columns],
        )
