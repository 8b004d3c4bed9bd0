"""The callback through which long work reports its progress."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """A function that long work calls while it runs."""

    def __call__(self, done: int, total: int, message: str) -> None:
        """Receive one report.

        Args:
            done: Finished units of work, such as bytes or steps.
            total: All units of the work; 0 for a message without progress.
            message: What is being done or was found, without a full stop.
        """


def no_progress(done: int, total: int, message: str) -> None:
    """Ignore all reports."""


def print_progress(done: int, total: int, message: str) -> None:
    """Print every hundredth report and the last, and every message without progress."""
    if total == 0:
        print(message)
    elif done % 100 == 0 or done == total:
        print(f"{message}: {done} of {total}")
