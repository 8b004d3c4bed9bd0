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
from gradio.routes import ORJSONResponse
from gradio.state_holder import SessionState
from pydantic import ValidationError

from tmsa_core.errors import ImageError, RequestError, TmsaError
from tmsa_core.server.addresses import without_addresses
from tmsa_core.server.events import as_gradio_error
from tmsa_core.server.fair_queue import FairQueue
from tmsa_core.server.file_leases import NOT_SENT, Leases, write_whole
from tmsa_core.server.file_lists import file_objects
from tmsa_core.server.file_values import NO_FILE, named_files, with_stored_data
from tmsa_core.server.hosts import GuardedApp
from tmsa_core.server.messages import toast_error
from tmsa_core.server.outgoing import keep_lookups_local

NO_CALL = "This call of {0} does not fit ({1}): gradio_api/info lists what every endpoint takes."
NO_ENDPOINT = (KeyError, FnIndexInferError)
NO_ROOM = "The server has no room for more files: try again in some minutes."
TOO_DEEP = "The values of this call are nested too deeply: send plain values and lists."
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
CALLS = re.compile("/gradio_api/(call|run|api|queue)/")
MOST_QUOTED = 60  # letters of a name in a message
MISFITS = (TypeError, *NO_ENDPOINT)  # what Gradio raises of a call that does not fit


class LenientBlocks(gr.Blocks):
    """Blocks that fill in the values a call leaves out, and say in a sentence what is wrong.

    Every endpoint and every event of the page passes through ``process_api``, which admits only
    files that belong to the client.

    Attributes:
        leases: The files that visitors and scripts sent, and those made for them.
    """

    def __init__(self, leases: Leases, **settings: Any) -> None:
        super().__init__(**settings)
        self.leases = leases

    def queue(self, *args: Any, **settings: Any) -> LenientBlocks:
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
        """Run one call, or the next step of one, after its files have been admitted.

        The page shows an error as HTML, so an error of a page's event is escaped here. A script
        gets the error as it is, and leaves no session behind.
        """
        settings |= {"session_hash": session_hash, "event_id": event_id, "request": request}
        settings |= {"iterator": iterator}
        function = self.fns[block_fn] if isinstance(block_fn, int) else block_fn
        is_page_event = function.api_visibility == "private"
        client = self._client(session_hash, event_id, request)
        paths: list[str] = []
        try:
            with gradio_errors():
                if iterator is None:  # a further step has the values of the first one
                    inputs = await run_sync(self._with_files, function, inputs, client)
                    name = str(function.api_name or function.name)
                    paths = named_files(function.inputs, inputs, name)
                with self.leases.using(client, paths):
                    return await super().process_api(function, inputs, *args, **settings)
        except Exception as error:
            if not is_page_event:
                raise
            raise toast_error(error) from error
        finally:
            if not is_page_event and session_hash is not None:
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

    def _client(self, session_hash: str | None, event_id: str | None, request: Any) -> str:
        """Whose files a call may name: its session's, or those sent without one from its host."""
        if session_hash and session_hash != event_id:
            return session_hash
        peer = getattr(request, "client", None)
        return self.leases.anonymous(peer.host if peer else "")

    def _with_files(self, function: BlockFunction, inputs: list[Any], client: str) -> list[Any]:
        """The values of a call with every file as a path: data URLs stored, addresses refused."""

        def store(name: str, data: bytes) -> str:
            path = self.leases.new_folder() / name
            write_whole(path, data)
            self.leases.expect(str(path), client=client)
            return str(path)

        parts = [*function.inputs, *[None] * len(inputs)]
        values = [file_objects(part, value) for part, value in zip(parts, inputs, strict=False)]
        return with_stored_data(without_addresses(values), store)

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
        try:
            return await super().preprocess_data(block_fn, values, state, explicit_call)
        except (gr.Error, ComponentProcessingError):
            raise
        except ValidationError as error:  # only files have a form that Gradio insists on
            raise as_gradio_error(RequestError(NO_FILE.format(block_fn.api_name))) from error
        except InvalidPathError as error:
            raise as_gradio_error(ImageError(NOT_SENT)) from error


@contextmanager
def gradio_errors() -> Iterator[None]:
    """Turn our errors, and those of a full disk, into what Gradio shows."""
    try:
        yield
    except TmsaError as error:
        raise as_gradio_error(error) from error
    except RecursionError as error:
        raise as_gradio_error(RequestError(TOO_DEEP)) from error
    except (OSError, ComponentProcessingError) as error:
        cause = error if isinstance(error, OSError) else error.__cause__
        if not isinstance(cause, OSError) or cause.errno not in DISK_FULL:
            raise
        raise as_gradio_error(RequestError(NO_ROOM)) from error


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
