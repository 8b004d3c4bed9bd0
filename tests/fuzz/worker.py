"""A process of its own for calls of Python functions and commands: it may hang, die or overflow."""

from __future__ import annotations

import multiprocessing
import os
import resource
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from tests.fuzz.harness import (
    GIVE_UP,
    Case,
    Memory,
    Outcome,
    fault_of_call,
    fault_of_growth,
    fault_of_memory,
    random_of,
)

if TYPE_CHECKING:
    from PIL.Image import Image

    from tmsa_core import Editor, PreparedFace

MOST_ADDRESSES = 2 << 30  # bytes that the process may map beyond what it has when it starts
START = 180.0  # seconds until it is ready, and to generate a case, at most
WARM_UP = 50  # cases


@dataclass(frozen=True)
class Subject:
    """What cases work on. folder: an empty folder for the files of one case."""

    editor: Editor
    face: PreparedFace
    portrait: Image
    folder: Path


Make = Callable[[Random, Subject], Case]


class Worker:
    """Runs the cases of one family in a process, which is replaced when it hangs or dies."""

    def __init__(self, family: str, make: Make, seed: int, folder: Path) -> None:
        self._arguments = (family, make, seed, folder)
        self._process: multiprocessing.process.BaseProcess | None = None
        self._connection: Connection | None = None
        self._memory: list[int] = []

    def reference(self) -> float:
        """Seconds that a plain edit takes now."""
        return self._ask(None, START).seconds

    def run(self, index: int, limit: float) -> Outcome:
        """Run a case; what the process kept of all cases so far is judged too."""
        outcome = self._ask(index, GIVE_UP * limit)
        if self._process is None or outcome.fault:
            return outcome
        self._memory.append(Memory(self._process.pid or 0).resident())
        if len(self._memory) <= WARM_UP:
            return outcome
        grown = fault_of_growth(self._memory[WARM_UP - 1], self._memory[-1])
        if grown:
            self.close()  # each growth is told once
        return Outcome(outcome.label, grown, outcome.seconds)

    def close(self) -> None:
        """Stop the process."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
        self._process, self._memory = None, []

    def _ask(self, index: int | None, seconds: float) -> Outcome:
        if self._process is None:
            self._start()
        assert self._process is not None and self._connection is not None
        label, start, end = "", time.monotonic(), time.monotonic() + START
        try:
            self._connection.send(index)
            while self._connection.poll(end - time.monotonic()):
                answer = self._connection.recv()
                if isinstance(answer, Outcome):
                    return answer
                label, extra = answer
                end = time.monotonic() + extra + seconds
            fault = "no end: killed"
        except (EOFError, OSError):
            self._process.join()
            fault = f"the process died, exit code {self._process.exitcode}"
        self.close()
        return Outcome(label, f"{fault}, {label.partition('(')[0]}", time.monotonic() - start)

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other, *self._arguments), daemon=True)
        self._process.start()
        other.close()
        if not self._connection.poll(START) or self._connection.recv() != "ready":
            raise RuntimeError("the process of the cases did not start")


def _serve(connection: Connection, family: str, make: Make, seed: int, folder: Path) -> None:
    from tmsa_core import EditRequest, load_editor

    folder = folder / str(os.getpid())
    folder.mkdir()
    os.chdir(folder)  # a command may name a file without a folder
    editor = load_editor("avatar", device="cpu")
    face = editor.sample(0)
    editor.edit(face, EditRequest("human face", "old human face"))
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + MOST_ADDRESSES, resource.RLIM_INFINITY))
    connection.send("ready")
    while True:
        index = connection.recv()
        files = folder / "case"
        files.mkdir()
        subject = Subject(editor, face, face.crop, files)
        if index is None:
            case = _reference(subject)
        else:
            case = make(random_of(seed, family, index), subject)
            case = replace(case, label=case.label.replace(f"{files}/", ""))
            connection.send((case.label, case.start))
        connection.send(_timed(case))
        shutil.rmtree(files)


def _reference(subject: Subject) -> Case:
    """A plain edit."""
    from tmsa_core import EditRequest

    def edit() -> None:
        prepared = subject.editor.prepare(subject.portrait)
        subject.editor.edit(prepared, EditRequest("human face", "human face with glasses"))

    return Case("a plain edit", edit)


def _timed(case: Case) -> Outcome:
    memory = Memory(os.getpid())
    memory.forget_peak()
    before, start = memory.resident(), time.monotonic()
    fault = fault_of_call(case.call)
    seconds = max(0.0, time.monotonic() - start - case.start)
    return Outcome(case.label, fault or fault_of_memory(before, memory.peak()), seconds)
