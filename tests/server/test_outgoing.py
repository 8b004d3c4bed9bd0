"""The page contacts nobody: every connection and every look-up of a live server is recorded."""

from __future__ import annotations

import asyncio
import base64
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import mcp
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from mcp.client.streamable_http import streamable_http_client
from PIL import Image

from tests.live import ROOT, running_app

TEXTS = ("human face", "human face with sunglasses")
# Audit hooks see also what libraries written in C, or asyncio, ask of the operating system.
WATCHED = """
import runpy, sys
log = open(sys.argv[1], "a", buffering=1)
def note(event, arguments):
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        address = arguments[1]
        if isinstance(address, tuple):
            print(address[0], file=log)
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        host = arguments[0]
        print(host.decode() if isinstance(host, bytes) else host, file=log)
sys.addaudithook(note)
sys.argv = sys.argv[2:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
HERE = {"127.0.0.1", "localhost", "0.0.0.0", "::1", "::", "None"}
REFUSED = ("http://10.1.2.3/image.png", "http://127.0.0.1:9/image.png")


@pytest.fixture(scope="module")
def contacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("watched") / "contacts"


@pytest.fixture(scope="module")
def watched(contacts: Path) -> Iterator[str]:
    """The address of a page that runs in a process of its own, as its users start it."""
    command = [sys.executable, "-c", WATCHED, str(contacts), str(ROOT / "app.py")]
    with running_app(command) as address:
        yield address


async def draw(address: str) -> bytes:
    async with (
        streamable_http_client(f"{address}gradio_api/mcp/") as (read, write, _),
        mcp.ClientSession(read, write) as session,
    ):
        await session.initialize()
        answer = await session.call_tool("sample", {"seed": 3})
        return base64.b64decode(next(p for p in answer.content if p.type == "image").data)


def test_start_page_edit_refused_address_and_first_tool_call_stay_here(
    watched: str, contacts: Path, portrait: Image.Image, tmp_path: Path
) -> None:
    assert "Edit a face with words" in httpx.get(watched).text
    path = tmp_path / "portrait.png"
    portrait.save(path)
    client = Client(watched, verbose=False, analytics_enabled=False, download_files=tmp_path)
    try:
        edited = client.predict(handle_file(path), *TEXTS, aligned=True, api_name="/edit")
        with Image.open(edited) as image:
            assert image.size == portrait.size
        for address in REFUSED:
            with pytest.raises(AppError):
                file_value = {"path": address, "meta": {"_type": "gradio.FileData"}}
                client.predict(file_value, *TEXTS, api_name="/edit")
    finally:
        client.close()
    with Image.open(io.BytesIO(asyncio.run(draw(watched)))) as drawn:
        assert drawn.size == portrait.size
    named = {address.split("/")[2].split(":")[0] for address in REFUSED}
    assert set(contacts.read_text().split()) <= HERE | named, "somebody else was contacted"


def test_a_lookup_that_fails_asks_no_public_service() -> None:
    script = (
        "import asyncio, safehttpx, sys\n"
        "from tmsa_core.server.web_app import keep_lookups_local\n"
        "sys.addaudithook(lambda e, a: e == 'socket.connect' and print('CONNECT', a[1]))\n"
        "keep_lookups_local()\n"
        "try:\n"
        "    asyncio.run(safehttpx.async_validate_url('127.0.0.1'))\n"
        "except ValueError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "Hostname 127.0.0.1 failed validation"
