"""A client of a live server, and what is wrong with the answers that it gets."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.fuzz.harness import fault_of_sentence
from tests.fuzz.server import Server

BYSTANDER = "bystander-5d1f.png"  # another client's image
SECRETS = (("root:x:0", "a file of the machine"), (BYSTANDER, "another client's file"))
MOST_READ = 5 << 20  # bytes of an answer
MOST_KEPT = 100_000  # bytes of a request
LISTEN = 1.0  # seconds at a stream that has no end of its own
BUSY = (429, 503)  # answers that ask to come again
PAUSES = (1.0, 1.0, 1.0, 0.0)  # seconds after each of them


@dataclass(frozen=True)
class Answer:
    """What a request was answered. status: 0 where nothing came."""

    status: int
    text: str


@dataclass
class Visitor:
    """A client. sent: all that it has named itself. seconds: how long its answers took."""

    server: Server
    client: httpx.Client
    bystander: str
    give_up: float = 30.0
    sent: str = ""
    answers: list[Answer] = field(default_factory=list)
    seconds: float = 0.0

    def ask(self, method: str, path: str, stream: bool = False, **options: Any) -> Answer:
        """Send a request; again after a while where the server says that it is busy."""
        self.sent += f"{path} {options.get('content', b'')[:MOST_KEPT]!r}"
        for pause in PAUSES:
            start = time.monotonic()
            answer = self._ask(method, path, LISTEN if stream else self.give_up, **options)
            if answer.status not in BUSY:
                break
            time.sleep(pause)
        if not stream:
            self.seconds = max(self.seconds, time.monotonic() - start)
        self.answers.append(answer)
        return answer

    def _ask(self, method: str, path: str, seconds: float, **options: Any) -> Answer:
        read, end = b"", time.monotonic() + seconds
        status = 0
        try:
            url = f"{self.server.address}{path}"
            with self.client.stream(method, url, timeout=httpx.Timeout(seconds), **options) as got:
                status = got.status_code
                for block in got.iter_raw():
                    read += block
                    if len(read) > MOST_READ or time.monotonic() > end:
                        break
        except httpx.TransportError as error:
            if seconds != LISTEN:
                read += f"{type(error).__name__} without an answer".encode() if not status else b""
        return Answer(status, read.decode(errors="replace"))

    def post(self, path: str, body: Any, **options: Any) -> Answer:
        """Send a value as JSON, such as NaN and halves of pairs that httpx would refuse."""
        headers = {"Content-Type": "application/json"}
        return self.ask("POST", path, content=json.dumps(body).encode(), headers=headers, **options)

    def call(self, name: str, body: Any) -> None:
        """Call an endpoint, and read what becomes of the call."""
        answer = self.post(f"/gradio_api/call/{name}", body)
        if answer.status == 200 and "event_id" in answer.text:
            event = json.loads(answer.text)["event_id"]
            self.ask("GET", f"/gradio_api/call/{name}/{event}")

    def upload(self, data: bytes, name: str = "image.png") -> str:
        """Send a file; the path that it got, or "" where it was refused."""
        answer = self.ask("POST", "/gradio_api/upload", files={"files": (name, data)})
        return json.loads(answer.text)[0] if answer.status == 200 else ""


def answer_faults(visitor: Visitor) -> Iterator[str]:
    """What is wrong with the answers that a visitor got."""
    for answer in visitor.answers:
        if not answer.status and answer.text:
            yield answer.text
        if answer.status >= 500 and answer.status not in BUSY and not sentence(answer.text):
            yield f"a bare {answer.status}"
        if "event: error" in answer.text and not sentence(answer.text):
            yield "event: error without a sentence"
        failed = answer.status >= 400 or "event: error" in answer.text
        if failed and str(visitor.server.cache) in answer.text:
            yield "the cache's path in an error"
        if failed and (fault := fault_of_sentence(answer.text or "HEAD")):
            yield fault
        for secret, what in SECRETS:
            if secret in answer.text and secret not in visitor.sent:
                yield f"{what} in an answer"


def sentence(text: str) -> str:
    """What an error says: the words of its JSON, or "" where it has none."""
    body = text.rpartition("event: error")[2].partition("data:")[2] or text
    try:
        show_errors = json.loads(body)
    except ValueError:
        return "" if "Internal Server Error" in body else body.strip()
    words = (
        show_errors.get("error") or show_errors.get("detail")
        if isinstance(show_errors, dict)
        else show_errors
    )
    return words if isinstance(words, str) else json.dumps(words) if words else ""
