"""A small server that imitates the Hugging Face Hub and the failures of networks."""

from __future__ import annotations

import hashlib
import re
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """State of the server.

    Attributes:
        files: "org/name/file" -> content.
        announced: "org/name/file" -> a wrong SHA-256 that the Hub states.
        faults: "org/name/file" -> faults of its next downloads: ("reset", bytes sent),
            ("truncate", bytes sent), ("status", code) or ("ignore range", 0).
        log: Every request, as (method, file, Range header).
        held: "org/name/file" -> event; the download stops halfway until it is set.
        commit: The commit that the Hub states.
        address: The server's address.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    announced: dict[str, str] = field(default_factory=dict)
    faults: dict[str, list[tuple[str, int]]] = field(default_factory=dict)
    log: list[tuple[str, str, str]] = field(default_factory=list)
    held: dict[str, threading.Event] = field(default_factory=dict)
    commit: str = COMMIT
    address: str = ""

    def bodies(self, file: str) -> list[str]:
        """The Range headers of all downloads of a file."""
        return [asked for method, name, asked in self.log if (method, name) == ("GET", file)]


@contextmanager
def running_hub() -> Iterator[Hub]:
    """Run a hub on a free port of this machine."""
    hub = Hub()

    class Handler(_Handler):
        served = hub

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    served: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: Any) -> None:
        """Write nothing to standard error."""

    def do_HEAD(self) -> None:
        name, content = self._file()
        self.served.log.append(("HEAD", name, ""))
        if content is None:
            return self._answer(404, {"X-Error-Code": "EntryNotFound", "Content-Length": "0"})
        digest = self.served.announced.get(name) or hashlib.sha256(content).hexdigest()
        return self._answer(
            302,
            {
                "X-Repo-Commit": self.served.commit,
                "X-Linked-Etag": f'"{digest}"',
                "X-Linked-Size": str(len(content)),
                "ETag": '"of-a-pointer"',
                "Location": self._storage(name),
                "Content-Length": "0",
            },
        )

    def do_GET(self) -> None:
        name, content = self._file()
        if "/resolve/" in self.path:
            return self._answer(302, {"Location": self._storage(name), "Content-Length": "0"})
        asked = self.headers.get("Range", "")
        self.served.log.append(("GET", name, asked))
        if content is None:
            return self._answer(404, {"Content-Length": "0"})
        faults = self.served.faults.get(name, [])
        fault, amount = faults.pop(0) if faults else ("", 0)
        if fault == "status":
            return self._answer(amount, {"Content-Length": "0"})
        start = 0
        if asked and fault != "ignore range":
            start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1])
            if start >= len(content):
                return self._answer(416, {"Content-Length": "0"})
        rest = content[start:]
        headers = {"Content-Length": str(len(rest)), "Accept-Ranges": "bytes"}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        self._answer(206 if start else 200, headers)
        if name in self.served.held:
            self.wfile.write(rest[: len(rest) // 2])
            self.wfile.flush()
            self.served.held[name].wait(60)
            rest = rest[len(rest) // 2 :]
        self.wfile.write(rest[:amount] if fault in ("reset", "truncate") else rest)
        if fault in ("reset", "truncate"):
            self.wfile.flush()
            self.close_connection = True
        if fault == "reset":
            hard = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, hard)
        return None

    def _storage(self, name: str) -> str:
        """The address of a large file, which is on another host."""
        return f"http://localhost:{self.server.server_address[1]}/cdn/{name}"

    def _file(self) -> tuple[str, bytes | None]:
        path = self.path[1:]
        if "/resolve/" in path:
            repo, rest = path.split("/resolve/")
            name = f"{repo}/{rest.split('/', 1)[1]}"
        else:
            name = path.removeprefix("cdn/")
        return name, self.served.files.get(name)

    def _answer(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.end_headers()
