"""A page in a process of its own, started as its users start it, on a free port."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.conftest import free_port

ROOT = Path(__file__).parent.parent
# What keeps the tests themselves quiet must not be what keeps the page quiet.
QUIET = ("GRADIO_ANALYTICS_ENABLED", "HF_HUB_OFFLINE")
APP = (sys.executable, str(ROOT / "app.py"))
START = 180.0  # seconds until a page answers, at most


@dataclass(frozen=True)
class Server:
    """A running page with a folder of its own.

    Attributes:
        process: The process.
        address: Without a slash at the end.
        log: Everything that the page has written.
        cache: Its folder for visitors' files.
        checkpoints: Its own copy of the committed bundles.
    """

    process: subprocess.Popen[bytes]
    address: str
    log: Path
    cache: Path
    checkpoints: Path

    def kill(self) -> None:
        """End the page at once, as a crash would."""
        self.process.kill()
        self.process.wait()


@contextmanager
def running_app(
    command: Sequence[str] = APP,
    environment: Mapping[str, str] | None = None,
    log: Path | None = None,
) -> Iterator[str]:
    """Start a page and stop it by SIGTERM at the end.

    Args:
        command: What starts it.
        environment: Variables to add.
        log: Where its output goes, if it is of interest.

    Yields:
        Its address, which ends with a slash.
    """
    with tempfile.TemporaryDirectory() as folder:
        process, address = _start(command, environment or {}, Path(folder), log)
        try:
            _wait(address, process, log or Path(folder) / "log")
            yield f"{address}/"
        finally:
            process.terminate()
            process.wait(timeout=200)


@contextmanager
def running_server(folder: Path) -> Iterator[Server]:
    """Start a page that keeps all its files in ``folder``; it is killed at the end."""
    checkpoints, cache, log = folder / "checkpoints", folder / "cache", folder / "log"
    if not checkpoints.exists():
        shutil.copytree(ROOT / "checkpoints", checkpoints)
    environment = {
        "GRADIO_TEMP_DIR": str(cache),
        "TMSA_CACHE": str(folder / "downloads"),
        "TMSA_CHECKPOINTS": str(checkpoints),
        "PYTHONUNBUFFERED": "1",
    }
    process, address = _start(APP, environment, folder, log)
    server = Server(process, address, log, cache, checkpoints)
    try:
        _wait(address, process, log)
        yield server
    finally:
        server.kill()


def _start(
    command: Sequence[str], environment: Mapping[str, str], folder: Path, log: Path | None
) -> tuple[subprocess.Popen[bytes], str]:
    port = free_port()
    variables = {k: v for k, v in os.environ.items() if k not in QUIET}
    variables |= {"PYTHONPATH": str(ROOT), "GRADIO_SERVER_PORT": str(port), **environment}
    with (log or folder / "log").open("wb") as out:
        process = subprocess.Popen(
            command, cwd=folder, env=variables, stdout=out, stderr=subprocess.STDOUT
        )
    return process, f"http://127.0.0.1:{port}"


def _wait(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until a page answers; AssertionError with its output where it ends instead."""
    end = time.monotonic() + START
    while time.monotonic() < end:
        assert process.poll() is None, log.read_text()
        try:
            httpx.get(address, timeout=5, trust_env=False)
        except httpx.HTTPError:
            time.sleep(0.25)
        else:
            return
    raise AssertionError(f"no answer from {address}: {log.read_text()}")


def hashes(folder: Path) -> dict[str, str]:
    """The SHA-256 of every file of a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}
