"""The faults: what no generated case may cause."""

from __future__ import annotations

import json
import re
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tmsa_core.errors import TmsaError

MOST_SECONDS = 10.0  # of an answer, on a machine that edits in REFERENCE
REFERENCE = 1.0  # seconds of a plain edit on a free machine, generously
MOST_GROWTH = 100 << 20  # bytes that a process keeps after its warm-up
MOST_AT_ONCE = 500 << 20  # bytes that one case may need for a moment
LONGEST = 1000  # letters of what a user is told
BYSTANDER = "bystander-5d1f.png"  # another client's image
BUSY = (429, 503)  # answers that ask to come again


class FaultError(Exception):
    """Raised by a case that has itself seen what is wrong."""


@dataclass(frozen=True)
class Answer:
    """The answer to a request. status: 0 where none came."""

    status: int
    text: str


def fault_of_call(call: Callable[[], object]) -> str:
    """The fault of a call: any exception that is not one clear sentence."""
    try:
        call()
    except TmsaError as error:
        return fault_of_sentence(str(error))
    except FaultError as fault:
        return str(fault)
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        place = ([f for f in frames if "tmsa_core" in f.filename] or frames)[-1]
        return f"{type(error).__name__} at {Path(place.filename).name}, {place.name}"
    return ""


def fault_of_sentence(sentence: str) -> str:
    """The fault of what a user is told."""
    if not sentence.strip():
        return "an error without a sentence"
    if len(sentence) > LONGEST:
        return f"a message of more than {LONGEST} letters: {' '.join(sentence[:40].split())} ..."
    return ""


def fault_of_command(line: Sequence[str], status: int, errors: str) -> str:
    """The fault of how a command ended. errors: what it wrote to the standard error."""
    name = line[0] if line else "no command"
    if "Traceback" in errors:
        return f"a traceback of {name}: {errors.splitlines()[-1]:.60}"
    if status not in (0, 1, 2):
        return f"exit status {status} of {name}"
    sentences = [text for text in errors.splitlines() if text.startswith("Error: ")]
    if status and line and not sentences:
        return f"exit status {status} of {name} without an error"
    return next(filter(None, map(fault_of_sentence, sentences)), "")


def fault_of_memory(before: int, peak: int, kept: int) -> str:
    """The fault of the memory that one case needed, and that all have left (bytes)."""
    if peak - before > MOST_AT_ONCE:
        return "more than 500 MB needed by one case"
    return "memory grew by more than 100 MB" if kept > MOST_GROWTH else ""


def faults_of_answer(answer: Answer, sent: str, cache: str) -> Iterator[str]:
    """The faults of an answer. sent: all that the client has named itself."""
    failed = answer.status >= 400 or "event: error" in answer.text
    if not answer.status and answer.text:
        yield answer.text
    if failed and answer.status not in BUSY and not _sentence(answer.text):
        if answer.status >= 500:
            yield f"a bare {answer.status}"
        if "event: error" in answer.text:
            yield "event: error without a sentence"
    if failed and cache in answer.text:
        yield "the cache's path in an error"
    if failed and (fault := fault_of_sentence(answer.text or "an answer to HEAD")):
        yield fault
    for secret, name in (("root:x:0", "a file of the machine"), (BYSTANDER, "another's file")):
        if secret in answer.text and secret not in sent:
            yield f"{name} in an answer"


def faults_of_log(lines: str, cache: str) -> Iterator[str]:
    """The faults of what a server has written."""
    if "Traceback (most recent call last)" in lines:
        errors = re.findall(r"^([\w.]*(?:Error|Exception|Exit|Warning)\b.*)$", lines, re.M)
        error = re.sub(r"\d+", "N", errors[-1])[:80] if errors else "an unknown error"
        yield f"traceback in the log: {error}"
    if cache in lines or BYSTANDER in lines:
        yield "a client's path in the log"


def _sentence(text: str) -> str:
    """The sentence of an error as JSON or text, or "" where it has none."""
    body = text.rpartition("event: error")[2].partition("data:")[2] or text
    try:
        error = json.loads(body)
    except ValueError:
        return "" if "Internal Server Error" in body else body.strip()
    if isinstance(error, dict):
        error = error.get("error") or error.get("detail")
    return error if isinstance(error, str) else json.dumps(error) if error else ""
