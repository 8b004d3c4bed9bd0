"""The layout of the exploring screen; each part computes only when its button is pressed."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from tmsa_core.datatypes import EditRequest
from tmsa_core.domains import find_domain
from tmsa_core.imaging.animation import MP4_HINT, animation_kinds
from tmsa_core.server.events import (
    HIDDEN,
    ON_LONG,
    ON_MODEL,
    ON_TRAINING,
    show_errors,
    show_errors_streaming,
)
from tmsa_core.server.messages import inform
from tmsa_core.server.samples import sample_names
from tmsa_core.ui.edit_layout import EditPage
from tmsa_core.ui.explore_actions import MINE, Explore
from tmsa_core.ui.html import file_address
from tmsa_core.ui.latent_map import METHODS as MAP_METHODS
from tmsa_core.ui.links import STRENGTHS
from tmsa_core.ui.widgets import Slider

GRID_PROMPTS = 6  # rows that a new grid starts with
EXPLORE_WORDS = """
These start from the portrait and the texts of the *Edit* screen, in the world chosen above.
"""
MAP_WORDS = """
Left: where CLIP puts portraits and texts; the two kinds lie apart, the *modality gap*. Right: the
same after the alignment, in the generator's space, where both meet. Point at a mark to read it.
"""
METHODS_WORDS = """
The same edit by the methods of the comparison, at the strength of the *Edit* screen. Some search
anew for every image, and some train first. The times beside their names are those of drawn
portraits on two CPU cores; *Cancel* ends what is under way and keeps what is shown.
"""
TAKES = {
    "styleclip_optimise": "15 s",
    "styleclip_mapper": "5 min for a new text",
    "tedigan": "11 s",
    "clip2stylegan": "half a minute the first time",
}


def lay_out_explore(explore: Explore, page: EditPage, domain: gr.components.Component) -> None:
    """Place the parts and let their buttons start them."""
    gr.Markdown(EXPLORE_WORDS, elem_classes="lead")
    with gr.Tabs():
        with gr.Tab("Strip", id="strip"):
            _strip(explore, page, domain)
        with gr.Tab("Grid", id="grid"):
            _grid(explore, page, domain)
        with gr.Tab("Morph", id="morph"):
            _morph(explore, page, domain)
        with gr.Tab("From text", id="draw"):
            _draw(explore, domain)
        with gr.Tab("The two spaces", id="map"):
            _map(explore, page, domain)
        with gr.Tab("Methods", id="methods") as tab:
            _methods(explore, page, domain, tab)


def _strip(explore: Explore, page: EditPage, domain: gr.components.Component) -> None:
    with gr.Row(elem_classes="numbers"):
        first = gr.Number(-2, label="From strength", min_width=90, elem_id="strip-from")
        last = gr.Number(3, label="To strength", min_width=90)
        steps = gr.Number(6, label="Images", precision=0, min_width=90)
    start = gr.Button("Show the strip", variant="primary", elem_id="strip-start")
    strip = gr.Gallery(
        label="Strip of strengths",
        format="png",
        columns=6,
        height=240,
        object_fit="contain",
        buttons=["download", "fullscreen"],
        interactive=False,
        elem_id="strip",
    )

    @show_errors
    def run(
        session: Any,
        neutral: str,
        target: str,
        first: float,
        last: float,
        steps: float,
        domain: str,
    ) -> Any:
        return explore.strip(session, EditRequest(neutral, target), first, last, steps, domain)

    inputs = [page.session, page.controls.neutral, page.controls.target, first, last, steps, domain]
    start.click(run, inputs, strip, **HIDDEN, **ON_MODEL)


def _grid(explore: Explore, page: EditPage, domain: gr.components.Component) -> None:
    names = grid_portraits(explore.editors.first.domain.key)
    prompts = gr.Textbox(
        grid_prompts(explore.editors.first.domain.key),
        label="Prompts, one a line",
        lines=6,
        elem_id="grid-prompts",
    )
    portraits = gr.CheckboxGroup(names, value=names[:4], label="Portraits")
    alpha = Slider(*STRENGTHS, value=1, step=0.05, label="Strength")
    start = gr.Button("Show the grid", variant="primary", elem_id="grid-start")
    sheet = gr.Image(
        label="Prompts x portraits",
        alt_text="Prompts x portraits",
        show_label=False,
        format="png",
        interactive=False,
        type="filepath",
        buttons=["download", "fullscreen"],
        elem_id="grid",
    )

    @show_errors
    def run(
        session: Any,
        neutral: str,
        prompts: str,
        portraits: list[str],
        alpha: float,
        domain: str,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 - how Gradio hands progress in
    ) -> str:
        return explore.grid(session, neutral, prompts, portraits, alpha, domain, progress)

    def enter(key: str) -> tuple[str, Any]:
        names = grid_portraits(key)
        return grid_prompts(key), gr.update(choices=names, value=names[:4])

    inputs = [page.session, page.controls.neutral, prompts, portraits, alpha, domain]
    start.click(run, inputs, sheet, **HIDDEN, **ON_LONG)
    domain.input(enter, domain, [prompts, portraits], queue=False, **HIDDEN)


def grid_portraits(domain: str) -> list[str]:
    """The portraits that a domain's grid can show."""
    return [MINE, *sample_names(domain)]


def grid_prompts(domain: str) -> str:
    """Prompts to start a domain's grid with, one a line."""
    return "\n".join(target for _, target in find_domain(domain).examples[:GRID_PROMPTS])


