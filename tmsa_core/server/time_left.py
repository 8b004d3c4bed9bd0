"""The time that a job of several stages still takes, from the speed of its present stage."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence

WINDOW = 60.0  # seconds over which the speed is measured, so that it follows a changing network
SETTLED = 2.0  # seconds before a speed is trusted


class TimeLeft:
    """Share done and seconds left of a job.

    A stage that is resumed starts at a share above 0, so its speed is measured from its first
    report on.

    Args:
        expected: Seconds of each stage, as guessed before it has a speed of its own.
        clock: Returns the time in seconds.
    """

    def __init__(
        self, expected: Sequence[float], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._expected = list(expected)
        self._clock = clock
        self._stage = -1
        self._seen: deque[tuple[float, float]] = deque()  # (time, share) of the present stage

    def update(self, stage: int, share: float) -> tuple[float, float]:
        """Take in a report.

        Args:
            stage: Number of the present stage.
            share: Part of it that is done, from 0 to 1.

        Returns:
            The part of the whole job that is done, from 0 to 1, and the seconds left.
        """
        now = self._clock()
        if stage != self._stage:
            self._stage, self._seen = stage, deque()
        self._seen.append((now, share))
        while self._seen[0][0] < now - WINDOW:
            self._seen.popleft()
        left = (1 - share) * self._expected[stage]
        then, before = self._seen[0]
        if now - then >= SETTLED and share > before:
            left = (1 - share) * (now - then) / (share - before)
        done = sum(self._expected[:stage]) + share * self._expected[stage]
        return done / sum(self._expected), left + sum(self._expected[stage + 1 :])


def time_words(seconds: float) -> str:
    """A duration for visitors, rounded up: "less than a minute", "about 12 minutes"."""
    if seconds < 60:
        return "less than a minute"
    if seconds < 2 * 3600:
        return f"about {-(-seconds // 60):.0f} minutes"
    return f"about {seconds / 3600:.0f} hours"
