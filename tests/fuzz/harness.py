"""Running generated cases: what counts as a fault, how long each may take, what is printed."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Protocol

from tmsa_core.errors import TmsaError

MOST_SECONDS = 10.0  # of an answer, on a machine that edits in REFERENCE
REFERENCE = 1.0  # seconds of the reference edit on a free machine, generously
MOST_GROWTH = 100 << 20  # bytes that a process keeps after its warm-up
MOST_AT_ONCE = 500 << 20  # bytes that one case may need beyond what it found
MAX_CHARACTERS = 1000  # of what a user is told
GIVE_UP = 2.0  # times the limit: then nobody waits any longer
MOST_SHOWN = 160  # letters of a label
EVERY = 25  # cases between two reference edits


class Fault(Exception):
    """Raised by a case that has itself seen what is wrong."""


@dataclass(frozen=True)
class Case:
    """One generated call. label: what it calls, in short. start: seconds that do not count."""

    label: str
    call: Callable[[], None]
    start: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """How a case went. fault: what is wrong, "" where nothing is; alike for alike causes."""

    label: str
    fault: str
    seconds: float


class Runner(Protocol):
    """What runs the cases of a family."""

    def reference(self) -> float:
        """Seconds that a plain edit takes now."""

    def run(self, index: int, limit: float) -> Outcome:
        """Generate the case of this number and run it; give up after ``GIVE_UP * limit``."""


@dataclass
class Pace:
    """The time limit of an answer, longer while a plain edit is slower than it should be."""

    recent: list[float] = field(default_factory=list)

    def note(self, seconds: float) -> None:
        """Take in what a reference edit took."""
        self.recent = [*self.recent, seconds][-3:]

    @property
    def limit(self) -> float:
        """Seconds that an answer may take now."""
        return MOST_SECONDS * max(1.0, *(seconds / REFERENCE for seconds in self.recent), 0.0)


@dataclass
class Report:
    """What became of the cases of one family."""

    family: str
    count: int = 0
    seconds: float = 0.0
    slowest: tuple[float, int] = (0.0, 0)
    faults: dict[str, list[tuple[int, str]]] = field(default_factory=dict)

    def add(self, index: int, outcome: Outcome) -> None:
        """Take in a case's outcome."""
        self.count += 1
        self.seconds += outcome.seconds
        self.slowest = max(self.slowest, (outcome.seconds, index))
        if outcome.fault:
            self.faults.setdefault(outcome.fault, []).append((index, outcome.label))

    @property
    def failed(self) -> int:
        """How many cases were at fault."""
        return sum(map(len, self.faults.values()))

    def lines(self, seed: int) -> Iterator[str]:
        """The summary, then each distinct fault with the first case that shows it."""
        slowest, index = self.slowest
        yield (
            f"{self.family}: {self.count} cases, {self.failed} failed in {len(self.faults)} ways, "
            f"slowest {slowest:.1f} s ({self.family}:{index})"
        )
        for fault, cases in sorted(self.faults.items(), key=lambda item: -len(item[1])):
            first, label = cases[0][0], cases[0][1][:MOST_SHOWN]
            again = f"--seed {seed} --only {self.family}:{first}"
            yield f"  {len(cases)} x {fault}\n      {again}   {label}"


def random_of(seed: int, family: str, index: int) -> Random:
    """The source of all that is random in one case."""
    return Random(f"{seed}:{family}:{index}")


def run_cases(runner: Runner, family: str, indices: Iterable[int], seconds: float) -> Report:
    """Run cases one after another until the time is over."""
    report, pace, end = Report(family), Pace(), time.monotonic() + seconds
    for index in indices:
        if time.monotonic() > end:
            break
        if report.count % EVERY == 0:
            pace.note(runner.reference())
        outcome = runner.run(index, pace.limit)
        if outcome.seconds > pace.limit and not outcome.fault:
            pace.note(runner.reference())  # was it the case, or the machine?
            again = runner.run(index, pace.limit)
            fault = f"slow: {_kind(outcome.label)}" if again.seconds > pace.limit else again.fault
            outcome = Outcome(again.label, fault, again.seconds)
        report.add(index, outcome)
    return report


def _kind(label: str) -> str:
    return label.partition(" ")[0].partition("(")[0]


def fault_of_call(call: Callable[[], None]) -> str:
    """What is wrong with how a call ended: any exception that is not one clear sentence."""
    try:
        call()
    except TmsaError as error:
        return fault_of_sentence(str(error))
    except Fault as fault:
        return str(fault)
    except Exception as error:
        return f"{type(error).__name__} at {_place(error)}"
    return ""


def fault_of_sentence(sentence: str) -> str:
    """What is wrong with what a user is told."""
    if not sentence.strip():
        return "an error without a sentence"
    if len(sentence) > MAX_CHARACTERS:
        start = " ".join(sentence[:40].split())
        return f"a message of more than {MAX_CHARACTERS} letters: {start} ..."
    return ""


def _place(error: BaseException) -> str:
    """Where an exception arose: the innermost function of this project."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "tmsa_core" in frame.filename] or frames
    return f"{Path(own[-1].filename).name}, {own[-1].name}"


@dataclass(frozen=True)
class Memory:
    """The memory of a process, as Linux tells it; 0 elsewhere."""

    pid: int

    def resident(self) -> int:
        """Bytes in memory now."""
        return self._field("VmRSS")

    def peak(self) -> int:
        """The most bytes in memory since ``forget_peak``."""
        return self._field("VmHWM")

    def forget_peak(self) -> None:
        """Count the peak anew."""
        path = Path(f"/proc/{self.pid}/clear_refs")
        if path.exists():
            path.write_text("5")

    def _field(self, name: str) -> int:
        path = Path(f"/proc/{self.pid}/status")
        lines = path.read_text().splitlines() if path.exists() else []
        return sum(int(line.split()[1]) << 10 for line in lines if line.startswith(name))


def fault_of_memory(before: int, peak: int) -> str:
    """What is wrong with what a case needed for a moment."""
    return "more than 500 MB needed by one case" if peak - before > MOST_AT_ONCE else ""


def fault_of_growth(before: int, after: int) -> str:
    """What is wrong with what a process has kept of many cases."""
    return f"memory grew by {(after - before) >> 20} MB" if after - before > MOST_GROWTH else ""
