"""The same edit of many images: an archive of results and a table of scores.

``run_batch`` is an iterator. Each step edits one image and says how it went; whoever drives it
shows progress between the steps, and stops the work by no longer asking for the next one.
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
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path, PurePosixPath

from tmsa_core.datatypes import EditRequest
from tmsa_core.editing.archives import Entry, read_entries, safe_name, source_files
from tmsa_core.editing.editor import Editor
from tmsa_core.errors import RequestError, TmsaError
from tmsa_core.files import check_writable, replacing, safe_cell
from tmsa_core.imaging.images import load_image
from tmsa_core.imaging.metadata import add_watermark, encode_image

TABLE = "scores.csv"
RECIPE = "recipe.json"
FORMATS = ("png", "jpg", "webp")
RETRY = "open the image in another program, save it as PNG, and try again."
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Row:
    """How one image fared; a line of the table.

    status: "edited" or "failed". message: why it failed, or what to know. The scores are those
    of ``tmsa_core.editing.scores``, None for a failed image.
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
    """inversion, face, aligned: as in ``Editor.prepare``. format: png, jpg or webp. notice:
    whether a visible line on each image says that it is edited."""

    inversion: str = "e4e"
    face: int = 0
    aligned: bool = False
    format: str = "png"
    notice: bool = False


def check_output(out: Path, sources: Iterable[Path]) -> None:
    """Raise RequestError where ``out`` cannot be written or is a file that the batch reads.

    Files are compared by what they are on disk, so that links and other spellings of a name count.
    """
    if out.exists():
        for source in source_files(sources):
            if os.path.samefile(source, out):
                raise RequestError(
                    f"{out.name[:60]} is one of the files to edit: give another name for the "
                    "archive of results, or another folder."
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

    An image that cannot be edited becomes a failed row and the work goes on. The archive is
    written aside; when the iterator ends or is closed, it takes its place at ``out`` with what was
    done until then: the images, ``scores.csv`` and ``recipe.json``. Where the process is killed
    or the disk is full, ``out`` stays what it was.

    Args:
        editor: Edits the images.
        sources: Files, folders and ZIP archives.
        requests: The edits, applied together to each image.
        out: The archive to write.
        options: How the images are read and written.

    Returns:
        An iterator with a row after each image.

    Raises:
        RequestError: Before the first image, where there is nothing to edit or no place to write;
            from the iterator, where the disk is full.
        StrengthError, TextError: Before the first image, where the edits are wrong.
    """
    options = options or BatchOptions()
    if options.format not in FORMATS:
        raise RequestError(f"format is {options.format[:60]!r}; use one of {', '.join(FORMATS)}.")
    editor.total_shift(requests)  # what is wrong with the edits is so for every image
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
    with replacing(out) as file, zipfile.ZipFile(file, "w") as archive:  # images are compressed
        with suppress(GeneratorExit):  # closed by the caller: what was done is kept
            for entry in entries:
                output = _output_name(entry.name, options.format, taken)
                row, image = _try_to_edit(editor, entry, requests, options, output)
                if image is not None:
                    archive.writestr(output, image)
                rows.append(row)
                yield row
        archive.writestr(TABLE, table(rows), zipfile.ZIP_DEFLATED)
        recipe = editor.recipe(requests) | {"options": asdict(options)}
        archive.writestr(RECIPE, json.dumps(recipe, indent=2), zipfile.ZIP_DEFLATED)


def _try_to_edit(
    editor: Editor,
    entry: Entry,
    requests: Sequence[EditRequest],
    options: BatchOptions,
    output: str,
) -> tuple[Row, bytes | None]:
    """The row of an image and its file; no file where editing failed, for whatever reason."""
    start = time.perf_counter()
    image = None
    try:
        row, image = _edit_one(editor, entry, requests, options, output)
    except TmsaError as error:
        row = Row(entry.name, "failed", message=str(error))
    except Exception as error:
        kind = type(error).__name__
        # The error's own words may hold a visitor's text or file name, which no log keeps.
        place = traceback.extract_tb(error.__traceback__)[-1]
        _LOG.error("an image of a batch failed: %s in %s:%s", kind, place.filename, place.lineno)
        row = Row(entry.name, "failed", message=f"An unexpected error stopped it ({kind}): {RETRY}")
    seconds = round(time.perf_counter() - start, 3)
    return replace(row, seconds=seconds), image


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
    """The rows as CSV with a heading; a spreadsheet takes no cell of it for a formula."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    names = [field.name for field in fields(Row)]
    writer.writerow(names)
    for row in rows:
        writer.writerow([_cell(getattr(row, name)) for name in names])
    return buffer.getvalue()


def _cell(value: object) -> object:
    return f"{value:.4f}" if isinstance(value, float) else safe_cell(value)


def _output_name(name: str, suffix: str, taken: set[str]) -> str:
    """Where the result lies in the archive: the image's own path, once only."""
    stem = str(PurePosixPath(safe_name(name)).with_suffix(""))
    candidate, count = f"{stem}.{suffix}", 1
    while candidate.lower() in taken:
        count += 1
        candidate = f"{stem}-{count}.{suffix}"
    taken.add(candidate.lower())
    return candidate
