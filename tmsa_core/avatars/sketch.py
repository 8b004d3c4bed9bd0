"""All that the drawing functions of one portrait share."""

from __future__ import annotations

from dataclasses import dataclass

from tmsa_core.avatars.canvas import Canvas, Window
from tmsa_core.avatars.geometry import Geometry, Sitter
from tmsa_core.avatars.palette import Palette


@dataclass(frozen=True)
class Sketch:
    """One portrait being drawn: who sits, the measures, the colours and the picture so far."""

    sitter: Sitter
    g: Geometry
    colours: Palette
    canvas: Canvas

    def window(
        self, x0: float, y0: float, x1: float, y1: float, turned: bool = True
    ) -> Window | None:
        """See ``Canvas.window``."""
        return self.canvas.window(x0, y0, x1, y1, turned)
