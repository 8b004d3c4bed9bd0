"""The background task that deletes files and calls that nobody needs any more."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from starlette.concurrency import run_in_threadpool

from tmsa_core.server import limits

log = logging.getLogger(__name__)


@asynccontextmanager
async def cleaning(app: Any) -> AsyncIterator[None]:
    """The lifespan of Gradio's app: old files are deleted regularly, and all files at the end."""
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
        await asyncio.sleep(limits.CLEAN_EVERY)
        try:
            await blocks._queue.drop_unheard()
            await run_in_threadpool(blocks.leases.sweep, blocks._queue.files())
        except Exception as error:  # after any error the next round must follow
            log.warning(
                "Clearing the cache failed (%s); the next try follows.", type(error).__name__
            )
        for paths in blocks.temp_file_sets:  # to which Gradio only adds
            paths.clear()
