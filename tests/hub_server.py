"""A small server that imitates the Hugging Face Hub and the failures of networks."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import socket
import struct
import threading
import time
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
        private: Repositories that it denies having.
        slow: Seconds before each answer.
        address: The server's address.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    announced: dict[str, str] = field(default_factory=dict)
    faults: dict[str, list[tuple[str, int]]] = field(default_factory=dict)
    log: list[tuple[str, str, str]] = field(default_factory=list)
    held: dict[str, threading.Event] = field(default_factory=dict)
    commit: str = COMMIT
    private: set[str] = field(default_factory=set)
    slow: float = 0.0
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

    def do_POST(self) -> None:
        """Answer what huggingface_hub asks during an upload."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        repo = re.sub(r"^/(api/models/)?|(/preupload|/commit)/main$|\\.git/.*$", "", self.path)
        self.served.log.append(("POST", self.path[1:], ""))
        if self.path == "/api/validate-yaml":
            return self._json({"errors": [], "warnings": []})
        if self.path == "/api/repos/create":
            wanted = json.loads(body)
            return self._json({"url": f"{self.served.address}/{wanted.get('organization')}/x"})
        if self.path.endswith("/preupload/main"):
            paths = [file["path"] for file in json.loads(body)["files"]]
            modes = {path: "regular" if path.endswith(".md") else "lfs" for path in paths}
            return self._json(
                {
                    "files": [
                        {"path": path, "uploadMode": mode, "shouldIgnore": False}
                        for path, mode in modes.items()
                    ]
                }
            )
        if self.path.endswith("/objects/batch"):
            objects = [
                {**wanted, "actions": {"upload": {"href": self._storage(wanted["oid"])}}}
                for wanted in json.loads(body)["objects"]
            ]
            return self._json({"transfer": "basic", "objects": objects})
        for line in body.splitlines():
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "file":
                self.served.files[f"{repo}/{value['path']}"] = base64.b64decode(value["content"])
            elif entry["key"] == "lfsFile":
                content = self.served.files.pop(value["oid"])
                self.served.files[f"{repo}/{value['path']}"] = content
        address = f"{self.served.address}/{repo}/commit/{COMMIT}"
        return self._json({"success": True, "commitOid": COMMIT, "commitUrl": address})

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self.served.files[self._file()[0]] = content
        self._answer(200, {"Content-Length": "0"})

    def do_HEAD(self) -> None:
        name, content = self._file()
        self.served.log.append(("HEAD", name, ""))
        time.sleep(self.served.slow)
        if any(name.startswith(f"{repo}/") for repo in self.served.private):
            return self._answer(401, {"X-Error-Code": "RepoNotFound", "Content-Length": "0"})
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

    def _json(self, value: object) -> None:
        content = json.dumps(value).encode()
        headers = {"Content-Type": "application/json", "Content-Length": str(len(content))}
        self._answer(200, headers)
        self.wfile.write(content)

    def _answer(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.end_headers()
