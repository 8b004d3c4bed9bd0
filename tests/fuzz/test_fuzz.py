"""A few generated cases of each family, and that the harness notices what is wrong."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest
from PIL import Image

from tests.fuzz import commands, http_calls, python_calls
from tests.fuzz.harness import Case, Outcome, fault_of_call, random_of, run_cases
from tests.fuzz.http_calls import Request, Traffic
from tests.fuzz.server import Server, running_server
from tests.fuzz.visitor import Visitor
from tests.fuzz.worker import Make, Subject, Worker
from tmsa_core import Editor, PreparedFace
from tmsa_core.errors import RequestError

BROKEN = Path(__file__).with_name("broken_app.py")


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A small server with the faults that the harness is to notice."""
    with running_server(tmp_path_factory.mktemp("broken"), (sys.executable, str(BROKEN))) as server:
        yield server


def fault_of_request(server: Server, path: str, monkeypatch: pytest.MonkeyPatch) -> Outcome:
    """What the harness says of one request."""

    def send(visitor: Visitor) -> None:
        visitor.ask("GET", path)

    request = Request(path, send)
    monkeypatch.setattr(http_calls, "make", lambda rng, base: request)
    return Traffic(server, 0, Image.new("RGB", (8, 8))).run(0, limit=2.0)


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        ("/bare", "a bare 500"),
        ("/raises", "traceback in the log: ZeroDivisionError"),
        ("/null", "event: error without a sentence"),
        ("/long", "a message of more than 1000 letters"),
        ("/cache", "the cache's path in an error"),
        ("/bystander", "another client's file in an answer"),
        ("/passwords", "a file of the machine in an answer"),
        ("/memory", "more than 500 MB needed by one case"),
        ("/silent", "ReadTimeout without an answer"),
        ("/sentence", ""),
    ],
)
def test_a_fault_of_a_server_is_noticed(
    broken: Server, path: str, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = fault_of_request(broken, path, monkeypatch).fault
    assert found.startswith(f"{path}: {fault}") if fault else found == ""


def test_a_slow_answer_is_noticed_and_one_of_a_slow_machine_is_not() -> None:
    class Slow:
        """Every case takes 15 seconds, a plain edit what it is told."""

        def __init__(self, edit: float) -> None:
            self.edit = edit

        def reference(self) -> float:
            return self.edit

        def run(self, index: int, limit: float) -> Outcome:
            return Outcome("crawl", "", 15.0)

    assert set(run_cases(Slow(1.0), "slow", range(2), 60.0).faults) == {"slow: crawl"}
    assert not run_cases(Slow(2.0), "slow", range(2), 60.0).faults


def raises() -> None:
    raise ValueError("a cause")


def refuses() -> None:
    raise RequestError("One clear sentence.")


def talks() -> None:
    raise RequestError("word " * 300)


def hangs() -> None:
    time.sleep(1000)


def dies() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def make_dying(rng: Random, subject: Subject) -> Case:
    return Case("dies", dies)


def make_hanging(rng: Random, subject: Subject) -> Case:
    return Case("hangs", hangs)


@pytest.mark.parametrize(
    ("call", "fault"),
    [
        (raises, "ValueError at test_fuzz.py, raises"),
        (refuses, ""),
        (talks, "a message of more than 1000 letters: word"),
    ],
)
def test_a_fault_of_a_call_is_noticed(call: Callable[[], None], fault: str) -> None:
    found = fault_of_call(call)
    assert found.startswith(fault) and bool(found) == bool(fault)


@pytest.mark.parametrize(
    ("make", "fault"),
    [
        (make_dying, "the process died, exit code -11, dies"),
        (make_hanging, "no end: killed, hangs"),
    ],
)
def test_a_process_that_dies_or_hangs_is_noticed(make: Make, fault: str, tmp_path: Path) -> None:
    runner = Worker("faulty", make, 0, tmp_path)
    try:
        assert runner.run(0, limit=0.5).fault == fault
    finally:
        runner.close()


@pytest.mark.parametrize("make", [python_calls.make, commands.make])
def test_a_seed_makes_the_same_calls_again(
    make: Make, editor: Editor, avatar_face: PreparedFace, tmp_path: Path
) -> None:
    def labels(folder: Path) -> list[str]:
        made = []
        for index in range(8):
            files = folder / str(index)
            files.mkdir(parents=True)
            subject = Subject(editor, avatar_face, avatar_face.crop, files)
            made.append(make(random_of(3, "family", index), subject).label)
        return made

    assert labels(tmp_path / "a") == [
        label.replace("/b/", "/a/") for label in labels(tmp_path / "b")
    ]


def test_a_seed_makes_the_same_requests_again(portrait: Image.Image) -> None:
    one, same, other = (
        [http_calls.make(random_of(seed, "http", i), portrait).label for i in range(8)]
        for seed in (1, 1, 2)
    )
    assert one == same != other
