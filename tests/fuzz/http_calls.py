"""Requests to a live server that it should refuse, or answer."""

from __future__ import annotations

import inspect
import io
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import quote

import httpx
from PIL import Image

from tests.fuzz import values
from tests.fuzz.archives import archive
from tests.fuzz.harness import (
    GIVE_UP,
    Memory,
    Outcome,
    fault_of_growth,
    fault_of_memory,
    random_of,
)
from tests.fuzz.images import random_image
from tests.fuzz.server import Server, traceback_in
from tests.fuzz.visitor import BYSTANDER, Answer, Visitor, answer_faults
from tmsa_core.api.endpoints import Endpoints

ENDPOINTS = {
    name: function
    for name, function in vars(Endpoints).items()
    if inspect.isfunction(function) and not name.startswith("_")
}
TAKE_FILES = ("edit", "align", "invert", "sweep", "batch")
TEXTS = ("human face", "human face with glasses")
WARM_UP = 60  # cases
LOGGING = 0.3  # seconds from a failed answer until the log says why
API = """file={} proxy=http://127.0.0.1:9/{} file=http://127.0.0.1:9/{} call/edit/{} queue/status
    queue/data?session_hash={} heartbeat/{} upload_progress?upload_id={} info?{} openapi.json runs
    stream/{}/0/0/playlist.m3u8 custom_component/{}/client/component/x.js component_server token
    process_recording run/{} vibe-code deep_link startup-events mcp/ file/{} app_id theme.css"""
PAGE = """/ /?target={}&alpha={} /?seed={} /config /static/{} /assets/{} /manifest.json /pwa_icon/{}
    /monitoring /monitoring/{} /login /logout /robots.txt /{} /svelte/{}"""
PATHS = (*(f"/gradio_api/{path}" for path in API.split()), *PAGE.split())
ENDLESS = ("heartbeat", "queue/data", "upload_progress", "mcp", "startup")
CALLS = (
    "call/edit", "call/sample", "call/v2/edit", "queue/join", "run/edit", "cancel", "upload",
    "component_server", "reset", "mcp/", "call/no-such", "api/edit",
)  # fmt: skip
RUNS = ("run/x", "run/predict", "run/edit", "api/nope", "api/domains", "run/", "run/nope")
KINDS = (
    "application/json", "multipart/form-data; boundary=x", "multipart/form-data", "text/plain", "",
)  # fmt: skip
BODIES = (
    b"", b"{", b"null", b"[]", b'"x"', b"[" * 100_000, b'{"data":' * 50_000, b'{"data": [NaN]}',
    b'{"data": [1e999]}', b'{"data": [' + b"9" * 5_000 + b"]}", b"\xff\xfe\x00", b'{"data": {}}',
    b'{"data": 1}', b'{"data": null}', b'{"x": 1}', b'{"data": ["' + b"a" * (30 << 20) + b'"]}',
    b'{"data": [], "data": [], "session_hash": {}}', b'{"data": [], "fn_index": "x"}',
    b"--x\r\n\r\n", b"--x\r\nContent-Disposition: form-data; name=files; filename=a\r\n\r\nabc",
)  # fmt: skip


def file_data(path: Any, **more: Any) -> dict[str, Any]:
    """A file as Gradio's clients name it."""
    return {"path": path, "meta": {"_type": "gradio.FileData"}} | more


@dataclass(frozen=True)
class Request:
    """One generated piece of traffic."""

    label: str
    send: Callable[[Visitor], None]


def make(rng: Random, base: Image.Image) -> Request:
    """A random piece of traffic. base: a portrait."""
    build = rng.choice(
        (_values, _values, _values, _forged, _forged, _body, _event, _upload, _image, _image,
         _path)
    )  # fmt: skip
    return build(rng, base)


def _good(name: str, own: str = "") -> dict[str, Any]:
    """The values of a call as it should be."""
    taken = inspect.signature(ENDPOINTS[name]).parameters.values()
    good = {p.name: p.default for p in taken if p.name not in ("self", "progress")}
    files = {"image": file_data(own), "files": [file_data(own)]}
    ours = {**files, "neutral_text": TEXTS[0], "target_text": TEXTS[1], "steps": 2}
    return good | {key: value for key, value in ours.items() if key in good}


