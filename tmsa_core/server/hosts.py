"""Which addresses a page answers to, and from which other pages it takes orders.

A foreign web page can point its own name at this machine (DNS rebinding) and then reads what is
served here as if it were its own. It cannot choose the Host header that its visitor's browser
sends, so the page answers only to names that it knows.
"""

from __future__ import annotations

from collections.abc import Collection

import gradio as gr
from gradio.routes import App
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from tmsa_core.server.settings import LOOPBACK, SHOWN, host_name
from tmsa_core.server.tools import give_each_value

READING = ("GET", "HEAD")
WRONG_HOST = (
    "This page does not answer to the name {0!r}: open it at its own address, or start it with "
    "--allowed-host {1}."
)
WRONG_ORIGIN = (
    "This page takes no orders from pages of {0!r}: use its own page, or start it with "
    "--allowed-host {1}."
)


class HostGuard:
    """ASGI middleware that refuses unknown hosts, and orders from pages of other sites.

    Args:
        app: The application behind it.
        allowed_hosts: Names beside those of this machine; one with a leading dot stands for all
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
        if origin is not None and not self._obeys(host_name(origin), host):
            if scope.get("method") not in READING:
                await _refuse(WRONG_ORIGIN, host_name(origin), scope, receive, send)
                return
            # Gradio would allow every origin it is told of to read the answer.
            scope = {**scope, "headers": [h for h in scope["headers"] if h[0] != b"origin"]}
        await self._app(scope, receive, send)

    def _answers_to(self, host: str, scope: Scope) -> bool:
        """Whether a host is known, or is the very address that the request came in at."""
        if host in self._hosts or host.endswith(self._parents):
            return True
        arrived_at = (scope.get("server") or ("",))[0]
        return bool(host) and host == arrived_at

    def _obeys(self, origin: str, host: str) -> bool:
        """Whether the pages of an origin may use the page at ``host``."""
        if origin in LOOPBACK:
            return host in LOOPBACK
        return bool(origin) and (origin == host or origin in self._hosts)


class GuardedApp(App):
    """Gradio's web application with middleware around everything that Gradio adds itself.

    Gradio puts its CORS handling around the middleware of ``app_kwargs``, so that it would answer
    preflights before a guard there sees them, and add its headers to what the guard refuses.

    Args:
        middleware: From the outermost to the innermost.
        options: Of Gradio's ``App``.
    """

    def __init__(self, middleware: Collection[Middleware] = (), **options: object) -> None:
        super().__init__(**options)
        self._outermost = tuple(middleware)

    def configure_app(self, blocks: gr.Blocks) -> None:
        """Make this the application of a page."""
        super().configure_app(blocks)
        give_each_value(blocks)

    def build_middleware_stack(self) -> ASGIApp:
        """The application with all middleware around it."""
        app = super().build_middleware_stack()
        for middleware in reversed(self._outermost):
            app = middleware.cls(app, *middleware.args, **middleware.kwargs)
        return app


async def _refuse(words: str, name: str, scope: Scope, receive: Receive, send: Send) -> None:
    shown = name[:SHOWN]
    answer = JSONResponse({"error": words.format(shown, shown or "NAME")}, status_code=403)
    await answer(scope, receive, send)
