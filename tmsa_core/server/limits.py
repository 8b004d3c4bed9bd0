"""What one client may send in a request, and how many of its calls may wait at once.

``LimitsMiddleware`` stands in front of every route of the page's server. It also closes the routes
of Gradio that fetch addresses, start programs or write files that nobody removes, none of which
the page uses.
"""

from __future__ import annotations

import ipaddress
import math
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse

from tmsa_core.server.addresses import is_address

if TYPE_CHECKING:
    from gradio.block_function import BlockFunction
    from gradio.queueing import Queue
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

UNKNOWN_SECONDS = 2.0  # of a call whose kind has not been timed yet

_CLOSED = re.compile(r"/gradio_api/(proxy=|process_recording|deep_link)")
_FILE = re.compile(r"/gradio_api/file[=/](.*)", re.DOTALL)
_UPLOAD = re.compile(r"/gradio_api/upload/?$")
_CALL = re.compile(r"/gradio_api/(call|run|api|mcp)/|/gradio_api/queue/join")


@dataclass(frozen=True)
class Limits:
    """The most that a client may use.

    Attributes:
        body_bytes: Of a request. An image of 20 MB takes 27 MB as a data URL.
        upload_bytes: Of all files of one upload.
        calls: Calls of one client that wait at the same time. Addresses of private networks and of
            this machine are not counted: behind a proxy they stand for many people.
    """

    body_bytes: int = 32 << 20
    upload_bytes: int = 512 << 20
    calls: int = 8


class LimitsMiddleware:
    """ASGI middleware that answers requests beyond the limits with one sentence as JSON.

    A client is the address that the server names. Behind a proxy, uvicorn takes it from the header
    X-Forwarded-For where the environment variable FORWARDED_ALLOW_IPS lists the proxy's address.
    """

    def __init__(self, app: ASGIApp, limits: Limits | None = None) -> None:
        self._app = app
        self._limits = limits or Limits()
        self._entering: Counter[str] = Counter()  # calls of a client that are not yet in the queue

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""
        path = scope.get("path", "")
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif _is_closed(path):
            words = "This address is not served here: upload the file itself."
            await _refusal(403, words)(scope, receive, send)
        elif scope["method"] == "POST" and _CALL.search(path):
            await self._call(scope, receive, send)
        else:
            await self._bounded(scope, receive, send)

    async def _call(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on a call if the queue and its client's share of it have room."""
        queue: Queue = scope["app"].get_blocks()._queue
        client = _client(scope)
        refusal = self._no_room(queue, client)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        self._entering[client] += 1
        try:
            await self._bounded(scope, receive, send)
        finally:
            self._entering[client] -= 1
            if not self._entering[client]:
                del self._entering[client]

    def _no_room(self, queue: Queue, client: str) -> JSONResponse | None:
        seconds = math.ceil(expected_seconds(queue))
        in_all = self._entering.total() + len(queue)
        if queue.max_size is not None and in_all >= queue.max_size:
            words = (
                f"{in_all} calls are waiting and there is no room for another: try again in "
                f"about {seconds} s."
            )
            return _refusal(503, words, seconds)
        waiting = self._entering[client] + waiting_calls(queue, client)
        if _is_one_client(client) and waiting >= self._limits.calls:
            words = (
                f"{waiting} calls of yours are waiting, which is the most for one client: try "
                f"again once one of them is answered; all that wait take about {seconds} s."
            )
            return _refusal(429, words, seconds)
        return None

    async def _bounded(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on a request, and end it where its body is larger than it may be."""
        upload = _UPLOAD.search(scope["path"]) is not None
        most = self._limits.upload_bytes if upload else self._limits.body_bytes
        refusal = _refusal(413, _too_large(most, upload))
        if _declared_bytes(scope) > most:
            await refusal(scope, receive, send)
            return
        seen = 0
        refused = False

        async def counted() -> Message:
            nonlocal seen, refused
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > most and not refused:
                refused = True
                await refusal(scope, receive, send)
            return {"type": "http.disconnect"} if refused else message

        async def unless_refused(message: Message) -> None:
            if not refused:
                await send(message)

        try:
            await self._app(scope, counted, unless_refused)
        except ClientDisconnect:
            if not refused:
                raise


def expected_seconds(queue: Queue) -> float:
    """How long the calls that wait now will take, by the mean time of earlier ones."""
    groups = queue.event_queue_per_concurrency_id.values()
    return max(
        (
            sum(_mean_seconds(queue, event.fn) for event in group.queue)
            / (group.concurrency_limit or 1)
            for group in groups
        ),
        default=0.0,
    )


def waiting_calls(queue: Queue, client: str) -> int:
    """How many calls of a client wait in the queue."""
    return sum(
        _client(event.request.scope) == client
        for group in queue.event_queue_per_concurrency_id.values()
        for event in group.queue
    )


def _mean_seconds(queue: Queue, function: BlockFunction) -> float:
    timed = queue.process_time_per_fn.get(function)
    return timed.avg_time if timed else UNKNOWN_SECONDS


def _client(scope: Scope) -> str:
    client = scope.get("client")
    return client[0] if client else ""


def _is_one_client(address: str) -> bool:
    """Whether an address belongs to one client, or to all that come through a private network."""
    try:
        return ipaddress.ip_address(address).is_global
    except ValueError:
        return False


def _is_closed(path: str) -> bool:
    file = _FILE.search(path)
    return _CLOSED.search(path) is not None or (file is not None and is_address(file[1]))


def _declared_bytes(scope: Scope) -> int:
    """What the header Content-Length says; 0 where there is none, as the bytes are counted too."""
    declared = Headers(scope=scope).get("content-length", "")
    return int(declared) if re.fullmatch(r"\d{1,18}", declared) else 0


def _too_large(most: int, upload: bool) -> str:
    if upload:
        return f"The files have more than {most >> 20} MB in all: upload them in several parts."
    return f"The request has more than {most >> 20} MB: upload the image as a file, or smaller."


def _refusal(status: int, words: str, seconds: int | None = None) -> JSONResponse:
    headers = {} if seconds is None else {"Retry-After": str(max(1, seconds))}
    return JSONResponse({"error": words, "detail": words}, status, headers)
