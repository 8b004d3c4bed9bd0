"""Stores votes in SQLite, at most one for each visitor and item.

A vote is on disk before it is confirmed. The primary key prevents a second vote by a double click,
a second tab or a repeated request.
"""

from __future__ import annotations

import csv
import io
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tmsa_core.errors import RequestError
from tmsa_core.evaluation.preference_study.items import Item
from tmsa_core.files import safe_cell

WAIT = 30.0  # seconds that a writer waits for another writer
LONGEST_NAME = 64  # letters of a visitor's name; the page creates names of 16
_VISITOR = re.compile(rf"[A-Za-z0-9][A-Za-z0-9 _-]{{0,{LONGEST_NAME - 1}}}")
RECENT = """
SELECT count(*) FROM votes
WHERE visitor = ? AND at > strftime('%Y-%m-%dT%H:%M:%fZ', 'now', ?)
"""
TABLE = """
CREATE TABLE IF NOT EXISTS votes (
    visitor TEXT NOT NULL,
    item TEXT NOT NULL,
    prompt TEXT NOT NULL,
    shown TEXT NOT NULL,
    chosen TEXT NOT NULL,
    at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    PRIMARY KEY (visitor, item)
)
"""
COLUMNS = ("visitor", "item", "prompt", "shown", "chosen", "at")


@dataclass(frozen=True)
class Vote:
    """One vote: ``chosen`` is one of the methods ``shown``, in the order on the screen."""

    visitor: str
    item: str
    prompt: str
    shown: tuple[str, ...]
    chosen: str
    at: str


class Votes:
    """A file of votes that any number of threads and processes may use at once.

    Raises:
        RequestError: By every method: the file is damaged, cannot grow or contains something else.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._open() as connection:
            _check(path, connection)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(TABLE)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self.path, timeout=WAIT)) as connection:
                connection.execute("PRAGMA synchronous = FULL")
                with connection:
                    yield connection
        except (sqlite3.Error, OSError) as error:
            raise RequestError(
                f"{self.path} cannot hold votes ({error}): try again, or name another file."
            ) from error

    def add(self, visitor: str, item: Item, shown: Sequence[str], chosen: str) -> bool:
        """Stores a vote.

        Returns:
            False if this visitor has voted on this item before; then nothing changes.

        Raises:
            RequestError: The name of the visitor is invalid, or the choice was not shown.
        """
        check_visitor(visitor)
        if chosen not in shown:
            raise RequestError("The choice is not one of the images shown: choose again.")
        row = (visitor, item.key, item.prompt, " ".join(shown), chosen)
        with self._open() as connection:
            done = connection.execute(
                "INSERT INTO votes (visitor, item, prompt, shown, chosen) VALUES (?, ?, ?, ?, ?) "
                "ON CONFLICT DO NOTHING",
                row,
            )
            return done.rowcount == 1

    def recent(self, visitor: str, seconds: int) -> int:
        """Returns how many votes a visitor has made within the last ``seconds``."""
        with self._open() as connection:
            (count,) = connection.execute(RECENT, (visitor, f"-{seconds} seconds")).fetchone()
            return int(count)

    def items_of(self, visitor: str) -> set[str]:
        """Returns the keys of the items that a visitor has voted on."""
        with self._open() as connection:
            rows = connection.execute("SELECT item FROM votes WHERE visitor = ?", (visitor,))
            return {item for (item,) in rows}

    def all(self) -> list[Vote]:
        """Returns every vote, the oldest first."""
        with self._open() as connection:
            rows = connection.execute(f"SELECT {', '.join(COLUMNS)} FROM votes ORDER BY at, rowid")
            return [Vote(v, i, p, tuple(s.split()), c, at) for v, i, p, s, c, at in rows]

    def csv(self) -> str:
        """Returns every vote as CSV with a header."""
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(COLUMNS)
        for v in self.all():
            cells = (v.visitor, v.item, v.prompt, " ".join(v.shown), v.chosen, v.at)
            writer.writerow([safe_cell(cell) for cell in cells])
        return text.getvalue()


def check_visitor(visitor: str) -> None:
    """Raises RequestError if a visitor's name does not have the form that the page creates."""
    if not _VISITOR.fullmatch(visitor):
        raise RequestError(
            f"A visitor's name has 1 to {LONGEST_NAME} letters, digits, spaces, - and _, the first "
            "of them a letter or digit: reload the page to get one."
        )


def _check(path: Path, connection: sqlite3.Connection) -> None:
    """Raises RequestError for a database that is damaged or belongs to another program."""
    found = [row for (row,) in connection.execute("PRAGMA quick_check")]
    if found != ["ok"]:
        raise RequestError(f"{path} is damaged: use an undamaged copy, or another file.")
    tables = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    )
    names = {name for (name,) in tables}
    columns = tuple(name for _, name, *_ in connection.execute("PRAGMA table_info(votes)"))
    if names - {"votes"} or columns not in ((), COLUMNS):
        raise RequestError(f"{path} contains something other than votes: name another file.")
