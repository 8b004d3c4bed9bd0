"""Files of JSON lines that a command appends to and goes on with after it was killed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tmsa_core.errors import RequestError


@dataclass(frozen=True)
class Lines:
    """What tells the lines of one command from those of others.

    first: the field that every line begins with, which also tells a half-written one from something
    else. fields: those that every line has. name: what they are, for the sentence that refuses
    others.
    """

    first: str
    fields: frozenset[str]
    name: str

    def read(self, path: Path) -> list[dict[str, Any]]:
        """The lines of a file but for a half-written last one; none if it is not there.

        The file stays as it is. Raises RequestError for a file of anything else.
        """
        if not path.exists():
            return []
        whole, _, half = path.read_bytes().rpartition(b"\n")
        try:
            rows = [json.loads(line) for line in whole.decode().splitlines()]
        except (ValueError, RecursionError):
            rows = [None]
        ours = all(isinstance(row, dict) and self.fields <= row.keys() for row in rows)
        beginning = f'{{"{self.first}": '.encode()
        if not ours or not (half.startswith(beginning) or beginning.startswith(half)):
            raise RequestError(f"{path} holds no {self.name}: name another file.")
        return rows


def cut_half_line(path: Path) -> None:
    """Take away what a killed run left of its last line."""
    if path.exists():
        text = path.read_bytes()
        with path.open("r+b") as file:
            file.truncate(text.rfind(b"\n") + 1)
