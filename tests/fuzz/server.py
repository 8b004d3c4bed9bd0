"""A live server in a process of its own, with everything that it may change kept apart."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[2]
APP = (sys.executable, "app.py")
START = 180.0  # seconds until it answers, at most


@dataclass(frozen=True)
class Server:
    """A running server. checkpoints: its own copy. cache: where it keeps visitors' files."""

    process: subprocess.Popen[bytes]
    address: str
    log: Path
    cache: Path
    checkpoints: Path

    def logged(self, offset: int = 0) -> str:
        """What it has written so far, from a place on."""
        return self.log.read_bytes()[offset:].decode(errors="replace")

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@contextmanager
def running_server(folder: Path, command: Sequence[str] = APP) -> Iterator[Server]:
    """Start a server that keeps all its files in ``folder``; it is killed in the end."""
    checkpoints, cache = folder / "checkpoints", folder / "cache"
    if not checkpoints.exists():
        shutil.copytree(ROOT / "checkpoints", checkpoints)
    port = free_port()
    environment = os.environ | {
        "GRADIO_SERVER_NAME": "127.0.0.1",
        "GRADIO_SERVER_PORT": str(port),
        "GRADIO_TEMP_DIR": str(cache),
        "GRADIO_ANALYTICS_ENABLED": "False",
        "HF_HUB_OFFLINE": "1",
        "TMSA_CACHE": str(folder / "downloads"),
        "TMSA_CHECKPOINTS": str(checkpoints),
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
    }
    log = folder / f"server-{port}.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=out, stderr=subprocess.STDOUT
        )
    server = Server(process, f"http://127.0.0.1:{port}", log, cache, checkpoints)
    try:
        _wait(server)
        yield server
    finally:
        server.kill()


def _wait(server: Server) -> None:
    end = time.monotonic() + START
    while time.monotonic() < end and server.process.poll() is None:
        try:
            httpx.get(server.address, timeout=5)
        except httpx.TransportError:
            time.sleep(0.2)
        else:
            return
    raise RuntimeError(f"the server did not start: {server.logged()[-2000:]}")


def free_port() -> int:
    """A port that nobody uses."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def hashes(folder: Path) -> Mapping[str, str]:
    """The SHA-256 of every file of a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def traceback_in(log: str) -> str:
    """The last error of a log that holds a traceback, without what differs each time; or ""."""
    if "Traceback (most recent call last)" not in log:
        return ""
    errors = re.findall(
        r"^([\w.]*(?:Error|Exception|Interrupt|Exit|Fault|Warning)\b.*)$", log, re.M
    )
    return re.sub(r"\d+", "N", errors[-1])[:80] if errors else "an unknown error"
