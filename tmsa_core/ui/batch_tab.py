"""Layout and events of the Batch tab."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from tmsa_core.server.events import HIDDEN, ON_LONG, files_input, show_errors_streaming
from tmsa_core.ui.batch_actions import BatchActions, BatchControls, status_html
from tmsa_core.ui.links import MAX_CHARACTERS, STRENGTHS
from tmsa_core.ui.strings import BATCH_WORDS
from tmsa_core.ui.widgets import IMAGE_KINDS, Slider

COLUMNS = {  # heading of the table -> width
    "file": "120px",
    "status": "90px",
    "identity": "110px",
    "text": "70px",
    "message": "190px",
}


@dataclass(frozen=True)
class BatchParts:
    """Components of the Batch tab.

    Attributes:
        inputs: The controls, in the order of the fields of ``BatchControls``, without the domain.
        outputs: What a batch changes, by the keys of ``BatchUpdate``.
        start: The button that starts a batch.
        cancel: The button that stops it.
    """

    inputs: list[Any]
    outputs: dict[str, Any]
    start: gr.Button
    cancel: gr.Button


def lay_out_batch(texts: tuple[str, str]) -> BatchParts:
    """Place the components of the Batch tab; texts: neutral and target text to start with."""
    gr.Markdown(BATCH_WORDS, elem_classes="lead")
    with gr.Row(equal_height=False):
        with gr.Column(min_width=300):
            inputs = _lay_out_controls(texts)
        with gr.Column(min_width=300):
            with gr.Row():
                start = gr.Button("Edit all", variant="primary", elem_id="batch-start")
                cancel = gr.Button("Cancel", elem_id="batch-cancel")
            status = gr.HTML(status_html("Nothing started yet."), elem_id="batch-status")
            archive = gr.File(
                label="Edited images and scores (ZIP)",
                interactive=False,
                height=90,
                elem_id="batch-archive",
            )
            table = gr.Dataframe(
                headers=list(COLUMNS),
                datatype="str",
                interactive=False,
                wrap=True,
                column_widths=list(COLUMNS.values()),
                max_height=360,
                label="Results per image",
                elem_id="batch-table",
            )
    outputs = {"status": status, "table": table, "archive": archive}
    return BatchParts(inputs, outputs, start, cancel)


def _lay_out_controls(texts: tuple[str, str]) -> list[Any]:
    return [
        files_input(
            file_count="multiple",
            file_types=["image", ".zip"],
            label="Images or ZIP archives",
            height=150,
            elem_id="batch-files",
        ),
        files_input(
            file_count="directory", label="Or a folder", height=150, elem_id="batch-folder"
        ),
        _text_field(texts[0], "Current description", "batch-neutral"),
        _text_field(texts[1], "Target description", "batch-target"),
        Slider(*STRENGTHS, value=1, step=0.05, label="Strength", elem_id="batch-alpha"),
        gr.Radio(IMAGE_KINDS, value="png", label="File format", elem_id="batch-kind"),
        gr.Checkbox(True, label="Write “AI-edited” on the images"),
    ]


def _text_field(text: str, label: str, name: str) -> gr.Textbox:
    return gr.Textbox(text, label=label, max_length=MAX_CHARACTERS, elem_id=name)


def connect_batch(actions: BatchActions, parts: BatchParts, domain: gr.Dropdown) -> None:
    """Connect the events of the Batch tab; domain: the choice of the domain."""
    inputs, outputs = [*parts.inputs, domain], parts.outputs

    def claim_uploads(paths: list[str] | None, request: gr.Request) -> None:
        actions.claim(request.session_hash or "", *(paths or ()))

    def begin(request: gr.Request) -> None:
        actions.begin(request.session_hash or "")

    @show_errors_streaming
    def run(data: dict[Any, Any], request: gr.Request) -> Iterator[Any]:
        controls = BatchControls(*(data[component] for component in inputs))
        for update in actions.run(controls, request.session_hash or ""):
            yield {outputs[name]: value for name, value in update.items()}

    def cancel(request: gr.Request) -> str:
        return actions.cancel(request.session_hash or "")

    for upload in inputs[:2]:
        upload.upload(claim_uploads, upload, None, queue=False, **HIDDEN)
    begun = parts.start.click(begin, None, None, queue=False, **HIDDEN)
    begun.then(
        run,
        set(inputs),
        list(outputs.values()),
        **HIDDEN,
        **ON_LONG,
        show_progress="minimal",
        show_progress_on=outputs["status"],
    )
    parts.cancel.click(cancel, None, outputs["status"], queue=False, **HIDDEN)
