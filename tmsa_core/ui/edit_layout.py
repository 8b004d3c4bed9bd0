"""The editing screen: its parts, and which action each of them starts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from tmsa_core.availability import first_inversion, inversions_here
from tmsa_core.bundles import Bundle
from tmsa_core.datatypes import EditRequest
from tmsa_core.editing.editor import Editor
from tmsa_core.server.events import (
    image_input,
)
from tmsa_core.ui.edit_actions import EditSession
from tmsa_core.ui.edit_stack import History, new_history
from tmsa_core.ui.html import chips_html, scores_html, stack_html
from tmsa_core.ui.links import MAX_CHARACTERS, STRENGTHS, THRESHOLDS
from tmsa_core.ui.widgets import REPORT_BUTTON, REPORT_REST, BeforeAfter, Slider, small_image

SESSION_SECONDS = 3600
LEVELS = [("all", "all"), ("coarse: shape, pose", "coarse"), ("medium: features", "medium"),
          ("fine: colours", "fine")]  # fmt: skip
CONTROLS = ("neutral", "target", "alpha", "levels", "threshold")  # what an edit is set by
KINDS = [("PNG", "png"), ("JPEG", "jpg"), ("WebP", "webp")]
INVERSION_LABELS = {"e4e": "e4e (quick)", "hfgi": "HFGI (keeps more detail)"}


@dataclass(frozen=True)
class EditPage:
    """The parts of the editing screen that actions read or change."""

    session: gr.State
    history: gr.State
    image: gr.Image
    samples: gr.Gallery
    seed: gr.Number
    random: gr.Button
    neutral: gr.Textbox
    target: gr.Textbox
    chips: gr.HTML
    edit: gr.Button
    add: gr.Button
    stack: gr.HTML
    undo: gr.Button
    redo: gr.Button
    levels: gr.Dropdown
    threshold: gr.Slider
    inversion: gr.Radio
    aligned: gr.Checkbox
    before_after: gr.ImageSlider
    alpha: gr.Slider
    rest: gr.HTML
    scores: gr.HTML
    notes: gr.Markdown
    whole: gr.Radio
    notice: gr.Checkbox
    kind: gr.Radio
    save: gr.Button
    save_link: gr.DownloadButton
    link: gr.Button
    link_query: gr.Textbox
    arrived: gr.Checkbox
    faces: gr.HTML
    crop: gr.Image
    inversion_image: gr.Image


def start_history(editor: Editor) -> History:
    """The stack that a new visitor finds: the domain's first example."""
    return new_history([EditRequest(*editor.domain.examples[0])])


def lay_out_edit(editor: Editor, samples: list[Any], leave: Callable[[str], None]) -> EditPage:
    """Place the parts of the editing screen. leave: told the owner of a visit that has ended."""
    history = start_history(editor)
    state = {"time_to_live": SESSION_SECONDS}
    with gr.Row(equal_height=False):
        with gr.Column(min_width=320):
            left = _lay_out_start(editor, samples) | _lay_out_texts(editor, history)
        with gr.Column(min_width=320):
            right = _lay_out_result()
    return EditPage(
        session=gr.State(None, delete_callback=lambda session: _ended(session, leave), **state),
        history=gr.State(history, **state),
        **left,
        **right,
    )


def _ended(session: EditSession | None, leave: Callable[[str], None]) -> None:
    if session is not None:
        leave(session.owner)


def _lay_out_start(editor: Editor, samples: list[Any]) -> dict[str, Any]:
    image = image_input(
        label="Your image",
        sources=["upload", "webcam", "clipboard"],
        height=280,
        elem_id="image",
    )
    gallery = gr.Gallery(
        samples,
        label="Or a sample portrait",
        format="png",
        columns=8,
        rows=1,
        object_fit="cover",
        allow_preview=False,
        interactive=False,
        buttons=[],
        elem_id="samples",
    )
    with gr.Row(equal_height=True, elem_id="draw"):
        random = gr.Button("Random portrait", size="md", min_width=150, elem_id="random")
        seed = gr.Number(0, label="Seed", precision=0, min_width=120, elem_id="seed")
    return {"image": image, "samples": gallery, "random": random, "seed": seed}


