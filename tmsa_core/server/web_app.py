"""The web application of the page: Gradio's, in one stack with our middleware and routes.

A request passes these from the outside to the inside; this is their only list:

1. ``HostGuard`` refuses unknown hosts, and calls from other sites' pages. It comes before Gradio's
   CORS handling, which would answer preflights and add its headers to refusals.
2. ``RequestLimits`` closes unused routes and bounds bodies and waiting calls, before any is read.
3. ``Streams`` notes which callers listen for answers, and answers requests for unknown calls.
4. Gradio's own middleware.
5. ``refuse_call`` turns errors of requests that do not fit into one sentence.
6. ``file_routes`` stand before the routes of Gradio with the same paths.
7. Gradio's routes. Each call ends in ``LenientBlocks.process_api``, which admits its files.

Beside the stack runs ``cleaning``, which deletes files that nobody needs any more.

These parts of Gradio are overridden or read although they are not public. They were checked with
version ``CHECKED_GRADIO``; a test fails with any other, so that they are checked again:

- ``routes.App``: ``build_middleware_stack``, ``configure_app``, ``uploaded_file_dir``; its routes
  ``upload``, ``file=``, ``file/``, ``deep_link``, ``process_recording``, ``proxy=``
- ``Blocks``: ``process_api``, ``preprocess_data``, ``queue``, ``launch(_app=...)``, ``_queue``,
  ``fns``, ``state_holder``, ``temp_file_sets``, ``mcp_server_obj``; ``GRADIO_CACHE`` of components
- ``queueing.Queue``: its constructor, ``get_events``, ``clean_events``, ``active_jobs``,
  ``event_queue_per_concurrency_id``, ``event_ids_to_events``, ``pending_event_ids_session``,
  ``pending_messages_per_session``, ``process_time_per_fn``
- components: ``preprocess``, ``api_info``, ``is_template``
- ``mcp``: ``postprocess_output_data``, and the header ``x-gradio-user`` of a tool's calls
- ``route_utils``: ``upload_fn``, ``file_fetch``, ``FnIndexInferError``;
  ``routes.file_upload_statuses``; ``safehttpx.async_resolve_hostname_google``
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

import gradio as gr
import safehttpx
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from gradio.route_utils import FnIndexInferError
from gradio.routes import App, ORJSONResponse
from starlette.middleware import Middleware
from starlette.types import ASGIApp

from tmsa_core.errors import shortened
from tmsa_core.server.cleaner import cleaning
from tmsa_core.server.hosts import HostGuard
from tmsa_core.server.request_limits import RequestLimits
from tmsa_core.server.streams import Streams
from tmsa_core.server.uploads import file_routes

CHECKED_GRADIO = "6.31.0"
NO_CALL = "This call of {0} does not fit ({1}): gradio_api/info lists what every endpoint takes."
NO_ENDPOINT = (LookupError, FnIndexInferError)
# Raised by Gradio and FastAPI for calls that do not fit.
MISFITS = (TypeError, AttributeError, UnicodeError, RequestValidationError, *NO_ENDPOINT)
_CALLS = re.compile("/gradio_api/(call|run|api|queue|cancel|reset|component_server)(/|$)")


class WebApp(App):
    """Gradio's web application in the stack that the module describes.

    Args:
        allowed_hosts: Names that the page answers to, besides those of this machine.
    """

    def __init__(self, allowed_hosts: Collection[str] = ()) -> None:
        super().__init__(
            default_response_class=ORJSONResponse,
            exception_handlers=dict.fromkeys(MISFITS, refuse_call),
            routes=file_routes(),
        )
        self._outermost = (
            Middleware(HostGuard, allowed_hosts=tuple(allowed_hosts)),
            Middleware(RequestLimits),
            Middleware(Streams),
        )

    def configure_app(self, blocks: gr.Blocks) -> None:
        """Make this the application of a page."""
        super().configure_app(blocks)
        answer_each_value(blocks)

    def build_middleware_stack(self) -> ASGIApp:
        """The application with all middleware around it."""
        app = super().build_middleware_stack()
        for middleware in reversed(self._outermost):
            app = middleware.cls(app, *middleware.args, **middleware.kwargs)
        return app


def web_app_options(allowed_hosts: Collection[str] = ()) -> dict[str, Any]:
    """The arguments of Gradio's ``launch`` that make it serve a page by a ``WebApp``."""
    return {"_app": WebApp(allowed_hosts), "app_kwargs": {"lifespan": cleaning}}


async def refuse_call(request: Request, error: Exception) -> JSONResponse:
    """Answer a request whose names or values do not fit.

    Gradio would answer "Internal Server Error", or repeat a long body.

    Args:
        request: The request.
        error: One of ``MISFITS``.

    Returns:
        One sentence with status 400, or 422 for values of a wrong kind.

    Raises:
        Exception: ``error``, where the request is not a call: then the fault is the server's.
    """
    is_validation = isinstance(error, RequestValidationError)
    is_call = request.method == "POST" and _CALLS.search(request.url.path)
    if not is_validation and not is_call:
        raise error
    name = shortened("/" + request.url.path.rstrip("/").rpartition("/")[2])
    sentence = NO_CALL.format(name, _reason(error))
    return JSONResponse({"error": sentence, "detail": sentence}, 422 if is_validation else 400)


def _reason(error: Exception) -> str:
    if isinstance(error, NO_ENDPOINT):
        return "there is no such endpoint"
    if isinstance(error, UnicodeError):
        return "its text is not UTF-8"
    if isinstance(error, RequestValidationError):
        first = error.errors()[0]
        return shortened(f"{'.'.join(map(str, first['loc']))}: {first['msg']}")
    # TypeErrors of Gradio tell which value is missing, then list all parameters.
    return str(error).partition(". ")[0].rstrip(".")[:200]


def answer_each_value(blocks: gr.Blocks) -> None:
    """Let MCP tools answer each of their values as content of its own, images as images.

    Gradio wraps the values of a call without progress reports once too often, so that agents would
    get all of them as one text and no image.

    Args:
        blocks: The page whose tools these are.
    """
    server = blocks.mcp_server_obj
    if server is None:
        return
    as_content = server.postprocess_output_data

    def each_as_content(data: Any, root_url: str) -> Any:
        wrapped = len(data) == 1 and isinstance(data[0], tuple)
        return as_content(list(data[0]) if wrapped else data, root_url)

    server.postprocess_output_data = each_as_content


def keep_lookups_local() -> None:
    """Resolve host names by this machine's own resolver only.

    Where that gives no public address, the library with which Gradio fetches images would ask a
    public DNS service, and so tell it what a visitor wrote.
    """
    safehttpx.async_resolve_hostname_google = _no_addresses


async def _no_addresses(hostname: str) -> list[str]:
    return []
