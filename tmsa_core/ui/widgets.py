"""Small things that the page's screens share."""

from __future__ import annotations

from typing import Any

import gradio as gr
from gradio.components.imageslider import SliderData

# Tell Python which button inside an HTML part was pressed, its number, and of how many.
REPORT_BUTTON = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-action]');
  if (!button) return;
  const list = button.closest('[data-count]');
  trigger('click', {
    action: button.dataset.action,
    index: Number(button.dataset.index),
    count: list ? Number(list.dataset.count) : null,
  });
});
"""

# Tell Python that the strength has been left alone for a moment, or before the hand presses
# something else, which must find it set; and whose strength it is, as a press may overtake this.
REPORT_REST = """
let waiting = null;
const report = () => {
  if (waiting === null) return;
  clearTimeout(waiting);
  waiting = null;
  const edits = [...document.querySelectorAll('#stack li')];
  const index = edits.findIndex((edit) => edit.classList.contains('chosen'));
  trigger('click', { index, count: edits.length });
};
const moved = (event) => event.target.closest?.('#alpha input');
document.addEventListener('input', (event) => {
  if (!moved(event)) return;
  clearTimeout(waiting);
  waiting = setTimeout(report, 300);
}, true);
document.addEventListener('pointerdown', report, true);
document.addEventListener('focusout', (event) => { if (moved(event)) report(); }, true);
"""


class BeforeAfter(gr.ImageSlider):
    """Gradio's slider of two images, which also takes one that is ready for the browser."""

    is_template = True  # for Gradio: this class has no front end of its own

    def postprocess(self, value: Any) -> SliderData | None:
        """What the browser gets."""
        return value if isinstance(value, SliderData) else super().postprocess(value)


class Slider(gr.Slider):
    """Gradio's slider, whose number may be typed: beyond an end counts as that end, empty as None.

    Gradio's own refuses both, and says so for every letter on the way to a number.
    """

    is_template = True

    def preprocess(self, payload: float | None) -> float | None:
        """The number that an event gets."""
        if payload is None:
            return None
        return super().preprocess(min(max(payload, self.minimum), self.maximum))


def small_image(label: str, name: str, height: int = 170) -> gr.Image:
    """An image to look at only."""
    return gr.Image(
        label=label,
        alt_text=label,  # or the button around it has no name
        format="png",
        interactive=False,
        height=height,
        min_width=110,
        buttons=[],
        elem_id=name,
    )
