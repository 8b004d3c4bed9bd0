"""Memory and folders of the page's server over time, at one edit per period.

Run with ``python -m benchmarks.soak SECONDS [PERIOD]``. A server of its own runs in a second
process. Every edit sends an image that was not sent before, as a script with plain HTTP does. The
program prints the server's resident memory, and the files and folders of its cache, once a minute.
"""

from __future__ import annotations

import io
import os
import sys
import tempfile
import time
from pathlib import Path

import httpx
import numpy as np
from PIL import Image

from tests.live import running_server
from tmsa_core.bundles import open_bundle

PERIOD = 2.4  # seconds from one edit to the next
REPORT_EVERY = 60.0  # seconds
TEXTS = ("human face", "human face with glasses")


def resident_megabytes(process: int) -> float:
    """Resident memory of a process in MB, from Linux's /proc."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"/proc/{process}/status has no line VmRSS")


def count_files(folder: Path) -> tuple[int, int]:
    """(files, folders) below a folder."""
    files = folders = 0
    for _, inner, names in os.walk(folder):
        files += len(names)
        folders += len(inner)
    return files, folders


def different_image(portrait: Image.Image, number: int) -> bytes:
    """The portrait as PNG, one pixel changed so that no two numbers give the same file."""
    pixels = np.array(portrait)
    pixels[0, 0] = [number % 256, number // 256 % 256, number // 65536 % 256]
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def edit(server: httpx.Client, image: bytes) -> None:
    """Upload an image, edit it and fetch the result."""
    files = {"files": ("portrait.png", image, "image/png")}
    [path] = server.post("gradio_api/upload", files=files).raise_for_status().json()
    sent = {"path": path, "meta": {"_type": "gradio.FileData"}}
    call = {"data": [sent, *TEXTS, 1.0]}
    answer = server.post("gradio_api/call/edit", json=call).raise_for_status().json()
    events = server.get(f"gradio_api/call/edit/{answer['event_id']}").raise_for_status().text
    if "event: complete" not in events:
        raise RuntimeError(f"the edit failed: {events[-300:]}")


def soak(process: int, cache: Path, server: httpx.Client, seconds: float, period: float) -> None:
    """Edit once per period and print what the server uses."""
    portrait = Image.open(sorted(open_bundle("avatar").folder.glob("samples/*.png"))[0])
    portrait = portrait.convert("RGB")
    start = time.monotonic()
    edits, next_report = 0, 0.0
    while (now := time.monotonic() - start) < seconds:
        if now >= next_report:
            files, folders = count_files(cache)
            memory = resident_megabytes(process)
            print(
                f"{now:6.0f} s  {edits:5d} edits  {memory:7.1f} MB  "
                f"{files:5d} files  {folders:5d} folders",
                flush=True,
            )
            next_report += REPORT_EVERY
        edit(server, different_image(portrait, edits))
        edits += 1
        time.sleep(max(0.0, edits * period - (time.monotonic() - start)))
    files, folders = count_files(cache)
    print(f"end: {edits} edits, {resident_megabytes(process):.1f} MB, {files} files, {folders}")


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 600.0
    period = float(sys.argv[2]) if len(sys.argv) > 2 else PERIOD
    with (
        tempfile.TemporaryDirectory() as folder,
        running_server(Path(folder)) as server,
        httpx.Client(base_url=server.address, timeout=60) as client,
    ):
        soak(server.process.pid, server.cache, client, seconds, period)


if __name__ == "__main__":
    main()
