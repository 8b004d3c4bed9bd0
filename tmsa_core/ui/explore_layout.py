"""Layout of the Explore tab: one function per tool."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from tmsa_core.domains import Domain
from tmsa_core.imaging.animation import MP4_HINT, animation_kinds
from tmsa_core.server.samples import sample_names
from tmsa_core.ui.explore_actions import OWN_PORTRAIT
from tmsa_core.ui.latent_map import METHODS as PROJECTIONS
from tmsa_core.ui.links import STRENGTHS
from tmsa_core.ui.templates import render
from tmsa_core.ui.widgets import Slider

START_PROMPTS = 6  # of a new grid
START_PORTRAITS = 4
EXPLORE_INTRODUCTION = """
These tools start from the portrait and the texts of the *Edit* tab, in the domain chosen above.
"""
MAP_INTRODUCTION = """
Left: where CLIP puts portraits and texts. The two kinds lie apart: the *modality gap*. Right: the
same points after the alignment, in the generator's space, where both meet. Point at a mark to read
its name.
"""
METHODS_INTRODUCTION = """
The same edit by each method of the comparison, at the strength of the *Edit* tab. Some methods
search for every image, and some train first. The times after their names were measured with drawn
portraits on two CPU cores. *Cancel* stops the comparison and keeps the images that are shown.
"""


@dataclass(frozen=True)
class Tool:
    """Components of one tool.

    Attributes:
        start: The button that starts it.
        inputs: What it reads, in the order of its action's arguments.
        outputs: What shows its results.
    """

    start: gr.Button
    inputs: list[Any]
    outputs: list[Any]


@dataclass(frozen=True)
class ExploreParts:
    """Components of all tools."""

    strengths: Tool
    grid: Tool
    morph: Tool
    draw: Tool
    map: Tool
    methods: Tool
    methods_tab: gr.Tab
    cancel_methods: gr.Button


def lay_out_explore(domain: Domain) -> ExploreParts:
    """Place the components of the Explore tab, for the page's first domain."""
    gr.Markdown(EXPLORE_INTRODUCTION, elem_classes="lead")
    with gr.Tabs():
        with gr.Tab("Strengths", id="strip"):
            strengths = _lay_out_strengths()
        with gr.Tab("Grid", id="grid"):
            grid = _lay_out_grid(domain)
        with gr.Tab("Morph", id="morph"):
            morph = _lay_out_morph()
        with gr.Tab("Draw from text", id="draw"):
            draw = _lay_out_draw()
        with gr.Tab("CLIP and StyleGAN map", id="map"):
            latent_map = _lay_out_map()
        with gr.Tab("Methods", id="methods") as tab:
            methods, cancel = _lay_out_methods()
    return ExploreParts(strengths, grid, morph, draw, latent_map, methods, tab, cancel)


def grid_portraits(domain: str) -> list[str]:
    """Return the names of the portraits that a domain's grid can show."""
    return [OWN_PORTRAIT, *sample_names(domain)]


def grid_prompts(domain: Domain) -> str:
    """Return the prompts of a new grid, one per line."""
    return "\n".join(target for _, target in domain.examples[:START_PROMPTS])


def animation_html(address: str = "", label: str = "") -> str:
    """Show the animation at an address as HTML, or an empty place for it."""
    return render("animation.html", address=address, label=label)


def _lay_out_strengths() -> Tool:
    with gr.Row(elem_classes="numbers"):
        first = gr.Number(-2, label="From strength", min_width=90, elem_id="strip-from")
        last = gr.Number(3, label="To strength", min_width=90)
        count = gr.Number(6, label="Images", precision=0, min_width=90)
    start = gr.Button("Show the strengths", variant="primary", elem_id="strip-start")
    gallery = gr.Gallery(
        label="The edit at several strengths",
        format="png",
        columns=6,
        height=240,
        object_fit="contain",
        buttons=["download", "fullscreen"],
        interactive=False,
        elem_id="strip",
    )
    return Tool(start, [first, last, count], [gallery])


def _lay_out_grid(domain: Domain) -> Tool:
    names = grid_portraits(domain.key)
    prompts = gr.Textbox(
        grid_prompts(domain), label="Prompts (one per line)", lines=6, elem_id="grid-prompts"
    )
    portraits = gr.CheckboxGroup(names, value=names[:START_PORTRAITS], label="Portraits")
    alpha = Slider(*STRENGTHS, value=1, step=0.05, label="Strength")
    start = gr.Button("Show the grid", variant="primary", elem_id="grid-start")
    sheet = _result_image("Prompts and portraits", "grid", show_label=False)
    return Tool(start, [prompts, portraits, alpha], [sheet])


def _lay_out_morph() -> Tool:
    with gr.Row(elem_classes="numbers"):
        first = gr.Number(0, label="From strength", min_width=90)
        last = gr.Number(1.5, label="To strength", min_width=90)
        count = gr.Number(20, label="Frames", precision=0, min_width=90, elem_id="morph-frames")
    kinds = animation_kinds()
    choices = [("WebP" if kind == "webp" else kind.upper(), kind) for kind in kinds]
    info = None if "mp4" in kinds else MP4_HINT
    kind = gr.Radio(choices, value="gif", label="File", info=info, elem_id="morph-kind")
    start = gr.Button("Make the morph", variant="primary", elem_id="morph-start")
    animation = gr.HTML(animation_html(), elem_id="morph-shown")
    file = gr.File(label="The morph as a file", interactive=False, elem_id="morph-file")
    return Tool(start, [first, last, count, kind], [animation, file])


def _lay_out_draw() -> Tool:
    text = gr.Textbox(
        "an old man with a white beard and glasses", label="Describe a face", elem_id="draw-text"
    )
    alpha = Slider(
        0, 2, value=1, step=0.05, label="Strength", info="0 = average face, 1 = as described"
    )
    start = gr.Button("Draw it", variant="primary", elem_id="draw-start")
    image = _result_image("Drawn from the text alone", "drawn", height=420)
    return Tool(start, [text, alpha], [image])


def _lay_out_map() -> Tool:
    gr.Markdown(MAP_INTRODUCTION, elem_classes="lead")
    texts = gr.Textbox(
        "a clown\na grandmother",
        label="Your own texts (one per line)",
        lines=2,
        elem_id="map-texts",
    )
    method = gr.Radio(list(PROJECTIONS), value="PCA", label="Projection")
    start = gr.Button("Draw the map", variant="primary", elem_id="map-start")
    plot = gr.Plot(label="CLIP and StyleGAN map", show_label=False, elem_id="map")
    return Tool(start, [texts, method], [plot])


def _lay_out_methods() -> tuple[Tool, gr.Button]:
    gr.Markdown(METHODS_INTRODUCTION, elem_classes="lead")
    methods = gr.CheckboxGroup([], label="Methods", elem_id="methods")
    with gr.Row():
        start = gr.Button("Compare", variant="primary", elem_id="methods-start")
        cancel = gr.Button("Cancel", elem_id="methods-cancel")
    gallery = gr.Gallery(
        label="Results by method",
        format="png",
        columns=4,
        interactive=False,
        object_fit="contain",
        buttons=["download", "fullscreen"],
        elem_id="methods-shown",
    )
    return Tool(start, [methods], [gallery]), cancel


def _result_image(
    label: str, name: str, height: int | None = None, show_label: bool = True
) -> gr.Image:
    """A computed image that a visitor can download."""
    return gr.Image(
        label=label,
        alt_text=label,
        show_label=show_label,
        format="png",
        interactive=False,
        type="filepath",
        buttons=["download", "fullscreen"],
        height=height,
        elem_id=name,
    )
