"""All that the drawing functions of one portrait share."""

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
    """One portrait being drawn: who sits, the measures, the colours and the image so far."""

    sitter: Sitter
    g: Geometry
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

    def laid(self, w: Window | Pair) -> tuple[Tensor, Tensor]:
        """x and y of the aligned crop, each like ``w.x``: see ``grain.py``."""
        (a, b, c), (d, e, f) = self.frame
        x = affine(w.flat, a, c).add_(w.y, alpha=b)
        return x, affine(w.flat, d, f).add_(w.y, alpha=e)

    def strands(self, w: Window | Pair) -> Tensor:
        """Strands of hair in the window, like ``w.x``, in about [-1, 1]."""
        return strand_texture(*self.laid(w))

    @cached_property
    def head(self) -> Window | None:
        """The pixels of the whole head, not turned."""
        r = self.g.head_w + 0.03 + abs(self.g.chin_shift) * 0.5
        return self.window(-r, self.g.head_top - 0.04, r, self.g.chin + 0.04, turned=False)

    @cached_property
    def level(self) -> Tensor:
        """(H, W): ``Geometry.head_level``, and just any high level outside the head's window."""
        level = torch.full_like(self.canvas.places[0], 9.0)
        if self.head is not None:
            self.head.box.of(level).copy_(self.g.head_level(self.head.x, self.head.y))
        return level
