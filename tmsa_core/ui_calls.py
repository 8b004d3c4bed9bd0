"""Files of HTTP calls: what was sent goes soon after the answer, what was answered a little later,
and what nobody asks to use, not at all long after it was sent.

A page's files go when its visitor leaves (``Leases``); a script says nothing when it is done. So
every call leases its files, and gives them back after a while in which nobody else used them.
"""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tmsa_core.ui_files import Leases

KEEP_SENT = 30.0  # seconds: another call with the same picture may wait in the queue
KEEP_ANSWERED = 600.0  # seconds to fetch the result
KEEP_UNUSED = 600.0  # seconds: what was sent is to be used by a call, or by a page


@dataclass(order=True, frozen=True)
class Due:
    """Files of one call, to be given back at a time of ``time.monotonic``, in order of it."""

    when: float
    owner: str
    paths: tuple[str, ...] = field(compare=False)
    keep: float = field(compare=False)


class Calls:
    """Leases the files of calls, and gives them back in a thread that lives while some are due."""

    def __init__(self, leases: Leases) -> None:
        self._leases = leases
        self._numbers = itertools.count()
        self._due: list[Due] = []
        self._changed = threading.Condition()
        self._running = False

    @contextmanager
    def using(self, *paths: str) -> Iterator[None]:
        """Keep the files that a call was sent until a while after it has ended, well or not."""
        owner = self._owner()
        self._leases.take(owner, *paths)
        try:
            yield
        finally:
            self._give_back(owner, paths, KEEP_SENT)

    def answer(self, *paths: str) -> None:
        """Keep the files of a result until they will have been fetched."""
        owner = self._owner()
        self._leases.take(owner, *paths)
        self._give_back(owner, paths, KEEP_ANSWERED)

    def expect(self, *paths: str) -> None:
        """Files have been sent: what nobody has come to use after a while goes."""
        self._give_back(self._owner(), paths, KEEP_UNUSED)

    def _owner(self) -> str:
        return f"call {next(self._numbers)}"

    def _give_back(self, owner: str, paths: tuple[str, ...], keep: float) -> None:
        with self._changed:
            heapq.heappush(self._due, Due(time.monotonic() + keep, owner, paths, keep))
            self._changed.notify()
            if not self._running:
                self._running = True
                threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        with self._changed:
            while self._due:
                left = self._due[0].when - time.monotonic()
                if left > 0:
                    self._changed.wait(left)
                    continue
                due = heapq.heappop(self._due)
                # Sent again in the meantime: that call may not have come to use it yet.
                since = min(map(_age, due.paths), default=due.keep)
                if since < due.keep:
                    later = time.monotonic() + due.keep - since
                    heapq.heappush(self._due, Due(later, due.owner, due.paths, due.keep))
                else:
                    self._leases.take(due.owner, *due.paths)  # not yet, of those only expected
                    self._leases.leave(due.owner)
            self._running = False


class Uploads(set[str]):
    """What has been sent, as Gradio notes it; each file is expected to be used."""

    def __init__(self, calls: Calls) -> None:
        super().__init__()
        self._calls = calls

    def update(self, *others: Iterable[str]) -> None:
        """Note the paths of files that have just been sent."""
        paths = [path for other in others for path in other]
        super().update(paths)
        self._calls.expect(*paths)


def _age(path: str) -> float:
    """Seconds since a file was written; much where it is gone."""
    try:
        return time.time() - Path(path).stat().st_mtime
    except OSError:
        return float("inf")
