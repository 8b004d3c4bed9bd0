"""Middleware that refuses unknown host names, and calls from the pages of other sites.

A foreign web page can point its own name at this machine (DNS rebinding) and then read the answers
of this server as its own. It cannot choose the Host header that its visitor's browser sends, so
the server answers only to names that it knows.
"""

from __future__ import annotations

from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from tmsa_core.errors import shortened
from tmsa_core.server.settings import LOOPBACK, host_name

READING = ("GET", "HEAD")
WRONG_HOST = (
    "This page does not answer to the name {0!r}: open it at its own address, or start it with "
    "--allowed-host {1}."
)
WRONG_ORIGIN = (
    "This page takes no calls from pages of {0!r}: use its own page, or start it with "
    "--allowed-host {1}."
)


class HostGuard:
    """ASGI middleware that refuses unknown hosts, and calls from pages of other sites.

    Args:
        app: The application behind it.
        allowed_hosts: Names besides those of this machine; one with a leading dot stands for all
            its subdomains.
    """

    def __init__(self, app: ASGIApp, allowed_hosts: Collection[str] = ()) -> None:
        self._app = app
        self._hosts = LOOPBACK | {name for name in allowed_hosts if not name.startswith(".")}
        self._parents = tuple(name for name in allowed_hosts if name.startswith("."))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it with status 403 and one sentence."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        host = host_name(headers.get("host", ""))
        if not self._answers_to(host, scope):
            await _refuse(WRONG_HOST, host, scope, receive, send)
            return
        origin = headers.get("origin")
        if origin is not None and not self._accepts(host_name(origin), host):
            if scope.get("method") not in READING:
                await _refuse(WRONG_ORIGIN, host_name(origin), scope, receive, send)
                return
            # Gradio would let any origin in this header read the answer.
            scope = {**scope, "headers": [h for h in scope["headers"] if h[0] != b"origin"]}
        await self._app(scope, receive, send)

    def _answers_to(self, host: str, scope: Scope) -> bool:
        """Whether a host is known, or is the address at which the request arrived."""
        if host in self._hosts or host.endswith(self._parents):
            return True
        arrived_at = (scope.get("server") or ("",))[0]
        return bool(host) and host == arrived_at

    def _accepts(self, origin: str, host: str) -> bool:
        """Whether pages of an origin may call the page at ``host``."""
        if origin in LOOPBACK:
            return host in LOOPBACK
        return bool(origin) and (origin == host or origin in self._hosts)


async def _refuse(sentence: str, name: str, scope: Scope, receive: Receive, send: Send) -> None:
    shown = shortened(name)
    answer = JSONResponse({"error": sentence.format(shown, shown or "NAME")}, status_code=403)
    await answer(scope, receive, send)
