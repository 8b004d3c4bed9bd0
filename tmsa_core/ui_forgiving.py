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
from gradio.state_holder import SessionState
from pydantic import ValidationError

from tmsa_core.errors import ImageError, RequestError, TmsaError
from tmsa_core.server.addresses import without_addresses
from tmsa_core.ui_files import NOT_SENT
from tmsa_core.ui_parts import spoken
from tmsa_core.ui_toasts import toast_error

NO_FILE = (
    'What /{0} was sent as a file is none: upload it first, then send {{"path": the path that the '
    'upload answered, "meta": {{"_type": "gradio.FileData"}}}}, several in a list.'
)
NO_CALL = "This call of {0} does not fit ({1}): gradio_api/info lists what every endpoint takes."
NO_ENDPOINT = (KeyError, FnIndexInferError)
MISFITS = (TypeError, *NO_ENDPOINT)  # what Gradio raises of a call that does not fit


class ForgivingBlocks(gr.Blocks):
    """Blocks that fill in the values a call leaves out, and say in a sentence what is wrong."""

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
        try:
            values = without_addresses(values)
            return await super().preprocess_data(block_fn, values, state, explicit_call)
        except (gr.Error, ComponentProcessingError):
            raise
        except ValidationError as error:  # only files have a form that Gradio insists on
            raise spoken(RequestError(NO_FILE.format(block_fn.api_name))) from error
        except InvalidPathError as error:
            raise spoken(ImageError(NOT_SENT)) from error
        except TmsaError as error:
            raise spoken(error) from error

    async def process_api(
        self,
        block_fn: BlockFunction | int,
        *args: Any,
        session_hash: str | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """The answer of a call.

        The page shows an error as HTML, so that of a page's event is escaped here. A script gets
        the error as it is, and leaves no session behind.
        """
        function = self.fns[block_fn] if isinstance(block_fn, int) else block_fn
        for_page = function.api_visibility == "private"
        try:
            return await super().process_api(function, *args, session_hash=session_hash, **kwargs)
        except Exception as error:
            if not for_page:
                raise
            raise toast_error(error) from error
        finally:
            if not for_page and session_hash is not None:
                self._forget(session_hash)

    def _forget(self, session: str) -> None:
        """Drop what Gradio keeps of a session, 0.3 MB, unless it holds a page's state.

        Gradio begins a session for every plain call and keeps as many as
        ``state_session_capacity``, so that scripts would also push out the visitors' sessions.
        """
        holder = self.state_holder
        with holder.lock:
            kept = holder.session_data.get(session)
            if kept is not None and not kept.state_data:
                del holder.session_data[session]
                holder.time_last_used.pop(session, None)


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
