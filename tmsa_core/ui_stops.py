"""Who of the visitors has long work under way, and who wants no more of it."""

from __future__ import annotations

import threading


class Stops:
    """A wish to stop for each visitor whose work waits or runs; many threads may ask."""

    def __init__(self) -> None:
        self._events: dict[str, threading.Event] = {}

    def begin(self, owner: str) -> None:
        """Before work waits for its turn: from now on it can be cancelled."""
        self._events[owner] = threading.Event()

    def of(self, owner: str) -> threading.Event:
        """What work looks at, set once it is to stop."""
        return self._events.setdefault(owner, threading.Event())

    def cancel(self, owner: str) -> bool:
        """Ask a visitor's work to stop; whether there is any."""
        event = self._events.get(owner)
        if event is not None:
            event.set()
        return event is not None

    def end(self, owner: str) -> None:
        """The work is over: there is nothing to cancel any more."""
        self._events.pop(owner, None)
