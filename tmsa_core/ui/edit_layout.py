"""Layout of the Edit tab: its components and where they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components import Component

from tmsa_core.availability import first_inversion, inversions_here
from tmsa_core.bundles import Bundle
from tmsa_core.datatypes import EditRequest
from tmsa_core.editing.editor import Editor
from tmsa_core.server.events import image_input
from tmsa_core.ui.edit_stack import History, new_history
from tmsa_core.ui.edit_values import EditControls, EditSession, PageUpdate
from tmsa_core.ui.html import chips_html, scores_html, stack_html
from tmsa_core.ui.links import MAX_CHARACTERS, STRENGTHS, THRESHOLDS
from tmsa_core.ui.widgets import IMAGE_KINDS, BeforeAfter, Slider, script, small_image

SESSION_SECONDS = 3600
LEVELS = [("all", "all"), ("coarse: shape, pose", "coarse"), ("medium: features", "medium"),
          ("fine: colours", "fine")]  # fmt: skip
INVERSION_LABELS = {
    "e4e": "e4e (fast)",
    "hfgi": "HFGI (keeps more detail)",
    "sfe": "StyleFeatureEditor (keeps most detail)",
}


@dataclass(frozen=True)
class ControlComponents:
    """The components that hold the values of ``EditControls``, under the same names."""

    image: gr.Image
    neutral: gr.Textbox
    target: gr.Textbox
    alpha: gr.Slider
    levels: gr.Dropdown
    threshold: gr.Slider
    whole: gr.Radio
    watermark: gr.Checkbox
    aligned: gr.Checkbox
    inversion: gr.Radio
    domain: gr.Dropdown
    arrived: gr.Checkbox

    def read(self, data: Mapping[Component, Any], chosen: EditRequest) -> EditControls:
        """The current values.

        Args:
            data: What Gradio passes to an event: value by component.
            chosen: The edit whose numbers replace a number field that is empty for the moment
                because the visitor is typing into it.
        """
        values = {name: data[component] for name, component in vars(self).items()}
        if values["alpha"] is None:
            values["alpha"] = chosen.alpha
        if values["threshold"] is None:
            values["threshold"] = chosen.threshold
        return EditControls(**values)


@dataclass(frozen=True)
class EditPage:
    """The components of the Edit tab, under the names that ``PageUpdate`` uses."""

    controls: ControlComponents
    session: gr.State
    history: gr.State
    samples: gr.Gallery
    random: gr.Button
    seed: gr.Number
    chips: gr.HTML
    edit: gr.Button
    add: gr.Button
    stack: gr.HTML
    undo: gr.Button
    redo: gr.Button
    before_after: gr.ImageSlider
    rest: gr.HTML
    scores: gr.HTML
    notes: gr.Markdown
    faces: gr.HTML
    crop: gr.Image
    inversion_image: gr.Image
    kind: gr.Radio
    save: gr.Button
    save_link: gr.DownloadButton
    link: gr.Button
    link_query: gr.Textbox

    @property
    def inputs(self) -> set[Component]:
        """The components that ``read`` needs."""
        return {self.session, self.history, *vars(self.controls).values()}

    @property
    def portrait(self) -> list[Component]:
        """The components that show a portrait."""
        shown = [self.session, self.before_after, self.faces, self.crop, self.inversion_image]
        return [*shown, self.notes, self.scores]

    @property
    def result(self) -> list[Component]:
        """The components that show a portrait and its edits.

        Gradio forgets the value of an input that is listed as an output and gets no update, so
        controls are listed only by the events that set them.
        """
        return [*self.portrait, self.history, self.stack, self.undo, self.redo]

    @property
    def edit_fields(self) -> list[Component]:
        """The controls that describe one edit."""
        controls = self.controls
        texts: list[Component] = [controls.neutral, controls.target]
        return [*texts, controls.alpha, controls.levels, controls.threshold]

    def read(
        self, data: Mapping[Component, Any]
    ) -> tuple[EditSession | None, History, EditControls]:
        """The first three arguments of most actions, from the data of an event."""
        history: History = data[self.history]
        return data[self.session], history, self.controls.read(data, history.now.request)

    def outputs(self, update: PageUpdate) -> dict[Component, Any]:
        """An update by component, as Gradio takes it."""
        components = vars(self) | vars(self.controls)
        return {components[name]: value for name, value in update.items()}


def start_history(editor: Editor) -> History:
    """The edits of a new visitor: the first example of the domain."""
    return new_history([EditRequest(*editor.domain.examples[0])])


def lay_out_edit(
    editor: Editor, samples: list[Any], domain: gr.Dropdown, leave: Callable[[str], None]
) -> EditPage:
    """Place the components of the Edit tab.

    Args:
        editor: Editor of the first domain.
        samples: Files of the sample portraits.
        domain: The choice of the domain, which lies outside the tab.
        leave: Called with the owner of a session that has expired.

    Returns:
        The components.
    """

    def end(session: EditSession | None) -> None:
        if session is not None:
            leave(session.owner)

    history = start_history(editor)
    with gr.Row(equal_height=False):
        with gr.Column(min_width=320):
            image, gallery, random, seed = _lay_out_portrait(samples)
            neutral, target, chips, edit, add = _lay_out_texts(editor, history.now.request)
            stack, undo, redo = _lay_out_stack(history)
            levels, threshold, inversion, aligned = _lay_out_advanced(editor.bundle)
        with gr.Column(min_width=320):
            before_after, alpha, rest, scores, notes = _lay_out_result()
            faces, crop, inversion_image = _lay_out_small_images()
            whole, kind, watermark = _lay_out_output_options()
            save, link, save_link, link_query = _lay_out_output()
            arrived = gr.Checkbox(False, visible="hidden")
    # fmt: off
    return EditPage(
        controls=ControlComponents(
            image=image, neutral=neutral, target=target, alpha=alpha, levels=levels,
            threshold=threshold, whole=whole, watermark=watermark, aligned=aligned,
            inversion=inversion, domain=domain, arrived=arrived,
        ),
        session=gr.State(None, time_to_live=SESSION_SECONDS, delete_callback=end),
        history=gr.State(history, time_to_live=SESSION_SECONDS),
        samples=gallery, random=random, seed=seed, chips=chips, edit=edit, add=add,
        stack=stack, undo=undo, redo=redo, before_after=before_after, rest=rest,
        scores=scores, notes=notes, faces=faces, crop=crop, inversion_image=inversion_image,
        kind=kind, save=save, save_link=save_link, link=link, link_query=link_query,
    )
    # fmt: on


def _lay_out_portrait(
    samples: list[Any],
) -> tuple[gr.Image, gr.Gallery, gr.Button, gr.Number]:
    image = image_input(
        label="Your image",
        sources=["upload", "webcam", "clipboard"],
        height=280,
        elem_id="image",
    )
    gallery = gr.Gallery(
        samples,
        label="Or try a sample",
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
    return image, gallery, random, seed


def _lay_out_texts(
    editor: Editor, request: EditRequest
) -> tuple[gr.Textbox, gr.Textbox, gr.HTML, gr.Button, gr.Button]:
    neutral = _text_field(request.neutral_text, "Current description", "neutral", max_lines=2)
    target = _text_field(request.target_text, "Target description", "target", max_lines=3)
    chips = gr.HTML(
        chips_html(editor.domain.presets), js_on_load=script("report_button"), elem_id="chips"
    )
    with gr.Row(elem_id="go"):
        edit = gr.Button("Edit", variant="primary", size="lg", elem_id="edit", scale=2)
        add = gr.Button("Add edit", size="lg", elem_id="add", scale=1, min_width=150)
    return neutral, target, chips, edit, add


def _text_field(value: str, label: str, name: str, max_lines: int) -> gr.Textbox:
    return gr.Textbox(
        value, label=label, max_lines=max_lines, max_length=MAX_CHARACTERS, elem_id=name
    )


def _lay_out_stack(history: History) -> tuple[gr.HTML, gr.Button, gr.Button]:
    stack = gr.HTML(stack_html(history.now), js_on_load=script("report_button"), elem_id="stack")
    with gr.Row(elem_id="steps"):
        undo = gr.Button("Undo", size="sm", interactive=False, min_width=60, elem_id="undo")
        redo = gr.Button("Redo", size="sm", interactive=False, min_width=60, elem_id="redo")
    return stack, undo, redo


def _lay_out_advanced(bundle: Bundle) -> tuple[gr.Dropdown, gr.Slider, gr.Radio, gr.Checkbox]:
    choices, value = inversion_choice(bundle)
    with gr.Accordion("Advanced", open=False, elem_id="more"):
        levels = gr.Dropdown(
            LEVELS,
            value="all",
            label="Layers to edit",
            info="Layer numbers also work, such as 0,1,4",
            allow_custom_value=True,
            elem_id="levels",
        )
        threshold = Slider(
            *THRESHOLDS,
            value=0,
            step=0.05,
            label="Threshold",
            info="Ignore small changes (higher keeps more of the original)",
            elem_id="threshold",
        )
        inversion = gr.Radio(
            choices,
            value=value,
            label="Inversion",
            info="How the image is reconstructed by the generator",
            elem_id="inversion-kind",
        )
        aligned = gr.Checkbox(False, label="The image is already a cropped, upright face")
    return levels, threshold, inversion, aligned


def inversion_choice(bundle: Bundle) -> tuple[list[tuple[str, str]], str]:
    """Choices and first value of the inversion of a domain; every domain has e4e."""
    names = dict.fromkeys(("e4e", *inversions_here(bundle)))
    return [(INVERSION_LABELS[name], name) for name in names], first_inversion(bundle)


def _lay_out_result() -> tuple[gr.ImageSlider, gr.Slider, gr.HTML, gr.HTML, gr.Markdown]:
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
        info="0 = unchanged, 1 = full edit, negative = opposite",
        elem_id="alpha",
    )
    rest = gr.HTML(visible="hidden", js_on_load=script("report_rest"), elem_id="rest")
    scores = gr.HTML(scores_html(None), elem_id="scores")
    notes = gr.Markdown(latex_delimiters=[], elem_id="notes")
    return before_after, alpha, rest, scores, notes


def _lay_out_small_images() -> tuple[gr.HTML, gr.Image, gr.Image]:
    with gr.Row(elem_id="small"):
        with gr.Column(min_width=150, scale=1):
            faces = gr.HTML(
                "",
                label="Faces found",
                show_label=True,
                container=True,
                js_on_load=script("report_button"),
                elem_id="faces",
            )
        crop = small_image("Aligned crop", "crop")
        inversion_image = small_image("Inversion", "inversion")
    return faces, crop, inversion_image


def _lay_out_output_options() -> tuple[gr.Radio, gr.Radio, gr.Checkbox]:
    with gr.Row(elem_id="output"):
        whole = gr.Radio(
            [("whole image", True), ("face only", False)],
            value=True,
            label="Result",
            min_width=200,
            elem_id="whole",
        )
        kind = gr.Radio(IMAGE_KINDS, value="png", label="File", min_width=200, elem_id="kind")
    watermark = gr.Checkbox(True, label="Write “AI-edited” on the image", elem_id="notice")
    return whole, kind, watermark


def _lay_out_output() -> tuple[gr.Button, gr.Button, gr.DownloadButton, gr.Textbox]:
    with gr.Row():
        save = gr.Button("Download", elem_id="save", min_width=140)
        link = gr.Button("Copy a link", elem_id="link", min_width=200)
    save_link = gr.DownloadButton("Download", visible="hidden", elem_id="save-link")
    link_query = gr.Textbox(visible="hidden", elem_id="link-query")
    return save, link, save_link, link_query
