"""The batch screen: many images in, one archive out, with progress, time left and cancel."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, TypedDict

import gradio as gr

from tmsa_core.availability import first_inversion
from tmsa_core.datatypes import EditRequest
from tmsa_core.editing.archives import count_entries
from tmsa_core.editing.batch import BatchOptions, Row, run_batch
from tmsa_core.errors import TmsaError
from tmsa_core.server.editors import Editors
from tmsa_core.server.events import HIDDEN, ON_LONG, files_input, show_errors_streaming
from tmsa_core.server.file_leases import Leases
from tmsa_core.server.jobs import CancellationFlags
from tmsa_core.ui.links import MAX_CHARACTERS, STRENGTHS
from tmsa_core.ui.strings import BATCH_WORDS, duration
from tmsa_core.ui.widgets import Slider

HEADINGS = ["file", "status", "identity", "text", "message"]
WIDTHS = ["120px", "90px", "110px", "70px", "190px"]
KINDS = [("PNG", "png"), ("JPEG", "jpg"), ("WebP", "webp")]


class BatchUpdate(TypedDict, total=False):
    """What a step of a batch changes on the page, by the part's name."""

    status: Any
    table: Any
    archive: Any


@dataclass(frozen=True)
class BatchControls:
    """The controls of the batch screen. files, folder: what was dropped in each place."""

    files: Sequence[str] | None
    folder: Sequence[str] | None
    neutral_text: str
    target_text: str
    alpha: float
    kind: str = "png"
    notice: bool = True
    domain: str = ""

    @property
    def paths(self) -> list[Path]:
        """All files there are."""
        return [Path(path) for path in (*(self.files or ()), *(self.folder or ()))]


class BatchActions:
    """The actions of the batch screen; of a visitor it keeps only the wish to stop."""

    def __init__(self, editors: Editors, leases: Leases) -> None:
        self.editors = editors
        self.leases = leases
        self._stops = CancellationFlags()

    def begin(self, owner: str) -> None:
        """Before a batch waits for its turn: from now on it can be cancelled."""
        self._stops.begin(owner)

    def cancel(self, owner: str) -> str:
        """Stop a visitor's batch after the image that is being edited."""
        under_way = self._stops.cancel(owner)
        words = "Stopping after this image ..." if under_way else "There is no batch to cancel."
        return status_html(words)

    def claim(self, owner: str, *paths: str) -> None:
        """Keep what a visitor has sent until the visitor leaves, whether a batch begins or not."""
        self.leases.take(owner, *paths)

    def run(self, wishes: BatchControls, owner: str = "") -> Iterator[BatchUpdate]:
        """Edit the images, one screen after each; the archive at the end."""
        stop = self._stops.of(owner)
        paths, rows = wishes.paths, []
        self.leases.take(owner, *map(str, paths))
        out = self.leases.new_folder() / "edited.zip"
        request = EditRequest(wishes.neutral_text or "", wishes.target_text or "", wishes.alpha)
        try:
            editor = self.editors.get(wishes.domain)
            inversion = first_inversion(editor.bundle)
            options = BatchOptions(inversion, format=wishes.kind, notice=wishes.notice)
            work = run_batch(editor, paths, [request], out, options)
            count = count_entries(paths)
            start = time.monotonic()
            yield BatchUpdate(status=progress_html(0, count, 0, None), table=[], archive=None)
            try:
                while not stop.is_set() and (row := next(work, None)) is not None:
                    rows.append(row)
                    spent = time.monotonic() - start
                    left = spent / len(rows) * (count - len(rows))
                    yield BatchUpdate(
                        status=progress_html(len(rows), count, _failed(rows), left),
                        table=[cells(row) for row in rows],
                    )
            finally:
                work.close()
        except TmsaError as error:
            yield BatchUpdate(status=status_html(str(error)), table=[], archive=None)
            raise
        finally:
            self._stops.end(owner)
        if not rows:
            yield BatchUpdate(status=status_html("Cancelled before the first image."))
            return
        self.leases.take(owner, str(out))
        yield BatchUpdate(status=status_html(_summary(rows, count)), archive=str(out))


