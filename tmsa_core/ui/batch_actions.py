"""Actions of the Batch tab: edit many images, show the progress, and pack the results."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from tmsa_core.availability import first_inversion
from tmsa_core.datatypes import EditRequest
from tmsa_core.editing.archives import count_entries
from tmsa_core.editing.batch import BatchOptions, Row, run_batch
from tmsa_core.errors import TmsaError
from tmsa_core.server.editors import Editors
from tmsa_core.server.file_leases import Leases
from tmsa_core.server.jobs import CancellationFlags
from tmsa_core.ui.strings import duration
from tmsa_core.ui.templates import render


class BatchUpdate(TypedDict, total=False):
    """New values of the Batch tab's outputs after a step."""

    status: str
    table: list[list[str]]
    archive: str | None


@dataclass(frozen=True)
class BatchControls:
    """Values of the Batch tab's controls.

    Attributes:
        files: Uploaded images and ZIP archives.
        folder: The files of an uploaded folder.
        neutral_text: Text that describes the images.
        target_text: Text that describes the results.
        alpha: Strength of the edit.
        kind: Format of the results: "png", "jpg" or "webp".
        watermark: Whether to write “AI-edited” on the results.
        domain: Key of the domain; "" is the first one.
    """

    files: Sequence[str] | None
    folder: Sequence[str] | None
    neutral_text: str
    target_text: str
    alpha: float
    kind: str = "png"
    watermark: bool = True
    domain: str = ""

    @property
    def paths(self) -> list[Path]:
        """All uploaded files."""
        return [Path(path) for path in (*(self.files or ()), *(self.folder or ()))]


class BatchActions:
    """The actions of the Batch tab; it stores only which sessions cancelled their batch."""

    def __init__(self, editors: Editors, leases: Leases) -> None:
        self.editors = editors
        self.leases = leases
        self._cancelled = CancellationFlags()

    def begin(self, owner: str) -> None:
        """Make a session's batch cancellable, before it waits for its turn."""
        self._cancelled.begin(owner)

    def cancel(self, owner: str) -> str:
        """Stop a session's batch after the current image; return the status as HTML."""
        running = self._cancelled.cancel(owner)
        message = "Stopping after this image ..." if running else "There is no batch to cancel."
        return status_html(message)

    def claim(self, owner: str, *paths: str) -> None:
        """Delete uploads when their visitor leaves, even if no batch reads them."""
        self.leases.take(owner, *paths)

    def run(self, controls: BatchControls, owner: str = "") -> Iterator[BatchUpdate]:
        """Edit the images for a session.

        Yields:
            An update after each image, and at the end the archive, also of a cancelled batch.

        Raises:
            TmsaError: The batch cannot begin; an update with the reason comes first.
        """
        try:
            self.leases.take(owner, *map(str, controls.paths))
            yield from self._run(controls, owner)
        except TmsaError as error:
            yield BatchUpdate(status=status_html(str(error)), table=[], archive=None)
            raise
        finally:
            self._cancelled.end(owner)

    def _run(self, controls: BatchControls, owner: str) -> Iterator[BatchUpdate]:
        cancelled = self._cancelled.of(owner)
        out = self.leases.new_folder() / "edited.zip"
        editor = self.editors.get(controls.domain)
        request = EditRequest(
            controls.neutral_text or "", controls.target_text or "", controls.alpha
        )
        inversion = first_inversion(editor.bundle)
        options = BatchOptions(inversion, format=controls.kind, notice=controls.watermark)
        work = run_batch(editor, controls.paths, [request], out, options)
        count = count_entries(controls.paths)
        yield BatchUpdate(status=progress_html([], count), table=[], archive=None)

        rows: list[Row] = []
        start = time.monotonic()
        with closing(work):  # which writes the archive, also of a cancelled batch
            while not cancelled.is_set() and (row := next(work, None)) is not None:
                rows.append(row)
                left = (time.monotonic() - start) / len(rows) * (count - len(rows))
                yield BatchUpdate(
                    status=progress_html(rows, count, left),
                    table=[table_cells(row) for row in rows],
                )
        if not rows:
            yield BatchUpdate(status=status_html("Cancelled before the first image."))
            return
        self.leases.take(owner, str(out))
        yield BatchUpdate(status=status_html(_summary(rows, count)), archive=str(out))


def table_cells(row: Row) -> list[str]:
    """Return an image's row of the table on the page."""
    scores = ["" if score is None else f"{score:.2f}" for score in (row.identity, row.text_after)]
    return [row.file, row.status, *scores, row.message]


def progress_html(rows: Sequence[Row], count: int, left: float = 0.0) -> str:
    """Show the progress of ``count`` images; left: estimated seconds, 0 if unknown."""
    message = f"{len(rows)} of {count} images"
    if failed := _count_failed(rows):
        message += f", {failed} failed"
    if left > 0:
        message += f", about {duration(left)} left"
    return render("batch_status.html", message=message, count=max(count, 1), done=len(rows))


def status_html(message: str) -> str:
    """Show a sentence in the place of the progress bar."""
    return render("batch_status.html", message=message, count=0)


def _count_failed(rows: Sequence[Row]) -> int:
    return sum(row.status == "failed" for row in rows)


def _summary(rows: Sequence[Row], count: int) -> str:
    failed = _count_failed(rows)
    result = f"{len(rows) - failed} edited, {failed} failed"
    if len(rows) < count:
        return f"Cancelled after {len(rows)} of {count}: {result}. The archive holds these images."
    return f"Done: {result}."
