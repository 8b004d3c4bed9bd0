"""Layout of the Batch tab."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from tmsa_core.server.events import files_input
from tmsa_core.ui.batch_actions import status_html
from tmsa_core.ui.links import MAX_CHARACTERS, STRENGTHS
from tmsa_core.ui.strings import BATCH_WORDS
from tmsa_core.ui.widgets import Slider

COLUMNS = {  # heading of the table -> width
    "file": "120px",
    "status": "90px",
    "identity": "110px",
    "text": "70px",
    "message": "190px",
}
KINDS = [("PNG", "png"), ("JPEG", "jpg"), ("WebP", "webp")]


@dataclass(frozen=True)
class BatchParts:
    """Components of the Batch tab that events read or change."""

    files: gr.File
    folder: gr.File
    neutral: gr.Textbox
    target: gr.Textbox
    alpha: gr.Slider
    kind: gr.Radio
    watermark: gr.Checkbox
    start: gr.Button
    cancel: gr.Button
    status: gr.HTML
    table: gr.Dataframe
    archive: gr.File


def lay_out_batch(texts: tuple[str, str]) -> BatchParts:
    """Place the components of the Batch tab; ``connect_batch`` starts their actions.

    Args:
        texts: The neutral and the target text to start with.

    Returns:
        The components.
    """
    gr.Markdown(BATCH_WORDS, elem_classes="lead")
    with gr.Row(equal_height=False):
        with gr.Column(min_width=300):
            files = files_input(
                file_count="multiple",
                file_types=["image", ".zip"],
                label="Images or ZIP archives",
                height=150,
                elem_id="batch-files",
            )
            folder = files_input(
                file_count="directory", label="Or a folder", height=150, elem_id="batch-folder"
            )
            neutral = _text_field(texts[0], "Current description", "batch-neutral")
            target = _text_field(texts[1], "Target description", "batch-target")
            alpha = Slider(*STRENGTHS, value=1, step=0.05, label="Strength", elem_id="batch-alpha")
            kind = gr.Radio(KINDS, value="png", label="File format", elem_id="batch-kind")
            watermark = gr.Checkbox(True, label="Write “AI-edited” on the images")
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
    return BatchParts(
        files, folder, neutral, target, alpha, kind, watermark,
        start, cancel, status, table, archive,
    )  # fmt: skip


def _text_field(text: str, label: str, name: str) -> gr.Textbox:
    return gr.Textbox(text, label=label, max_length=MAX_CHARACTERS, elem_id=name)
