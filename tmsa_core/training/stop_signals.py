"""Ctrl-C and SIGTERM as a request to stop after the current step."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

IMPATIENT_SECONDS = 2.0  # launchers pass Ctrl-C on, so that one may arrive twice at once


@dataclass
class StopRequest:
    """Whether a signal has asked to stop, and when (seconds of ``time.monotonic``)."""

    asked: bool = False
    at: float = 0.0


@contextmanager
def stop_after_step(impatient_seconds: float = IMPATIENT_SECONDS) -> Iterator[StopRequest]:
    """Let the caller finish a step on Ctrl-C or SIGTERM, instead of interrupting it.

    Only the main thread receives signals; in another thread this context changes nothing.

    Args:
        impatient_seconds: A second signal after this time raises KeyboardInterrupt at once.

    Yields:
        The request; the caller checks ``asked`` between steps.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return

    def stop(number: int, frame: FrameType | None) -> None:
        if request.asked and time.monotonic() - request.at > impatient_seconds:
            raise KeyboardInterrupt
        request.asked, request.at = True, time.monotonic()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
