"""The same edit of many images: an archive of results and a table of scores.

``run_batch`` returns an iterator. Each step edits one image and yields its row; the caller shows
progress between the steps and stops the batch by closing the iterator.
"""

from __future__ import annotations

import csv
import io
import json
import logging
import os
import time
import traceback
import zipfile
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, astuple, dataclass, fields, replace
from pathlib import Path, PurePosixPath

from tmsa_core.datatypes import EditRequest
from tmsa_core.editing.archives import Entry, read_entries, safe_name, source_files
from tmsa_core.editing.editor import Editor
from tmsa_core.errors import RequestError, TmsaError, shortened
from tmsa_core.files import check_writable, replacing, safe_cell
from tmsa_core.imaging.images import load_image
from tmsa_core.imaging.metadata import add_watermark, encode_image
from tmsa_core.validation import check_choice, check_flag

TABLE = "scores.csv"
RECIPE = "recipe.json"
FORMATS = ("png", "jpg", "webp")
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Row:
    """The result of one image; a line of the table.

    Attributes:
        file: Path of the image in its folder or archive.
        status: "edited" or "failed".
        output: Path of the result in the archive.
        message: Why the image failed, or notes on the edit.
        identity: See ``editing.scores``, as the next three; None for a failed image.
        inversion: Identity of the inversion.
        text_before: Text match before the edit.
        text_after: Text match after the edit.
        seconds: Time that the image took.
    """

    file: str
    status: str
    output: str = ""
    message: str = ""
    identity: float | None = None
    inversion: float | None = None
    text_before: float | None = None
    text_after: float | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class BatchOptions:
    """How the images of a batch are read and written.

    Attributes:
        inversion: As in ``Editor.prepare``, as the next two.
        face: Number of the face.
        aligned: Whether the images are aligned crops.
        format: "png", "jpg" or "webp".
        notice: Whether each result carries the visible watermark.
    """

    inversion: str = "e4e"
    face: int = 0
    aligned: bool = False
    format: str = "png"
    notice: bool = False


def check_output(out: Path, sources: Iterable[Path]) -> None:
    """Check that the archive of results can be written and is not a file that the batch reads.

    Raises:
        RequestError: It cannot, or it is such a file under whatever name, also by a link.
    """
    if out.exists() and any(os.path.samefile(source, out) for source in source_files(sources)):
        raise RequestError(
            f"{shortened(out.name)} is one of the files to edit: give another name for the archive "
            "of results, or another folder."
        )
    check_writable(out)


def run_batch(
    editor: Editor,
    sources: Iterable[Path],
    requests: Sequence[EditRequest],
    out: Path,
    options: BatchOptions | None = None,
) -> Generator[Row]:
    """Edit every image of ``sources`` into a ZIP archive.

    An image that cannot be edited becomes a failed row and the batch continues. When the iterator
    ends or is closed, the archive replaces ``out`` with the results so far, ``scores.csv`` and
    ``recipe.json``. If the process is killed or the disk is full, ``out`` stays unchanged.

    Args:
        editor: Edits the images.
        sources: Files, folders and ZIP archives.
        requests: The edits, applied together to each image.
        out: The archive to write.
        options: How the images are read and written.

    Returns:
        An iterator that yields a row after each image.

    Raises:
        RequestError: At once: there is nothing to edit or ``out`` cannot be written. From the
            iterator: the disk is full.
        StrengthError: At once: an alpha cannot be used.
        TextError: At once: a prompt cannot be used.
    """
    options = options or BatchOptions()
    check_choice(options.format, FORMATS, "format")
    check_flag(options.aligned, "aligned")
    check_flag(options.notice, "notice")
    editor.check_inversion(options.inversion)
    editor.total_shift(requests)  # invalid edits are invalid for every image
    sources = list(sources)
    check_output(out, sources)
    return _run(editor, read_entries(sources), requests, out, options)


def _run(
    editor: Editor,
    entries: Iterator[Entry],
    requests: Sequence[EditRequest],
    out: Path,
    options: BatchOptions,
) -> Generator[Row]:
    rows: list[Row] = []
    taken: set[str] = set()
    # Images are compressed already, so the archive only stores them.
    with replacing(out) as file, zipfile.ZipFile(file, "w") as archive:
        with suppress(GeneratorExit):  # closed by the caller: results so far are kept
            for entry in entries:
                output = _output_name(entry.name, options.format, taken)
                row, image = _try_to_edit(editor, entry, requests, options, output)
                if image is not None:
                    archive.writestr(output, image)
                rows.append(row)
                yield row
        archive.writestr(TABLE, table(rows), zipfile.ZIP_DEFLATED)
        recipe = editor.recipe(requests) | {"options": asdict(options)}
        archive.writestr(RECIPE, json.dumps(recipe, indent=2, default=str), zipfile.ZIP_DEFLATED)


def _try_to_edit(
    editor: Editor,
    entry: Entry,
    requests: Sequence[EditRequest],
    options: BatchOptions,
    output: str,
) -> tuple[Row, bytes | None]:
    """The row of an image and its result; None instead of the result if the edit failed."""
    start = time.perf_counter()
    image = None
    try:
        row, image = _edit_one(editor, entry, requests, options, output)
    except TmsaError as error:
        row = Row(entry.name, "failed", message=str(error))
    except Exception as error:
        kind = type(error).__name__
        # The error's own text may hold a user's prompt or file name, which no log keeps.
        place = traceback.extract_tb(error.__traceback__)[-1]
        _LOG.error("an image of a batch failed: %s in %s:%s", kind, place.filename, place.lineno)
        advice = "open the image in another program, save it as PNG, and try again."
        row = Row(
            entry.name, "failed", message=f"An unexpected error stopped it ({kind}): {advice}"
        )
    return replace(row, seconds=round(time.perf_counter() - start, 3)), image


def _edit_one(
    editor: Editor,
    entry: Entry,
    requests: Sequence[EditRequest],
    options: BatchOptions,
    output: str,
) -> tuple[Row, bytes]:
    if isinstance(entry.content, TmsaError):
        raise entry.content
    photo = load_image(entry.content)
    prepared = editor.prepare(photo, options.inversion, options.face, aligned=options.aligned)
    result = editor.edit(prepared, requests)
    scores = editor.scores(prepared, result)
    image = add_watermark(result.image) if options.notice else result.image
    recipe = editor.recipe(requests, options.inversion)
    encoded = encode_image(image, recipe, suffix=f".{options.format}")
    notes = list(result.notes)
    if len(prepared.faces) > 1:
        notes.append(f"{len(prepared.faces)} faces were found; number {options.face} is edited.")
    row = Row(
        entry.name, "edited", output, " ".join(notes), scores.identity, scores.inversion,
        scores.text_before, scores.text,
    )  # fmt: skip
    return row, encoded


def table(rows: Sequence[Row]) -> str:
    """The rows as CSV with a header; no cell can run as a spreadsheet's formula."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(field.name for field in fields(Row))
    for row in rows:
        cells = (f"{v:.4f}" if isinstance(v, float) else safe_cell(v) for v in astuple(row))
        writer.writerow(cells)
    return buffer.getvalue()


def _output_name(name: str, suffix: str, taken: set[str]) -> str:
    """The path of a result in the archive: that of the image, numbered if it is taken."""
    stem = str(PurePosixPath(safe_name(name)).with_suffix(""))
    candidate, count = f"{stem}.{suffix}", 1
    while candidate.lower() in taken:
        count += 1
        candidate = f"{stem}-{count}.{suffix}"
    taken.add(candidate.lower())
    return candidate
