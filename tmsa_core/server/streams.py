"""Middleware for the streams by which callers listen for answers."""

from __future__ import annotations

import json
from urllib.parse import parse_qs

from gradio.routes import API_PREFIX
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

NO_CALL = "There is no such call, or its answer has been collected."


class Streams:
    """ASGI middleware that counts listeners, and answers requests for unknown streams.

    For those Gradio would raise an error inside the open stream, and log a traceback.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        kind, name = _asked_for(scope)
        if not kind:
            await self.app(scope, receive, send)
            return
        queue = scope["app"].get_blocks()._queue
        session = queue.session_of(name) if kind == "call" else name
        if session not in queue.pending_messages_per_session:
            await _nothing(kind)(scope, receive, send)
            return
        with queue.listening(session):
            try:
                await self.app(scope, receive, send)
            except RuntimeError as error:
                # Gradio answers "not found" inside an open stream whose session has ended.
                if not isinstance(error.__cause__, HTTPException):
                    raise
                await send({"type": "http.response.body", "body": b""})


def _asked_for(scope: Scope) -> tuple[str, str]:
    """Return ("session", name), ("call", id), or ("", "") for any other request."""
    if scope["type"] != "http" or scope["method"] != "GET":
        return "", ""
    _, _, path = scope["path"].partition(f"{API_PREFIX}/")
    if path == "queue/data":
        query = parse_qs(scope["query_string"].decode("latin-1"))
        return ("session", query["session_hash"][0]) if "session_hash" in query else ("", "")
    parts = path.split("/")
    if parts[0] == "call" and len(parts) > 2:
        return "call", parts[-1]
    return "", ""


def _nothing(kind: str) -> Response:
    """Return the message that Gradio's clients expect for an unknown stream."""
    message = {"msg": "unexpected_error", "message": NO_CALL, "success": False}
    message["session_not_found"] = True
    event = f"data: {json.dumps(message)}\n\n"
    if kind == "call":
        event = f"event: error\ndata: {json.dumps(NO_CALL)}\n\n"
    return Response(event, media_type="text/event-stream")
