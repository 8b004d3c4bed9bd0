"""A page in a process of its own, started as its users start it, on a free port."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.conftest import free_port

ROOT = Path(__file__).parent.parent
# What keeps the tests themselves quiet must not be what keeps the page quiet.
QUIET = ("GRADIO_ANALYTICS_ENABLED", "HF_HUB_OFFLINE")
APP = (sys.executable, str(ROOT / "app.py"))


@contextmanager
def running_app(
    command: Sequence[str] = APP,
    environment: Mapping[str, str] | None = None,
    log: Path | None = None,
) -> Iterator[str]:
    """Start the page and stop it at the end.

    Args:
        command: What starts it.
        environment: Variables to add.
        log: Where its output goes, if it is of interest.

    Yields:
        Its address, which ends with a slash.
    """
    port = free_port()
    variables = {k: v for k, v in os.environ.items() if k not in QUIET}
    variables |= {"PYTHONPATH": str(ROOT), "GRADIO_SERVER_PORT": str(port), **(environment or {})}
    with tempfile.TemporaryDirectory() as folder:
        path = log or Path(folder) / "log"
        with path.open("w") as out:
            process = subprocess.Popen(
                command,
                cwd=folder,
                env=variables,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        try:
            address = f"http://127.0.0.1:{port}/"
            wait_for(address, process, path)
            yield address
        finally:
            process.terminate()
            process.wait(timeout=60)


def wait_for(address: str, process: subprocess.Popen, log: Path) -> None:
    """Wait until a page answers; AssertionError with its output where it ends instead."""
    for _ in range(600):
        assert process.poll() is None, log.read_text()
        try:
            httpx.get(address, timeout=5, trust_env=False)
        except httpx.HTTPError:
            time.sleep(0.25)
        else:
            return
    raise AssertionError(f"no answer from {address}: {log.read_text()}")