def _values(rng: Random, base: Image.Image) -> Request:
    """One or two values of the wrong kind, or some left out."""
    name, named = rng.choice(list(ENDPOINTS)), rng.random() < 0.3
    keys, wrong = list(_good(name)), {}
    for key in rng.sample(keys, min(len(keys), rng.randrange(1, 3))):
        numbers = rng.choice(values.NUMBERS)
        wrong[key] = rng.choice((values.junk(rng), values.text(rng), values.edits(rng), numbers))
    count = rng.randrange(14) if rng.random() < 0.2 else None

    def send(visitor: Visitor) -> None:
        body = _good(name, visitor.upload(_png(base))) | wrong
        if named:
            visitor.call(f"v2/{name}", body)
        else:
            visitor.call(name, {"data": list(body.values())[:count]})

    return Request(f"call/{name} {wrong!r:.200}", send)


def _forged(rng: Random, base: Image.Image) -> Request:
    """A file that the client has not sent, or that is none."""
    name, form, kind = rng.choice(TAKE_FILES), rng.randrange(17), rng.randrange(4)
    key = rng.choice(("meta", "orig_name", "size", "url", "is_stream", "mime_type", "x", "y"))
    more, text = {key: values.junk(rng)}, values.short_text(rng)

    def send(visitor: Visitor) -> None:
        own, others = Path(visitor.upload(_png(base)) or "/none"), Path(visitor.bystander)
        path = (
            str(others), str(visitor.server.cache), str(others.parent), str(own.parent), text, 5,
            f"{own.parent}/../{others.parent.name}/{BYSTANDER}", f"{own}/..", f"{own}\0", "\ud800",
            "x" * 300, "", "http://127.0.0.1:9/a.png", "http://[::1]:9/a.png", "/etc/passwd",
            "file:///etc/passwd", "~",
        )[form]  # fmt: skip
        file = (file_data(path), file_data(path, **more), {"path": path}, {"url": path})[kind]
        body = _good(name) | ({"files": [file]} if name == "batch" else {"image": file})
        visitor.call(name, {"data": list(body.values())})
        if form in (0, 1, 2, 6) and any("event: complete" in a.text for a in visitor.answers):
            visitor.sent, visitor.answers = "", [Answer(200, f"used {BYSTANDER}")]

    return Request(f"call/{name} forged file {form}, {kind}, {more!r:.100}", send)


def _body(rng: Random, base: Image.Image) -> Request:
    """A body that is no call."""
    path, body, kind = rng.choice(CALLS), rng.choice(BODIES), rng.choice(KINDS)
    headers = {"Content-Type": kind} | rng.choice(({}, {}, {}, {"Content-Encoding": "gzip"}))

    def send(visitor: Visitor) -> None:
        visitor.ask("POST", f"/gradio_api/{path}", content=body, headers=headers)

    return Request(f"{path} {headers} body of {len(body)} bytes {body[:40]!r}", send)


def _event(rng: Random, base: Image.Image) -> Request:
    """An event of the page, queued or run at once, whether there is such a one or not."""
    data = ([], [None] * 20, ["avatar"], [values.junk(rng)] * rng.randrange(25), values.junk(rng))
    body = {"data": rng.choice(data), "session_hash": "fuzz", "fn_index": rng.randrange(-2, 130)}
    for key in ("event_data", "trigger_id", "session_hash", "batched", "event_id", "fn_index"):
        body |= {key: values.junk(rng)} if rng.random() < 0.2 else {}
    name = rng.choice(("queue/join", rng.choice(RUNS)))

    def send(visitor: Visitor) -> None:
        answer = visitor.post(f"/gradio_api/{name}", body)
        if answer.status == 200 and name == "queue/join":
            session = {"session_hash": str(body["session_hash"])[:500]}
            visitor.ask("GET", "/gradio_api/queue/data", stream=True, params=session)

    return Request(f"{name} {body!r:.200}", send)


def _upload(rng: Random, base: Image.Image) -> Request:
    """Files with odd names, or many files."""
    names = ("../../x.png", "a.png", "/etc/x", "x" * 300, ".", "..", "con\0.png", "")
    name = _sendable(rng.choice((values.short_text(rng, 400), *names)))
    files = [("files", (name, _png(base)))] * rng.choice((0, 1, 1, 2, 40))

    def send(visitor: Visitor) -> None:
        visitor.ask("POST", "/gradio_api/upload", files=files)

    return Request(f"upload {len(files)} x {name!r:.80}", send)


