"""Layout of the Explore tab: one function and one dataclass of components per tool."""

from __future__ import annotations

from dataclasses import dataclass

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
class StrengthsParts:
    """Components of the tool that shows several strengths."""

    first: gr.Number
    last: gr.Number
    count: gr.Number
    start: gr.Button
    gallery: gr.Gallery


@dataclass(frozen=True)
class GridParts:
    """Components of the grid of prompts and portraits."""

    prompts: gr.Textbox
    portraits: gr.CheckboxGroup
    alpha: gr.Slider
    start: gr.Button
    sheet: gr.Image


@dataclass(frozen=True)
class MorphParts:
    """Components of the tool that makes an animation."""

    first: gr.Number
    last: gr.Number
    count: gr.Number
    kind: gr.Radio
    start: gr.Button
    animation: gr.HTML
    file: gr.File


@dataclass(frozen=True)
class DrawParts:
    """Components of the tool that draws a portrait from a text."""

    text: gr.Textbox
    alpha: gr.Slider
    start: gr.Button
    image: gr.Image


@dataclass(frozen=True)
class MapParts:
    """Components of the latent map."""

    texts: gr.Textbox
    method: gr.Radio
    start: gr.Button
    plot: gr.Plot


@dataclass(frozen=True)
class MethodsParts:
    """Components of the comparison of methods; the list of methods is filled by an event."""

    tab: gr.Tab
    methods: gr.CheckboxGroup
    start: gr.Button
    cancel: gr.Button
    gallery: gr.Gallery


@dataclass(frozen=True)
class ExploreParts:
    """Components of all tools."""

    strengths: StrengthsParts
    grid: GridParts
    morph: MorphParts
    draw: DrawParts
    map: MapParts
    methods: MethodsParts


def lay_out_explore(domain: Domain) -> ExploreParts:
    """Place the components of the Explore tab; ``connect_explore`` starts their actions.

    Args:
        domain: The domain that the page starts with.

    Returns:
        The components.
    """
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
            methods = _lay_out_methods(tab)
    return ExploreParts(strengths, grid, morph, draw, latent_map, methods)


def grid_portraits(domain: str) -> list[str]:
    """Return the names of the portraits that a domain's grid can show."""
    return [OWN_PORTRAIT, *sample_names(domain)]


def grid_prompts(domain: Domain) -> str:
    """Return the prompts of a new grid, one per line."""
    return "\n".join(target for _, target in domain.examples[:START_PROMPTS])


def animation_html(address: str = "", label: str = "") -> str:
    """Show an animation; a video plays without sound and repeats, like an image.

    Args:
        address: Where the browser gets the file; "" leaves the place empty.
        label: Description for screen readers.

    Returns:
        HTML.
    """
    return render("animation.html", address=address, label=label)


def _lay_out_strengths() -> StrengthsParts:
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
    return StrengthsParts(first, last, count, start, gallery)


def _lay_out_grid(domain: Domain) -> GridParts:
    names = grid_portraits(domain.key)
    prompts = gr.Textbox(
        grid_prompts(domain), label="Prompts (one per line)", lines=6, elem_id="grid-prompts"
    )
    portraits = gr.CheckboxGroup(names, value=names[:START_PORTRAITS], label="Portraits")
    alpha = Slider(*STRENGTHS, value=1, step=0.05, label="Strength")
    start = gr.Button("Show the grid", variant="primary", elem_id="grid-start")
    sheet = _result_image("Prompts and portraits", "grid", show_label=False)
    return GridParts(prompts, portraits, alpha, start, sheet)


def _lay_out_morph() -> MorphParts:
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
    return MorphParts(first, last, count, kind, start, animation, file)


def _lay_out_draw() -> DrawParts:
    text = gr.Textbox(
        "an old man with a white beard and glasses", label="Describe a face", elem_id="draw-text"
    )
    alpha = Slider(
        0, 2, value=1, step=0.05, label="Strength", info="0 = average face, 1 = as described"
    )
    start = gr.Button("Draw it", variant="primary", elem_id="draw-start")
    image = _result_image("Drawn from the text alone", "drawn", height=420)
    return DrawParts(text, alpha, start, image)


def _lay_out_map() -> MapParts:
    gr.Markdown(MAP_INTRODUCTION, elem_classes="lead")
    texts = gr.Textbox(
        "a clown\na grandmother",
        label="Your own texts (one per line)",
        lines=2,
        elem_id="map-texts",
    )
    method = gr.Radio(list(PROJECTIONS), value="PCA", label="Projection")
    start = gr.Button("Draw the map", variant="primary", elem_id="map-start")
    return MapParts(texts, method, start, gr.Plot(label="CLIP and StyleGAN map", elem_id="map"))


def _lay_out_methods(tab: gr.Tab) -> MethodsParts:
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
    return MethodsParts(tab, methods, start, cancel, gallery)


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
