"""Blocks that plain HTTP calls find as easy as Gradio's own clients do.

A client fills in what a call leaves out and brings every value into the form that Gradio wants. A
``curl`` with a list of values does neither, and would be answered in Gradio's own terms.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gradio as gr
from anyio.to_thread import run_sync
from fastapi import Request
from fastapi.responses import JSONResponse
from gradio.blocks import BlockFunction
from gradio.exceptions import ComponentProcessingError, InvalidPathError
from gradio.queueing import Queue
from gradio.route_utils import FnIndexInferError
from gradio.state_holder import SessionState
from gradio_client.utils import is_file_obj_with_meta, is_http_url_like, traverse
from pydantic import ValidationError

from tmsa_core.errors import ImageError, RequestError, TmsaError
from tmsa_core.server.fair_queue import FairQueue
from tmsa_core.server.file_leases import NOT_SENT, Leases, write_whole
from tmsa_core.server.file_values import NO_FILE, named_files, with_stored_data
from tmsa_core.ui_parts import spoken

NOT_FETCHED = (
    "The picture at {0} could not be fetched: give an address that everybody can open, or upload "
    "the file itself."
)
NO_CALL = "This call of {0} does not fit ({1}): gradio_api/info lists what every endpoint takes."
NO_ENDPOINT = (KeyError, FnIndexInferError)
NO_ROOM = "The server has no room for more files: try again in some minutes."
TOO_DEEP = "The values of this call are nested too deeply: send plain values and lists."
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
CALLS = re.compile("/gradio_api/(call|run|api|queue)/")
MOST_QUOTED = 60  # letters of a name in a message
MISFITS = (TypeError, *NO_ENDPOINT)  # what Gradio raises of a call that does not fit


class ForgivingBlocks(gr.Blocks):
    """Blocks that fill in the values a call leaves out, and say in a sentence what is wrong.

    Every endpoint and every event of the page passes through ``process_api``, which admits only
    files that belong to the client.

    Attributes:
        leases: The files that visitors and scripts sent, and those made for them.
    """

    def __init__(self, leases: Leases, **settings: Any) -> None:
        super().__init__(**settings)
        self.leases = leases

    def queue(self, *args: Any, **settings: Any) -> ForgivingBlocks:
        """Gradio's ``queue``, with a queue that lets those go first who listen."""
        super().queue(*args, **settings)
        self._queue: Queue = FairQueue.like(self._queue)
        return self

    async def process_api(
        self,
        block_fn: BlockFunction | int,
        inputs: list[Any],
        *args: Any,
        session_hash: str | None = None,
        event_id: str | None = None,
        request: Any = None,
        iterator: Any = None,
        **settings: Any,
    ) -> dict[str, Any]:
        """Run one call, or the next step of one, after its files have been admitted."""
        settings |= {"session_hash": session_hash, "event_id": event_id, "request": request}
        settings |= {"iterator": iterator}
        function = self.fns[block_fn] if isinstance(block_fn, int) else block_fn
        client = self._client(session_hash, event_id, request)
        paths: list[str] = []
        with spoken_errors():
            if iterator is None:  # a further step goes on with the values of the first one
                inputs = await run_sync(self._stored, inputs, client)
                name = str(function.api_name or function.name)
                paths = named_files(function.inputs, inputs, name)
            with self.leases.using(client, paths):
                return await super().process_api(block_fn, inputs, *args, **settings)

    def _client(self, session_hash: str | None, event_id: str | None, request: Any) -> str:
        """Whose files a call may name: its session's, or those sent without one from its host."""
        if session_hash and session_hash != event_id:
            return session_hash
        peer = getattr(request, "client", None)
        return self.leases.anonymous(peer.host if peer else "")

    def _stored(self, inputs: list[Any], client: str) -> list[Any]:
        """The values with data URLs stored as files of the client."""

        def store(name: str, data: bytes) -> str:
            path = self.leases.new_folder() / name
            write_whole(path, data)
            self.leases.expect(str(path), client=client)
            return str(path)

        return with_stored_data(inputs, store)

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


@contextmanager
def spoken_errors() -> Iterator[None]:
    """Turn our errors, and those of a full disk, into what Gradio shows."""
    try:
        yield
    except TmsaError as error:
        raise spoken(error) from error
    except RecursionError as error:
        raise spoken(RequestError(TOO_DEEP)) from error
    except (OSError, ComponentProcessingError) as error:
        cause = error if isinstance(error, OSError) else error.__cause__
        if not isinstance(cause, OSError) or cause.errno not in DISK_FULL:
            raise
        raise spoken(RequestError(NO_ROOM)) from error


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
    if request.method != "POST" or not CALLS.search(request.url.path):
        raise error
    name = "/" + request.url.path.rstrip("/").rpartition("/")[2]
    name = name if len(name) <= MOST_QUOTED else name[: MOST_QUOTED - 1] + "…"
    reason = "there is no such endpoint" if isinstance(error, NO_ENDPOINT) else str(error)
    words = NO_CALL.format(name, reason.partition(". ")[0].rstrip("."))
    return JSONResponse({"error": words}, status_code=400)
