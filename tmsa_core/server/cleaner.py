"""The task that deletes, while the server runs, what nobody needs any more."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from starlette.concurrency import run_in_threadpool

CLEAN_EVERY = 5.0  # seconds
log = logging.getLogger(__name__)


@asynccontextmanager
async def cleaning(app: Any) -> AsyncIterator[None]:
    """The lifespan of Gradio's app: files are cleared away while it lasts, and all at its end."""
    blocks = app.get_blocks()
    app.uploaded_file_dir = str(blocks.leases.folder)
    task = asyncio.create_task(_clean_regularly(blocks))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        blocks.leases.close()


async def _clean_regularly(blocks: Any) -> None:
    while True:
        await asyncio.sleep(CLEAN_EVERY)
        try:
            await blocks._queue.drop_unheard()
            await run_in_threadpool(blocks.leases.sweep, blocks._queue.files())
        except Exception as error:  # whatever it was, the next round must come
            log.warning(
                "Clearing the cache failed (%s); the next try follows.", type(error).__name__
            )
        for paths in blocks.temp_file_sets:  # which Gradio would only ever add to
            paths.clear()