def _lay_out_texts(editor: Editor, history: History) -> dict[str, Any]:
    domain, request = editor.domain, history.now.request
    neutral = gr.Textbox(
        request.neutral_text,
        label="What it shows",
        max_lines=2,
        max_length=MAX_CHARACTERS,
        elem_id="neutral",
    )
    target = gr.Textbox(
        request.target_text,
        label="What it should show",
        max_lines=3,
        max_length=MAX_CHARACTERS,
        elem_id="target",
    )
    chips = gr.HTML(
        chips_html(domain.presets),
        js_on_load=REPORT_BUTTON,
        elem_id="chips",
    )
    with gr.Row(elem_id="go"):
        edit = gr.Button("Edit", variant="primary", size="lg", elem_id="edit", scale=2)
        add = gr.Button("Add to the edits", size="lg", elem_id="add", scale=1, min_width=150)
    stack = gr.HTML(stack_html(history.now), js_on_load=REPORT_BUTTON, elem_id="stack")
    with gr.Row(elem_id="steps"):
        undo = gr.Button("Undo", size="sm", interactive=False, min_width=60, elem_id="undo")
        redo = gr.Button("Redo", size="sm", interactive=False, min_width=60, elem_id="redo")
    with gr.Accordion("More control", open=False, elem_id="more"):
        levels = gr.Dropdown(
            LEVELS,
            value="all",
            label="Levels that move",
            info="Or numbers, such as 0,1,4",
            allow_custom_value=True,
            elem_id="levels",
        )
        threshold = Slider(
            *THRESHOLDS,
            value=0,
            step=0.05,
            label="Threshold",
            info="Share of the smallest changes to leave out: more keeps the rest as it was",
            elem_id="threshold",
        )
        inversion = gr.Radio(
            **inversion_choice(editor.bundle),
            label="Inversion",
            info="How the image enters the generator",
            elem_id="inversion-kind",
        )
        aligned = gr.Checkbox(False, label="The image already is an aligned face")
    return {
        "neutral": neutral, "target": target, "chips": chips, "edit": edit, "add": add,
        "stack": stack, "undo": undo, "redo": redo, "levels": levels, "threshold": threshold,
        "inversion": inversion, "aligned": aligned,
    }  # fmt: skip


def inversion_choice(bundle: Bundle) -> dict[str, Any]:
    """Choices and value of the inversion's radio in a world; e4e is what every world has."""
    names = dict.fromkeys(("e4e", *inversions_here(bundle)))
    return {
        "choices": [(INVERSION_LABELS[name], name) for name in names],
        "value": first_inversion(bundle),
    }


def _lay_out_result() -> dict[str, Any]:
    before_after = BeforeAfter(
        label="Before and after",
        format="png",
        type="pil",
        interactive=False,
        buttons=["fullscreen"],
        max_height=520,
        elem_id="before-after",
    )
    alpha = Slider(
        *STRENGTHS,
        value=1.0,
        step=0.05,
        label="Strength",
        info="1 is the full edit, 0 none, below 0 the opposite",
        elem_id="alpha",
    )
    rest = gr.HTML(visible="hidden", js_on_load=REPORT_REST, elem_id="rest")
    scores = gr.HTML(scores_html(None), elem_id="scores")
    notes = gr.Markdown(latex_delimiters=[], elem_id="notes")
    with gr.Row(elem_id="small"):
        with gr.Column(min_width=150, scale=1):
            faces = gr.HTML(
                "", label="Faces found", show_label=True, container=True, elem_id="faces",
                js_on_load=REPORT_BUTTON,
            )  # fmt: skip
        crop = small_image("Aligned crop", "crop")
        inversion_image = small_image("Inversion", "inversion")
    with gr.Row(elem_id="output"):
        whole = gr.Radio(
            [("whole image", True), ("face only", False)],
            value=True,
            label="Result",
            min_width=200,
            elem_id="whole",
        )
        kind = gr.Radio(KINDS, value="png", label="File", min_width=200, elem_id="kind")
    notice = gr.Checkbox(True, label="Write “AI-edited” on the image", elem_id="notice")
    with gr.Row():
        save = gr.Button("Download", elem_id="save", min_width=140)
        link = gr.Button("Copy a link", elem_id="link", min_width=200)
    save_link = gr.DownloadButton("Download", visible="hidden", elem_id="save-link")
    link_query = gr.Textbox(visible="hidden", elem_id="link-query")
    arrived = gr.Checkbox(False, visible="hidden")
    return {
        "before_after": before_after, "alpha": alpha, "rest": rest, "scores": scores,
        "notes": notes, "faces": faces, "crop": crop, "inversion_image": inversion_image,
        "whole": whole, "kind": kind, "notice": notice, "save": save, "link": link,
        "save_link": save_link, "link_query": link_query, "arrived": arrived,
    }  # fmt: skip
