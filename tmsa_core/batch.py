"""The same edit of many pictures: an archive of results and a table of scores.

``run_batch`` is an iterator. Each step edits one picture and says how it went; whoever drives it
shows progress between the steps, and stops the work by no longer asking for the next one.
"""

from __future__ import annotations

import csv
import io
import json
import time
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path, PurePosixPath

from tmsa_core.archives import Entry, harmless, read_entries
from tmsa_core.datatypes import EditRequest
from tmsa_core.editor import Editor
from tmsa_core.errors import RequestError, TmsaError
from tmsa_core.images import load_image
from tmsa_core.metadata import encode_picture
from tmsa_core.notice import add_notice

TABLE = "scores.csv"
RECIPE = "recipe.json"
FORMATS = ("png", "jpg", "webp")


@dataclass(frozen=True)
class Row:
    """How one picture fared; a line of the table.

    status: "edited" or "failed". message: why it failed, or what to know. The scores are those
    of ``tmsa_core.scores``, None for a failed picture.
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
    whether a visible line on each picture says that it is edited."""

    inversion: str = "e4e"
    face: int = 0
    aligned: bool = False
    format: str = "png"
    notice: bool = False


def run_batch(
    editor: Editor,
    sources: Iterable[Path],
    requests: Sequence[EditRequest],
    out: Path,
    options: BatchOptions | None = None,
) -> Iterator[Row]:
    """Edit every picture of ``sources`` (files, folders, ZIPs) into the ZIP archive ``out``.

    Yields a row after each picture. A picture that cannot be edited becomes a failed row and the
    work goes on. When the iterator ends or is closed, the archive is complete with what was done:
    the pictures, ``scores.csv`` and ``recipe.json``. Raises RequestError, StrengthError or
    TextError before the first picture where nothing could be edited at all.
    """
    options = options or BatchOptions()
    if options.format not in FORMATS:
        raise RequestError(f"format is {options.format!r}; use one of {', '.join(FORMATS)}.")
    editor.total_shift(requests)  # what is wrong with the edits is so for every picture
    entries = read_entries(sources)
    first = next(entries)
    return _run(editor, _chain(first, entries), requests, out, options)


def _run(
    editor: Editor,
    entries: Iterator[Entry],
    requests: Sequence[EditRequest],
    out: Path,
    options: BatchOptions,
) -> Iterator[Row]:
    rows: list[Row] = []
    taken: set[str] = set()
    with zipfile.ZipFile(out, "w") as archive:  # pictures are compressed already
        try:
            for entry in entries:
                start = time.perf_counter()
                output = _output_name(entry.name, options.format, taken)
                try:
                    row, picture = _edit_one(editor, entry, requests, options, output)
                    archive.writestr(output, picture)
                except TmsaError as error:
                    row = Row(entry.name, "failed", message=str(error))
                seconds = round(time.perf_counter() - start, 3)
                rows.append(Row(**(asdict(row) | {"seconds": seconds})))
                yield rows[-1]
        finally:
            archive.writestr(TABLE, table(rows), zipfile.ZIP_DEFLATED)
            recipe = editor.recipe(requests) | {"options": asdict(options)}
            archive.writestr(RECIPE, json.dumps(recipe, indent=2), zipfile.ZIP_DEFLATED)


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
    image = add_notice(result.image) if options.notice else result.image
    recipe = editor.recipe(requests, options.inversion)
    picture = encode_picture(image, recipe, suffix=f".{options.format}")
    notes = list(result.notes)
    if len(prepared.faces) > 1:
        notes.append(f"{len(prepared.faces)} faces were found; number {options.face} is edited.")
    row = Row(
        entry.name, "edited", output, " ".join(notes), scores.identity, scores.inversion,
        scores.text_before, scores.text,
    )  # fmt: skip
    return row, picture


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
    if isinstance(value, float):
        return f"{value:.4f}"
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return "'" + value
    return value


def _output_name(name: str, suffix: str, taken: set[str]) -> str:
    """Where the result lies in the archive: the picture's own path, once only."""
    stem = str(PurePosixPath(harmless(name)).with_suffix(""))
    candidate, count = f"{stem}.{suffix}", 1
    while candidate.lower() in taken:
        count += 1
        candidate = f"{stem}-{count}.{suffix}"
    taken.add(candidate.lower())
    return candidate


def _chain(first: Entry, rest: Iterator[Entry]) -> Iterator[Entry]:
    yield first
    yield from rest
