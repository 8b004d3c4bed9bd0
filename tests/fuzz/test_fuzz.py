"""The fuzz command notices every kind of fault, and a seed gives the same cases again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tests.fuzz.calls import World, command_line, request
from tests.fuzz.judge import (
    BYSTANDER,
    Answer,
    fault_of_call,
    fault_of_command,
    fault_of_memory,
    faults_of_answer,
    faults_of_log,
)
from tests.fuzz.runners import Outcome, run_cases
from tests.fuzz.values import Draw
from tmsa_core import Editor, PreparedFace
from tmsa_core.errors import RequestError

CACHE = "/tmp/cache"
TRACEBACK = "Traceback (most recent call last):\n  File ...\nZeroDivisionError: by 0\n"


@pytest.mark.parametrize(
    ("status", "text", "fault"),
    [
        (500, "Internal Server Error", "a bare 500"),
        (200, "event: error\ndata: null\n\n", "event: error without a sentence"),
        (400, "word " * 1000, "a message of more than 1000 letters"),
        (400, f'{{"error": "{CACHE}/a.png does not exist."}}', "the cache's path in an error"),
        (200, BYSTANDER, "another's file in an answer"),
        (200, "root:x:0:0:root:/root:/bin/sh", "a file of the machine in an answer"),
        (0, "ReadTimeout without an answer", "ReadTimeout without an answer"),
        (400, '{"error": "The image is damaged: save it again."}', ""),
    ],
)
def test_a_fault_of_an_answer_is_noticed(status: int, text: str, fault: str) -> None:
    found = next(faults_of_answer(Answer(status, text), "", CACHE), "")
    assert found.startswith(fault) and bool(found) == bool(fault)


def test_faults_of_a_log_are_noticed() -> None:
    assert list(faults_of_log(TRACEBACK, CACHE)) == [
        "traceback in the log: ZeroDivisionError: by N"
    ]
    assert list(faults_of_log(f"{CACHE}/a.png", CACHE)) == ["a client's path in the log"]
    assert not list(faults_of_log("An event of the page failed.", CACHE))


def raises() -> None:
    raise ValueError("a cause")


def refuses() -> None:
    raise RequestError("One clear sentence.")


def talks() -> None:
    raise RequestError("word " * 300)


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


def test_faults_of_commands_and_memory_are_noticed() -> None:
    assert fault_of_command(["edit"], 1, TRACEBACK).startswith("a traceback of edit")
    assert fault_of_command(["edit"], -11, "") == "exit status -11 of edit"
    assert fault_of_command(["edit"], 2, "") == "exit status 2 of edit without an error"
    assert not fault_of_command(["edit"], 1, "Error: There is no such file.")
    assert "500 MB" in fault_of_memory(0, 501 << 20, 0)
    assert "100 MB" in fault_of_memory(0, 0, 101 << 20)
    assert not fault_of_memory(0, 499 << 20, 99 << 20)


def test_a_slow_answer_is_noticed_and_one_of_a_slow_machine_is_not() -> None:
    class Slow:
        """Every case takes 15 seconds, a plain edit the given time."""

        def __init__(self, edit: float) -> None:
            self.edit = edit

        def run(self, index: int | None) -> Outcome:
            return Outcome("crawl", "", self.edit if index is None else 15.0)

    assert set(run_cases(Slow(1.0), "slow", range(2), 60.0).faults) == {"slow"}
    assert not run_cases(Slow(2.0), "slow", range(2), 60.0).faults


def test_a_seed_gives_the_same_cases_again(
    editor: Editor, avatar_face: PreparedFace, portrait: Image.Image, tmp_path: Path
) -> None:
    def cases(seed: int, name: str) -> list[str]:
        made = []
        for index in range(6):
            folder = tmp_path / name / str(index)
            folder.mkdir(parents=True)
            draw = Draw(seed, "any", index, portrait, folder)
            line = " ".join(command_line(draw)).replace(str(folder), "")
            draw.archive()  # some formats of images hold the time, so only the start is compared
            made.append(f"{line} {request(draw)!r:.200} {draw.drawn}")
        return made

    assert World(editor, avatar_face).face is avatar_face
    first = cases(1, "first")
    assert first == cases(1, "again") != cases(2, "other")