def cells(row: Row) -> list[str]:
    """A row of the table on the page."""
    figures = [row.identity, row.text_after]
    shown = ["" if figure is None else f"{figure:.2f}" for figure in figures]
    return [row.file, row.status, *shown, row.message]


def progress_html(done: int, count: int, failed: int, left: float | None) -> str:
    """A bar with what is done and how long the rest will take."""
    words = f"{done} of {count} images"
    if failed:
        words += f", {failed} failed"
    if left is not None and done < count:
        words += f", about {duration(left)} left"
    return (
        f'<div class="batch-status" role="status"><p>{words}</p>'
        f'<progress max="{max(count, 1)}" value="{done}" aria-label="{words}"></progress></div>'
    )


def status_html(words: str) -> str:
    """A sentence where the bar is otherwise."""
    return f'<div class="batch-status" role="status"><p>{escape(words)}</p></div>'


def _failed(rows: Sequence[Row]) -> int:
    return sum(row.status == "failed" for row in rows)


def _summary(rows: Sequence[Row], count: int) -> str:
    failed = _failed(rows)
    words = f"{len(rows) - failed} edited, {failed} failed"
    if len(rows) < count:
        return f"Cancelled after {len(rows)} of {count}: {words}. What was done is in the archive."
    return f"Done: {words}."


def lay_out_batch(
    handlers: BatchActions, domain: gr.components.Component, texts: tuple[str, str]
) -> None:
    """Place the parts of the batch screen and let them start their actions."""
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
                file_count="directory",
                label="Or a whole folder",
                height=150,
                elem_id="batch-folder",
            )
            neutral = gr.Textbox(
                texts[0], label="What they show", max_length=MAX_CHARACTERS, elem_id="batch-neutral"
            )
            target = gr.Textbox(
                texts[1],
                label="What they should show",
                max_length=MAX_CHARACTERS,
                elem_id="batch-target",
            )
            alpha = Slider(*STRENGTHS, value=1, step=0.05, label="Strength", elem_id="batch-alpha")
            kind = gr.Radio(KINDS, value="png", label="Files", elem_id="batch-kind")
            notice = gr.Checkbox(True, label="Write “AI-edited” on the images")
        with gr.Column(min_width=300):
            with gr.Row():
                start = gr.Button("Edit all", variant="primary", elem_id="batch-start")
                cancel = gr.Button("Cancel", elem_id="batch-cancel")
            status = gr.HTML(status_html("Nothing started yet."), elem_id="batch-status")
            archive = gr.File(
                label="Result: images and scores",
                interactive=False,
                height=90,
                elem_id="batch-archive",
            )
            table = gr.Dataframe(
                headers=HEADINGS,
                datatype="str",
                interactive=False,
                wrap=True,
                column_widths=WIDTHS,
                max_height=360,
                label="How each image fared",
                elem_id="batch-table",
            )
    parts = {"status": status, "table": table, "archive": archive}

    def begin(request: gr.Request) -> None:
        handlers.begin(request.session_hash or "")

    def claim(sent: list[str] | None, request: gr.Request) -> None:
        handlers.claim(request.session_hash or "", *(sent or ()))

    def stop(request: gr.Request) -> str:
        return handlers.cancel(request.session_hash or "")

    @show_errors_streaming
    def run(
        files: list[str] | None,
        folder: list[str] | None,
        neutral: str,
        target: str,
        alpha: float,
        kind: str,
        notice: bool,
        domain: str,
        request: gr.Request,
    ) -> Iterator[Any]:
        wishes = BatchControls(files, folder, neutral, target, alpha, kind, notice, domain)
        for screen in handlers.run(wishes, request.session_hash or ""):
            yield {parts[name]: value for name, value in screen.items()}

    inputs = [files, folder, neutral, target, alpha, kind, notice, domain]
    for place in (files, folder):
        place.upload(claim, place, None, queue=False, **HIDDEN)
    begun = start.click(begin, None, None, queue=False, **HIDDEN)
    begun.then(
        run,
        inputs,
        list(parts.values()),
        **HIDDEN,
        **ON_LONG,
        show_progress="minimal",
        show_progress_on=status,
    )
    cancel.click(stop, None, status, queue=False, **HIDDEN)