def _image(rng: Random, base: Image.Image) -> Request:
    """A damaged or odd image or archive, rightly uploaded and used."""
    name = rng.choice((*TAKE_FILES, "batch", "batch"))
    zipped = name == "batch" and rng.random() < 0.8
    data = archive(rng, base) if zipped else random_image(rng, base)

    def send(visitor: Visitor) -> None:
        own = visitor.upload(data, "sent.zip" if zipped else "sent.png")
        visitor.call(name, {"data": list(_good(name, own).values())})

    return Request(f"call/{name} {'ZIP' if zipped else 'image'} of {len(data)} bytes", send)


def _path(rng: Random, base: Image.Image) -> Request:
    """An address, known or not, asked for in any way."""
    words = ("x", "../../etc/passwd", "..%2f..%2fetc%2fpasswd", "/etc/passwd", "\0", "0", "-1")
    word = _sendable(rng.choice((values.short_text(rng, 300), *words)))
    path = rng.choice(PATHS).replace("{}", rng.choice((word, quote(word, safe=""))))
    path = quote(path, safe="/?&=%:{}")
    method = rng.choice(("GET", "GET", "GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"))
    endless = any(part in path for part in ENDLESS)

    def send(visitor: Visitor) -> None:
        visitor.ask(method, path, stream=endless)

    return Request(f"{method} {path:.150}", send)


def _sendable(text: str) -> str:
    """The text without halves of surrogate pairs, which no client can send in a name."""
    return text.encode("utf-8", "replace").decode()


def _png(base: Image.Image) -> bytes:
    buffer = io.BytesIO()
    base.save(buffer, "PNG")
    return buffer.getvalue()


class Traffic:
    """Sends generated traffic to a server and judges answers, log and memory."""

    def __init__(self, server: Server, seed: int, base: Image.Image) -> None:
        self._server, self._seed, self._base = server, seed, base
        self._memory = Memory(server.process.pid)
        self._resident: list[int] = []
        self._seen = server.log.stat().st_size  # bytes of the log

    def reference(self) -> float:
        """Seconds that a plain edit takes now."""
        with httpx.Client() as client:
            visitor = Visitor(self._server, client, "", 300.0)
            own, start = visitor.upload(_png(self._base)), time.monotonic()
            visitor.call("edit", {"data": list(_good("edit", own).values())})
        if not any("event: complete" in answer.text for answer in visitor.answers):
            raise RuntimeError(f"a plain edit failed: {visitor.answers[-1].text[:500]}")
        return time.monotonic() - start

    def run(self, index: int, limit: float) -> Outcome:
        """Send the traffic of one case."""
        request = make(random_of(self._seed, "http", index), self._base)
        self._memory.forget_peak()
        before = self._memory.resident()
        with httpx.Client() as client, httpx.Client() as other:
            bystander = Visitor(self._server, other, "").upload(_png(self._base), BYSTANDER)
            visitor = Visitor(self._server, client, bystander, GIVE_UP * limit)
            request.send(visitor)
        if any(answer.status >= 500 for answer in visitor.answers):
            time.sleep(LOGGING)
        faults = (*self._log_faults(), *answer_faults(visitor), *self._memory_faults(before))
        kind = request.label.partition(" ")[0]
        return Outcome(
            request.label, next((f"{kind}: {fault}" for fault in faults), ""), visitor.seconds
        )

    def _log_faults(self) -> Iterator[str]:
        if self._server.process.poll() is not None:
            yield f"the server died, exit code {self._server.process.returncode}"
        new = self._server.logged(self._seen)
        self._seen = self._server.log.stat().st_size
        if error := traceback_in(new):
            yield f"traceback in the log: {error}"
        if str(self._server.cache) in new or BYSTANDER in new:
            yield "a client's path in the log"

    def _memory_faults(self, before: int) -> Iterator[str]:
        self._resident.append(self._memory.resident())
        yield from filter(None, [fault_of_memory(before, self._memory.peak())])
        if len(self._resident) > WARM_UP:
            grown = fault_of_growth(max(self._resident[:WARM_UP]), self._resident[-1])
            if grown:
                self._resident = []  # each growth is told once
                yield grown
