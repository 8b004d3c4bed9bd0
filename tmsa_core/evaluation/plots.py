"""Matplotlib plots as images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def new_plot(count: int, size: tuple[float, float] = (5.5, 4.8)) -> tuple[Figure, list[Axes]]:
    """Returns a plot of ``count`` axes in one row, each of ``size`` in inches."""
    from matplotlib.figure import Figure

    plot = Figure(figsize=(size[0] * count, size[1]), dpi=120, layout="constrained")
    return plot, [plot.add_subplot(1, count, i + 1) for i in range(count)]


def plot_image(plot: Figure) -> Image.Image:
    """Returns a plot as an RGB image."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(plot)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
