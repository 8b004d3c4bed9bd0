"""The routes for uploads and downloads, which replace Gradio's own.

Gradio names an upload by its content and serves every file of its upload folder. Here every upload
gets a folder with a random name, and only registered files are served.
"""

from __future__ import annotations

import logging
import math
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fastapi.responses import JSONResponse
from gradio.route_utils import MultiPartException, file_fetch, upload_fn
from gradio.routes import API_PREFIX, file_upload_statuses
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from tmsa_core.server.file_leases import NO_ROOM, Leases

CLIENT_GONE = 499  # the code that nginx uses; no client reads it
BAD_UPLOAD = "Send each file in a form field `files`, as multipart/form-data."
NO_SUCH_FILE = "There is no such file, or it has been deleted."
UNREADABLE = (AttributeError, KeyError, TypeError, ValueError, AssertionError)
log = logging.getLogger(__name__)


def file_routes() -> list[Route]:
    """Return the routes, for ``FastAPI(routes=...)``: Gradio adds its own after them."""
    served = {"methods": ["GET"]}  # HEAD comes with it
    return [
        Route(f"{API_PREFIX}/upload", upload, methods=["POST"]),
        Route(f"{API_PREFIX}/file={{path:path}}", serve_file, **served),
        Route(f"{API_PREFIX}/file/{{path:path}}", serve_file, **served),
    ]


async def upload(request: Request) -> Response:
    """Store the files of a form in a new folder and answer their paths."""
    leases: Leases = request.app.get_blocks().leases
    try:
        with _emptied_on_failure(leases.new_folder()) as folder:
            paths = await _receive(request, folder)
    except MultiPartException as error:
        return _refusal(error.message, 413 if "maximum allowed size" in error.message else 400)
    except HTTPException as error:
        return _refusal(error.detail, error.status_code)
    except ClientDisconnect:
        return Response(status_code=CLIENT_GONE)
    except OSError as error:
        log.warning("An upload could not be stored: %s.", error.strerror)
        return _refusal(NO_ROOM, 507)
    except UNREADABLE:
        return _refusal(BAD_UPLOAD, 400)
    leases.expect(*paths)
    return JSONResponse(paths)


@contextmanager
def _emptied_on_failure(folder: Path) -> Iterator[Path]:
    try:
        yield folder
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


async def _receive(request: Request, folder: Path) -> list[str]:
    upload_id = request.query_params.get("upload_id")
    largest = request.app.get_blocks().max_file_size
    try:
        paths, _, _ = await upload_fn(
            request,
            str(folder),
            math.inf if largest is None else largest,
            upload_id,
            upload_progress=file_upload_statuses if upload_id else None,
        )
    except BaseException:
        file_upload_statuses.stop_tracking(upload_id or "")
        raise
    if not paths:
        raise ValueError("the form has no field `files`")
    return paths


def _refusal(sentence: str, status: int) -> Response:
    return JSONResponse({"error": sentence}, status_code=status)


async def serve_file(request: Request) -> Response:
    """Answer a registered file: only those who received its random path know it."""
    blocks = request.app.get_blocks()
    path = request.path_params["path"]
    if not blocks.leases.knows(path):
        return _refusal(NO_SUCH_FILE, 404)
    return await run_in_threadpool(file_fetch, path, request, blocks, str(blocks.leases.folder))
