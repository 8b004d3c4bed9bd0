"""Blocks that plain HTTP calls find as easy as Gradio's own clients do.

A client fills in what a call leaves out and brings every value into the form that Gradio wants. A
``curl`` with a list of values does neither, and would be answered in Gradio's own terms.
"""

from __future__ import annotations

from typing import Any

import gradio as gr
from fastapi import Request
from fastapi.responses import JSONResponse
from gradio.blocks import BlockFunction
from gradio.exceptions import ComponentProcessingError, InvalidPathError
from gradio.route_utils import FnIndexInferError
from gradio.routes import ORJSONResponse
from gradio.state_holder import SessionState
from gradio_client.utils import is_file_obj_with_meta, is_http_url_like, traverse
from pydantic import ValidationError

from tmsa_core.errors import ImageError, RequestError
from tmsa_core.server.file_lists import as_files
from tmsa_core.server.hosts import GuardedApp
from tmsa_core.server.outgoing import keep_lookups_local
from tmsa_core.ui_files import NOT_SENT
from tmsa_core.ui_parts import spoken

NO_FILE = (
    'What /{0} was sent as a file is none: upload it first, then send {{"path": the path that the '
    'upload answered, "meta": {{"_type": "gradio.FileData"}}}}, several in a list.'
)
NOT_FETCHED = (
    "The picture at {0} could not be fetched: give an address that everybody can open, or upload "
    "the file itself."
)
NO_CALL = "This call of {0} does not fit ({1}): gradio_api/info lists what every endpoint takes."
NO_ENDPOINT = (KeyError, FnIndexInferError)
MISFITS = (TypeError, *NO_ENDPOINT)  # what Gradio raises of a call that does not fit


class ForgivingBlocks(gr.Blocks):
    """Blocks that fill in the values a call leaves out, and say in a sentence what is wrong."""

    def launch(
        self, *args: Any, app_kwargs: dict[str, Any] | None = None, **options: Any
    ) -> tuple[Any, str, str]:
        """Serve the page as Gradio does, with the middleware of ``app_kwargs`` around everything.

        Args:
            args: As of Gradio's ``launch``.
            app_kwargs: Arguments of the web application.
            options: As of Gradio's ``launch``.

        Returns:
            The web application, the local address and the shared one.
        """
        keep_lookups_local()
        guarded = GuardedApp(**{"default_response_class": ORJSONResponse, **(app_kwargs or {})})
        return super().launch(*args, app_kwargs=app_kwargs, _app=guarded, **options)

    async def preprocess_data(
        self,
        block_fn: BlockFunction,
        inputs: list[Any],
        state: SessionState | None,
        explicit_call: bool = False,
    ) -> list[Any]:
        """The values of a call as its function takes them; those left out are the parts' own."""
        left_out = block_fn.inputs[len(inputs) :]
        values = [*inputs, *(getattr(part, "value", None) for part in left_out)]
        values = traverse(values, _with_path, _is_address)
        try:
            parts = zip(block_fn.inputs, values, strict=False)
            values = [as_files(part, value) for part, value in parts]
        except ImageError as error:
            raise spoken(error) from error
        try:
            return await super().preprocess_data(block_fn, values, state, explicit_call)
        except (gr.Error, ComponentProcessingError):
            raise
        except ValidationError as error:  # only files have a form that Gradio insists on
            raise spoken(RequestError(NO_FILE.format(block_fn.api_name))) from error
        except InvalidPathError as error:
            raise spoken(ImageError(NOT_SENT)) from error
        except Exception as error:  # of a download, Gradio and httpx raise whatever they find
            address = _first_address(values)
            if address is None:
                raise
            raise spoken(ImageError(NOT_FETCHED.format(address))) from error


def _is_address(value: Any) -> bool:
    """Whether a value is a file named by its address on the web alone."""
    if not isinstance(value, dict) or value.get("path"):
        return False
    return isinstance(value.get("url"), str) and is_http_url_like(value["url"])


def _with_path(file: dict[str, Any]) -> dict[str, Any]:
    """The file in the form that Gradio fetches."""
    return file | {"path": file["url"], "meta": {"_type": "gradio.FileData"}}


def _first_address(values: list[Any]) -> str | None:
    found: list[str] = []

    def note(file: dict[str, Any]) -> dict[str, Any]:
        path = file.get("path")
        if isinstance(path, str) and is_http_url_like(path):
            found.append(path)
        return file

    traverse(values, note, is_file_obj_with_meta)
    return found[0] if found else None


async def refuse_call(request: Request, error: Exception) -> JSONResponse:
    """Answers a call whose names or values do not fit; Gradio would answer "Internal Server Error".

    Any other error goes on to the server's log.
    """
    if request.method != "POST" or "/call/" not in request.url.path:
        raise error
    name = "/" + request.url.path.rstrip("/").rpartition("/")[2]
    reason = "there is no such endpoint" if isinstance(error, NO_ENDPOINT) else str(error)
    words = NO_CALL.format(name, reason.partition(". ")[0].rstrip("."))
    return JSONResponse({"error": words}, status_code=400)
