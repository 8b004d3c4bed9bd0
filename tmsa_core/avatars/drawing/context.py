"""The shared state of the functions that draw one portrait."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from tmsa_core.avatars.drawing.canvas import Canvas, Pair, Window
from tmsa_core.avatars.drawing.geometry import Frame, Geometry, Sitter
from tmsa_core.avatars.drawing.palette import Palette
from tmsa_core.avatars.drawing.sdf import affine
from tmsa_core.avatars.drawing.texture import strand_texture


@dataclass(frozen=True)
class DrawingContext:
    """One portrait while it is drawn.

    Attributes:
        sitter: Its traits and attributes.
        face: The geometry of its face.
        colours: Its colours.
        canvas: The image so far.
        frame: Affine map from face coordinates to those of the aligned crop.
    """

    sitter: Sitter
    face: Geometry
    colours: Palette
    canvas: Canvas
    frame: Frame

    def window(
        self, x0: float, y0: float, x1: float, y1: float, turned: bool = True
    ) -> Window | None:
        """See ``Canvas.window``."""
        return self.canvas.window(x0, y0, x1, y1, turned)

    def sides(
        self,
        inner: float,
        top: float,
        outer: float,
        bottom: float,
        turned: bool = True,
        middle: float = 0.0,
    ) -> Iterator[Pair]:
        """See ``Canvas.sides``."""
        return self.canvas.sides(inner, top, outer, bottom, turned, middle)

    def crop_position(self, w: Window | Pair) -> tuple[Tensor, Tensor]:
        """X and y of the aligned crop, -1 to 1, each like ``w.x``: see ``texture``."""
        (a, b, c), (d, e, f) = self.frame
        x = affine(w.flat, a, c).add_(w.y, alpha=b)
        return x, affine(w.flat, d, f).add_(w.y, alpha=e)

    def strands(self, w: Window | Pair) -> Tensor:
        """Strands of hair, like ``w.x``, in about [-1, 1]."""
        return strand_texture(*self.crop_position(w))

    @cached_property
    def head_window(self) -> Window | None:
        """The pixels of the whole head, not turned."""
        r = self.face.head_w + 0.03 + abs(self.face.chin_shift) * 0.5
        return self.window(-r, self.face.head_top - 0.04, r, self.face.chin + 0.04, turned=False)

    @cached_property
    def head_level(self) -> Tensor:
        """(H, W): ``Geometry.head_level``; 9 outside the window of the head."""
        level = torch.full_like(self.canvas.places[0], 9.0)
        if self.head_window is not None:
            self.head_window.box.of(level).copy_(
                self.face.head_level(self.head_window.x, self.head_window.y)
            )
        return level
