"""Gradio's queue, in which calls come first whose caller listens for the answer."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gradio.context import LocalContext
from gradio.queueing import Event, Queue

from tmsa_core.errors import RequestError
from tmsa_core.server import limits
from tmsa_core.server.call_files import named_files


def is_awaited() -> bool:
    """Whether somebody still waits for the call that this thread runs."""
    blocks, event_id = LocalContext.blocks.get(None), LocalContext.event_id.get(None)
    event = blocks._queue.event_ids_to_events.get(event_id) if blocks and event_id else None
    return event is None or event.alive


class FairQueue(Queue):
    """A queue that knows which sessions listen for answers.

    Gradio drops the calls of a client that stops listening. It does not notice a client that
    vanishes before it began to listen. Such calls come last here, and are dropped after
    ``limits.KEEP_UNHEARD`` seconds.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._listeners: Counter[str] = Counter()

    @classmethod
    def like(cls, queue: Queue) -> FairQueue:
        """A new queue with the settings of another."""
        return cls(
            live_updates=queue.live_updates,
            concurrency_count=queue.max_thread_count,
            update_intervals=queue.update_intervals,
            max_size=queue.max_size,
            blocks=queue.blocks,
            default_concurrency_limit=queue.default_concurrency_limit,
        )

    @contextmanager
    def listening(self, session: str) -> Iterator[None]:
        """Count a listener for the answers of a session."""
        self._listeners[session] += 1
        try:
            yield
        finally:
            self._listeners[session] -= 1
            if not self._listeners[session]:
                del self._listeners[session]

    def is_heard(self, session: str) -> bool:
        """Whether somebody listens for the answers of a session."""
        return session in self._listeners

    def session_of(self, event_id: str) -> str:
        """Return the session of a call, also of an ended one; its id where it has no session."""
        event = self.event_ids_to_events.get(event_id)
        if event is not None:
            return event.session_hash
        pending = self.pending_event_ids_session.items()
        return next((session for session, ids in pending if event_id in ids), event_id)

    def get_events(self) -> tuple[list[Event], bool, str] | None:
        """Return the calls to run next: first those with a listener, then by arrival."""
        for waiting in self.event_queue_per_concurrency_id.values():
            waiting.queue.sort(
                key=lambda event: (not self.is_heard(event.session_hash), event.enqueue_time)
            )
        return super().get_events()

    def files(self) -> set[str]:
        """Return the paths that waiting and running calls name."""
        active = [event for events in self.active_jobs for event in events or ()]
        found: set[str] = set()
        for event in [*self._waiting(), *active]:
            try:
                found.update(named_files(event.fn.inputs, event.data.data if event.data else []))
            except RequestError:  # the call will get this error when it runs
                continue
        return found

    async def drop_unheard(self) -> None:
        """Drop calls that have had no listener for ``limits.KEEP_UNHEARD`` seconds."""
        now = time.monotonic()
        for event in self._waiting():
            if (
                not self.is_heard(event.session_hash)
                and now - event.enqueue_time > limits.KEEP_UNHEARD
            ):
                await self.clean_events(event_id=event._id)
                self.pending_event_ids_session.pop(event.session_hash, None)
                self.pending_messages_per_session.pop(event.session_hash, None)

    def _waiting(self) -> list[Event]:
        queues = self.event_queue_per_concurrency_id.values()
        return [event for waiting in queues for event in waiting.queue]
