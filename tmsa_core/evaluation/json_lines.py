"""Result files of JSON lines: a command appends to them, and resumes after it was stopped."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tmsa_core.errors import RequestError

Row = dict[str, Any]
DIGITS = 5  # decimal places of numbers in the files


@dataclass(frozen=True)
class RowKind:
    """Describes the rows of one command, so that other files are recognised and refused.

    Attributes:
        first: The first field of every row; identifies an incomplete last line.
        fields: The fields that every row has.
        name: A name for the rows, used in the error message.
    """

    first: str
    fields: frozenset[str]
    name: str

    def read(self, path: Path) -> list[Row]:
        """Returns the complete rows of a file, or none if the file does not exist.

        Raises:
            RequestError: The file contains something else.
        """
        if not path.exists():
            return []
        whole, _, rest = path.read_bytes().rpartition(b"\n")
        try:
            rows = [json.loads(line) for line in whole.decode().splitlines()]
        except (ValueError, RecursionError):
            rows = [None]
        ours = all(isinstance(row, dict) and self.fields <= row.keys() for row in rows)
        beginning = f'{{"{self.first}": '.encode()
        if not ours or not (rest.startswith(beginning) or beginning.startswith(rest)):
            raise RequestError(f"{path} does not contain {self.name}: name another file.")
        return rows


class RowLog:
    """The rows of one run in a file that may also contain other runs.

    Attributes:
        rows: The rows of this run, from the file and added since.
    """

    def __init__(self, path: Path, kind: RowKind, run: Row) -> None:
        """Reads a file and removes an incomplete last line, which a stopped run leaves behind.

        Args:
            path: The file; created with its folder when the first row is added.
            kind: The kind of its rows. ``kind.first`` is the first key of ``run``.
            run: Fields that identify the run; every added row gets them.

        Raises:
            RequestError: The file contains something else.
        """
        self.path, self.run = path, run
        self.rows = [row for row in kind.read(path) if run.items() <= row.items()]
        if path.exists():
            with path.open("r+b") as file:
                file.truncate(path.read_bytes().rfind(b"\n") + 1)

    def add(self, rows: Iterable[Row]) -> None:
        """Appends rows to the file at once."""
        full = [{k: _rounded(v) for k, v in (self.run | row).items()} for row in rows]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in full)
        self.rows += full

    def find(self, **fields: object) -> list[Row]:
        """Returns the rows that have these fields."""
        return [row for row in self.rows if fields.items() <= row.items()]


def _rounded(value: object) -> object:
    """Rounds a float; None stands for "not a number", which JSON does not have."""
    if not isinstance(value, float):
        return value
    return None if math.isnan(value) else round(value, DIGITS)
