"""Events of the Batch tab."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr

from tmsa_core.server.events import HIDDEN, ON_LONG, show_errors_streaming
from tmsa_core.ui.batch_actions import BatchActions, BatchControls
from tmsa_core.ui.batch_layout import BatchParts


def connect_batch(actions: BatchActions, parts: BatchParts, domain: gr.Dropdown) -> None:
    """Connect the events of the Batch tab.

    Args:
        actions: What the events start.
        parts: The components of ``lay_out_batch``.
        domain: The choice of the domain.
    """
    # In the order of the fields of BatchControls.
    inputs = [parts.files, parts.folder, parts.neutral, parts.target, parts.alpha, parts.kind]
    inputs += [parts.watermark, domain]
    outputs = {"status": parts.status, "table": parts.table, "archive": parts.archive}

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

    for upload in (parts.files, parts.folder):
        upload.upload(claim_uploads, upload, None, queue=False, **HIDDEN)
    begun = parts.start.click(begin, None, None, queue=False, **HIDDEN)
    begun.then(
        run,
        set(inputs),
        list(outputs.values()),
        **HIDDEN,
        **ON_LONG,
        show_progress="minimal",
        show_progress_on=parts.status,
    )
    parts.cancel.click(cancel, None, parts.status, queue=False, **HIDDEN)
