"""Small components, choices, scripts and callbacks that several tabs use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components.imageslider import SliderData

STATIC = Path(__file__).parent / "static"
IMAGE_KINDS = [("PNG", "png"), ("JPEG", "jpg"), ("WebP", "webp")]  # label -> ending

Progress = Callable[..., Any]  # as gr.Progress: progress((done, total), desc=..., unit=...)


def no_progress(*_: Any, **__: Any) -> None:
    """Report nothing."""


def script(name: str) -> str:
    """The JavaScript of a file in the folder ``static``, which Gradio takes as a string."""
    return (STATIC / f"{name}.js").read_text(encoding="utf-8")


class BeforeAfter(gr.ImageSlider):
    """gr.ImageSlider that also accepts images already encoded for the browser."""

    is_template = True  # Gradio uses the front end of the parent class

    def postprocess(self, value: Any) -> SliderData | None:
        """The value that is sent to the browser."""
        return value if isinstance(value, SliderData) else super().postprocess(value)


class Slider(gr.Slider):
    """gr.Slider whose number field accepts anything while the visitor types.

    A number outside the range becomes the nearest end and an empty field becomes None. gr.Slider
    reports both as errors, at every key press.
    """

    is_template = True

    def preprocess(self, payload: float | None) -> float | None:
        """The number that an event receives."""
        if payload is None:
            return None
        return super().preprocess(min(max(payload, self.minimum), self.maximum))


def small_image(label: str, name: str, height: int = 170) -> gr.Image:
    """An image without buttons that visitors cannot change.

    Args:
        label: Label and alternative text.
        name: Element id.
        height: Height in pixels.
    """
    return gr.Image(
        label=label,
        alt_text=label,  # also names the button around the image for screen readers
        format="png",
        interactive=False,
        height=height,
        min_width=110,
        buttons=[],
        elem_id=name,
    )
