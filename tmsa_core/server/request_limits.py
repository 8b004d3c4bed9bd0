"""Middleware that bounds the size of a request and the waiting calls of each client."""

from __future__ import annotations

import ipaddress
import math
import re
from collections import Counter
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse

from tmsa_core.server import limits
from tmsa_core.server.call_files import is_address

if TYPE_CHECKING:
    from gradio.block_function import BlockFunction
    from gradio.queueing import Queue
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Routes of Gradio that fetch addresses, start programs or leave files; the page uses none.
_CLOSED = re.compile(r"/gradio_api/(proxy=|process_recording|deep_link)")
_FILE = re.compile(r"/gradio_api/file[=/](.*)", re.DOTALL)
_UPLOAD = re.compile(r"/gradio_api/upload/?$")
_CALL = re.compile(r"/gradio_api/(call|run|api|mcp)/|/gradio_api/queue/join")


class RequestLimits:
    """ASGI middleware that answers requests beyond the limits with one sentence as JSON.

    A client is the address that the server names. Behind a proxy, uvicorn takes it from the header
    X-Forwarded-For where the environment variable FORWARDED_ALLOW_IPS lists the proxy's address.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._entering: Counter[str] = Counter()  # calls of a client that are not yet in the queue

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        path = scope.get("path", "")
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif _is_closed(path):
            sentence = "This address is not served here: upload the file itself."
            await _refusal(403, sentence)(scope, receive, send)
        elif scope["method"] == "POST" and _CALL.search(path):
            await self._call(scope, receive, send)
        else:
            await self._bounded(scope, receive, send)

    async def _call(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a call if the queue and its client's share of it have room."""
        queue: Queue = scope["app"].get_blocks()._queue
        client = _client(scope)
        refusal = self._no_room(queue, client)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        if "/mcp/" in scope["path"]:
            scope = _naming_client(scope, client)
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
            sentence = (
                f"{in_all} calls are waiting and there is no room for another: try again in "
                f"about {seconds} s."
            )
            return _refusal(503, sentence, seconds)
        waiting = self._entering[client] + waiting_calls(queue, client)
        if _is_one_client(client) and waiting >= limits.CALLS_OF_CLIENT:
            sentence = (
                f"{waiting} calls of yours are waiting, which is the most for one client: try "
                f"again once one of them is answered; all that wait take about {seconds} s."
            )
            return _refusal(429, sentence, seconds)
        return None

    async def _bounded(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a request, and end it where its body is larger than allowed."""
        upload = _UPLOAD.search(scope["path"]) is not None
        most = limits.UPLOAD_BYTES if upload else limits.BODY_BYTES
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
    """The time that the waiting calls will take, by the mean time of earlier calls."""
    return max(
        (
            sum(_mean_seconds(queue, event.fn) for event in group.queue)
            / (group.concurrency_limit or 1)
            for group in queue.event_queue_per_concurrency_id.values()
        ),
        default=0.0,
    )


def waiting_calls(queue: Queue, client: str) -> int:
    """The number of a client's calls that wait in the queue."""
    return sum(
        _client(event.request.scope) == client
        for group in queue.event_queue_per_concurrency_id.values()
        for event in group.queue
    )


def _mean_seconds(queue: Queue, function: BlockFunction) -> float:
    timed = queue.process_time_per_fn.get(function)
    return timed.avg_time if timed else limits.SECONDS_OF_CALL


def _client(scope: Scope) -> str:
    client = scope.get("client")
    return client[0] if client else ""


def _naming_client(scope: Scope, client: str) -> Scope:
    """The request of an MCP client, with the client's address and none that it invented.

    Gradio runs a tool by a second request, from this machine and with the headers of the first.
    """
    scope = {**scope, "headers": list(scope["headers"])}
    MutableHeaders(scope=scope)["x-forwarded-for"] = client
    return scope


def _is_one_client(address: str) -> bool:
    """Whether an address counts: behind a proxy, a private address stands for many people."""
    try:
        return ipaddress.ip_address(address).is_global
    except ValueError:
        return False


def _is_closed(path: str) -> bool:
    file = _FILE.search(path)
    return _CLOSED.search(path) is not None or (file is not None and is_address(file[1]))


def _declared_bytes(scope: Scope) -> int:
    """The header Content-Length; 0 where there is none, because the bytes are counted too."""
    declared = Headers(scope=scope).get("content-length", "")
    return int(declared) if re.fullmatch(r"\d{1,18}", declared) else 0


def _too_large(most: int, upload: bool) -> str:
    if upload:
        return f"The files have more than {most >> 20} MB in all: upload them in several parts."
    return f"The request has more than {most >> 20} MB: upload the image as a file, or smaller."


def _refusal(status: int, sentence: str, seconds: int | None = None) -> JSONResponse:
    headers = {} if seconds is None else {"Retry-After": str(max(1, seconds))}
    return JSONResponse({"error": sentence, "detail": sentence}, status, headers)
