"""Blocks that accept plain HTTP calls as easily as those of Gradio's own clients.

A client fills in the values that a call leaves out and brings every value into the form that
Gradio wants. A ``curl`` with a list of values does neither, and would get Gradio's own errors.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gradio as gr
from anyio.to_thread import run_sync
from gradio.blocks import BlockFunction
from gradio.exceptions import ComponentProcessingError, InvalidPathError
from gradio.queueing import Queue
from gradio.state_holder import SessionState
from pydantic import ValidationError

from tmsa_core.errors import ImageError, RequestError, TmsaError, shortened
from tmsa_core.files import DISK_FULL
from tmsa_core.server.call_files import NO_FILE, named_files, with_stored_files
from tmsa_core.server.events import as_gradio_error
from tmsa_core.server.fair_queue import FairQueue
from tmsa_core.server.file_leases import NO_ROOM, NOT_SENT, Leases, write_cached
from tmsa_core.server.messages import toast_error
from tmsa_core.server.web_app import keep_lookups_local, web_app_options

TOO_DEEP = "The values of this call are nested too deeply: send plain values and lists."
NO_VALUE = "A value of this call does not fit ({0}): send what gradio_api/info lists."
NO_FUNCTION = "This event runs in the browser alone: use the page itself."
NO_EVENT = "The values of this event do not fit, or the page has a fault: reload the page."
LONGEST_MESSAGE = 500  # letters

log = logging.getLogger(__name__)


class LenientBlocks(gr.Blocks):
    """Blocks that fill in the values a call leaves out, and answer a wrong call with a sentence.

    Every endpoint and every event of the page passes through ``process_api``, which admits only
    files that belong to the client.

    Attributes:
        leases: The files that visitors and scripts sent, and those made for them.
    """

    def __init__(self, leases: Leases, **settings: Any) -> None:
        super().__init__(**settings)
        self.leases = leases

    def queue(self, *args: Any, **settings: Any) -> LenientBlocks:
        """Gradio's ``queue``, in which calls whose caller listens come first."""
        super().queue(*args, **settings)
        self._queue: Queue = FairQueue.like(self._queue)
        return self

    def launch(
        self, *args: Any, allowed_hosts: Collection[str] = (), **options: Any
    ) -> tuple[Any, str, str]:
        """Serve the page as Gradio does, but by a ``WebApp``.

        Args:
            args: As of Gradio's ``launch``.
            allowed_hosts: Names that the page answers to, besides those of this machine.
            options: As of Gradio's ``launch``.

        Returns:
            The web application, the local address and the shared one.
        """
        keep_lookups_local()
        return super().launch(*args, **web_app_options(allowed_hosts), **options)

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
                    if function.fn is None:
                        raise RequestError(NO_FUNCTION)
                    return await super().process_api(function, inputs, *args, **settings)
        except Exception as error:
            if not is_page_event:
                raise
            shown = error if isinstance(error, gr.Error) else _unexpected(error)
            raise toast_error(shown) from error
        finally:
            if not is_page_event and session_hash is not None:
                self._forget(session_hash)

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
        except gr.Error as error:
            error.print_exception = False  # the caller's mistake, nothing for the server's log
            if len(error.message) > LONGEST_MESSAGE:
                error.message = shortened(error.message)
            raise
        except ValidationError as error:  # only files have a form that Gradio insists on
            raise as_gradio_error(RequestError(NO_FILE.format(block_fn.api_name))) from error
        except InvalidPathError as error:
            raise as_gradio_error(ImageError(NOT_SENT)) from error
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            if isinstance(error.__cause__, OSError):
                raise
            reason = shortened(error.__cause__ or error)
            raise as_gradio_error(RequestError(NO_VALUE.format(reason))) from error

    def _with_files(self, function: BlockFunction, inputs: list[Any], client: str) -> list[Any]:
        def store(name: str, data: bytes) -> str:
            path = self.leases.new_folder() / name
            write_cached(path, data)
            self.leases.expect(str(path), client=client)
            return str(path)

        return with_stored_files(function.inputs, inputs, store)

    def _client(self, session_hash: str | None, event_id: str | None, request: Any) -> str:
        """Whose files a call may name: its session's, or those that its host sent without one.

        All MCP tools are called in one session of Gradio's own, so it stands for nobody.
        """
        headers = getattr(request, "headers", {})
        is_tool = headers.get("x-gradio-user") == "mcp"
        if session_hash and session_hash != event_id and not is_tool:
            return session_hash
        peer = getattr(request, "client", None)
        return self.leases.anonymous(
            f"{peer.host if peer else ''} {headers.get('mcp-session-id', '')}"
        )

    def _forget(self, session: str) -> None:
        """Drop the 0.3 MB that Gradio keeps of a session, unless it holds a page's state.

        Gradio begins a session for every plain call and keeps as many as
        ``state_session_capacity``, so that scripts would also push out the visitors' sessions.
        """
        holder = self.state_holder
        with holder.lock:
            kept = holder.session_data.get(session)
            if kept is not None and not kept.state_data:
                del holder.session_data[session]
                holder.time_last_used.pop(session, None)


def _unexpected(error: Exception) -> gr.Error:
    """Log where an event of the page failed, in one line; a hand-made call can have any values."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    name = Path(place.filename).name
    log.warning("An event of the page failed: %s, %s:%s.", type(error).__name__, name, place.lineno)
    return as_gradio_error(RequestError(NO_EVENT))


@contextmanager
def gradio_errors() -> Iterator[None]:
    """Turn our errors, and those of a full disk, into errors that Gradio shows."""
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