def _morph(explore: Explore, page: EditPage, domain: gr.components.Component) -> None:
    with gr.Row(elem_classes="numbers"):
        first = gr.Number(0, label="From strength", min_width=90)
        last = gr.Number(1.5, label="To strength", min_width=90)
        frames = gr.Number(20, label="Frames", precision=0, min_width=90, elem_id="morph-frames")
    kinds = animation_kinds()
    names = [("WebP" if kind == "webp" else kind.upper(), kind) for kind in kinds]
    info = None if "mp4" in kinds else MP4_HINT
    kind = gr.Radio(names, value="gif", label="File", info=info, elem_id="morph-kind")
    start = gr.Button("Make the morph", variant="primary", elem_id="morph-start")
    shown = gr.HTML('<div class="moving"></div>', elem_id="morph-shown")
    file = gr.File(label="The morph as a file", interactive=False, elem_id="morph-file")

    @show_errors
    def run(
        session: Any,
        neutral: str,
        target: str,
        first: float,
        last: float,
        frames: float,
        kind: str,
        domain: str,
    ) -> tuple[str, str]:
        request = EditRequest(neutral, target)
        path = explore.morph(session, request, first, last, frames, kind, domain)
        return moving_html(path, f"{neutral} turning into {target}"), path

    inputs = [
        page.session,
        page.controls.neutral,
        page.controls.target,
        first,
        last,
        frames,
        kind,
        domain,
    ]
    start.click(run, inputs, [shown, file], **HIDDEN, **ON_LONG)


def moving_html(path: str, words: str) -> str:
    """An animation for the page: a video plays by itself, without sound, like an image."""
    label = escape(words, quote=True)
    if Path(path).suffix == ".mp4":
        play = f'<video src="{file_address(path)}" autoplay loop muted playsinline controls'
        return f'<div class="moving">{play} aria-label="{label}"></video></div>'
    return f'<div class="moving"><img src="{file_address(path)}" alt="{label}"></div>'


def _draw(explore: Explore, domain: gr.components.Component) -> None:
    text = gr.Textbox(
        "an old man with a white beard and glasses", label="A text", elem_id="draw-text"
    )
    strength = Slider(
        0,
        2,
        value=1,
        step=0.05,
        label="Strength",
        info="0 is the average face, 1 what the text asks for",
    )
    start = gr.Button("Draw it", variant="primary", elem_id="draw-start")
    image = gr.Image(
        label="Drawn from the text alone",
        alt_text="Drawn from the text alone",
        format="png",
        interactive=False,
        type="filepath",
        buttons=["download", "fullscreen"],
        height=420,
        elem_id="drawn",
    )

    @show_errors
    def run(text: str, strength: float, domain: str, request: gr.Request) -> str:
        return explore.draw(text, strength, domain, request.session_hash or "")

    inputs = [text, strength, domain]
    for trigger in (start.click, text.submit, strength.release):
        trigger(run, inputs, image, **HIDDEN, **ON_MODEL)


def _map(explore: Explore, page: EditPage, domain: gr.components.Component) -> None:
    gr.Markdown(MAP_WORDS, elem_classes="lead")
    texts = gr.Textbox(
        "a pirate\na grandmother", label="Your own texts, one a line", lines=2, elem_id="map-texts"
    )
    method = gr.Radio(list(MAP_METHODS), value="PCA", label="Map by")
    start = gr.Button("Draw the map", variant="primary", elem_id="map-start")
    plot = gr.Plot(label="The two spaces", elem_id="map")

    @show_errors
    def run(
        session: Any,
        texts: str,
        method: str,
        domain: str,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 - how Gradio hands progress in
    ) -> Any:
        return explore.map(session, texts, method, domain, progress)

    start.click(run, [page.session, texts, method, domain], plot, **HIDDEN, **ON_LONG)


def _methods(
    explore: Explore, page: EditPage, domain: gr.components.Component, tab: gr.Tab
) -> None:
    """The methods' modules are loaded when their tab is opened."""
    gr.Markdown(METHODS_WORDS, elem_classes="lead")
    methods = gr.CheckboxGroup([], label="Methods", elem_id="methods")
    with gr.Row():
        start = gr.Button("Compare", variant="primary", elem_id="methods-start")
        cancel = gr.Button("Cancel", elem_id="methods-cancel")
    shown = gr.Gallery(
        label="Side by side",
        format="png",
        columns=4,
        interactive=False,
        object_fit="contain",
        buttons=["download", "fullscreen"],
        elem_id="methods-shown",
    )

    def load() -> Any:
        from tmsa_core.baselines import METHODS

        titles = {key: method.title for key, method in METHODS.items()}
        titles |= {key: f"{titles[key]} ({takes})" for key, takes in TAKES.items()}
        return gr.update(choices=[(title, key) for key, title in titles.items()], value=["tmsa"])

    @show_errors_streaming
    def run(
        session: Any,
        neutral: str,
        target: str,
        alpha: float,
        methods: list[str],
        domain: str,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 - how Gradio hands progress in
    ) -> Iterator[Any]:
        edit, owner = EditRequest(neutral, target, alpha), request.session_hash or ""
        yield from explore.compare(session, edit, methods, domain, owner, progress)

    def begin(request: gr.Request) -> None:
        explore.begin(request.session_hash or "")

    def stop(request: gr.Request) -> None:
        under_way = explore.cancel(request.session_hash or "")
        inform("The comparison ends here." if under_way else "There is nothing to cancel.")

    tab.select(load, None, methods, **HIDDEN, queue=False)
    inputs = [
        page.session,
        page.controls.neutral,
        page.controls.target,
        page.controls.alpha,
        methods,
        domain,
    ]
    begun = start.click(begin, None, None, queue=False, **HIDDEN)
    begun.then(run, inputs, shown, **HIDDEN, **ON_TRAINING)
    cancel.click(stop, None, None, **HIDDEN)  # queued, or its words would not be shown
