"""Every tool that agents find, called by a real MCP client against a live page."""

from __future__ import annotations

import ast
import asyncio
import base64
import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import mcp
import pytest
from mcp.client.streamable_http import streamable_http_client
from PIL import Image

from tmsa_core.domains import DOMAINS
from tmsa_core.imaging.metadata import encode_png

TEXTS = {"neutral_text": "human face", "target_text": "human face with sunglasses"}


def use(server: str, name: str, arguments: Mapping[str, Any]) -> mcp.types.CallToolResult:
    """Call a tool as agents do, by the description that the page gives of it."""

    async def call() -> mcp.types.CallToolResult:
        async with (
            streamable_http_client(f"{server}gradio_api/mcp/") as (read, write, _),
            mcp.ClientSession(read, write) as session,
        ):
            await session.initialize()
            tools = {tool.name: tool for tool in (await session.list_tools()).tools}
            jsonschema.validate(dict(arguments), tools[name].inputSchema)
            return await session.call_tool(name, dict(arguments))

    return asyncio.run(call())


def images(result: mcp.types.CallToolResult) -> list[Image.Image]:
    assert not result.isError, result.content
    found = [part.data for part in result.content if part.type == "image"]
    return [Image.open(io.BytesIO(base64.b64decode(data))) for data in found]


def texts(result: mcp.types.CallToolResult) -> str:
    return "\n".join(part.text for part in result.content if part.type == "text")


@pytest.fixture(scope="module")
def data_url(portrait: Image.Image) -> str:
    return "data:image/png;base64," + base64.b64encode(encode_png(portrait)).decode()


def test_edit(server: str, data_url: str, portrait: Image.Image) -> None:
    more = [{"target_text": "old human face", "alpha": 0.5}]
    arguments = {"image": data_url, **TEXTS, "aligned": True, "more_edits": more}
    (edited,) = images(use(server, "edit", arguments))
    assert edited.size == portrait.size


def test_align(server: str, data_url: str, portrait: Image.Image) -> None:
    result = use(server, "align", {"image": data_url})
    (crop,) = images(result)
    assert crop.size == portrait.size and "'quad'" in texts(result)


def test_invert(server: str, data_url: str, portrait: Image.Image) -> None:
    result = use(server, "invert", {"image": data_url, "aligned": True})
    (inverted,) = images(result)
    assert inverted.size == portrait.size and "'w_plus'" in texts(result)


def test_sweep(server: str, data_url: str) -> None:
    result = use(server, "sweep", {"image": data_url, **TEXTS, "steps": 2, "aligned": True})
    assert not result.isError and texts(result).count("image.png") >= 2


def test_batch(server: str, data_url: str, portrait: Image.Image) -> None:
    arguments = {"files": [data_url, data_url], **TEXTS, "aligned": True}
    result = use(server, "batch", arguments)
    assert not result.isError, result.content
    address, table = (part.text for part in result.content)
    rows = ast.literal_eval(table)
    assert [row["status"] for row in rows] == ["edited", "edited"]
    with zipfile.ZipFile(io.BytesIO(httpx.get(address).content)) as archive:
        edited = [name for name in archive.namelist() if name.endswith(".png")]
        assert len(edited) == 2
        with Image.open(io.BytesIO(archive.read(edited[0]))) as image:
            assert image.size == portrait.size


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("data:image/png;base64,abcde", "data URL cannot be decoded"),
        ("/etc/hostname", "What /batch was sent as a file is not one"),
        ("http://127.0.0.1:9/a.png", ""),
    ],
)
def test_batch_says_what_is_wrong_with_a_file(server: str, file: str, reason: str) -> None:
    result = use(server, "batch", {"files": [file], **TEXTS})
    assert result.isError and reason in texts(result) and "Traceback" not in texts(result)


def test_sample_and_domains(server: str) -> None:
    (drawn,) = images(use(server, "sample", {"seed": 3}))
    assert drawn.size == (DOMAINS["avatar"].resolution,) * 2
    assert "'key': 'avatar'" in texts(use(server, "domains", {}))


def test_every_tool_is_tried_here(server: str) -> None:
    described = httpx.get(f"{server}gradio_api/mcp/schema").json()
    named = Path(__file__).read_text()
    assert {tool["name"] for tool in described} == {
        "edit", "align", "invert", "sweep", "batch", "sample", "domains"
    }  # fmt: skip
    assert all(f'use(server, "{tool["name"]}"' in named for tool in described)
    assert "$ref" not in httpx.get(f"{server}gradio_api/mcp/schema").text
    edit = next(tool for tool in described if tool["name"] == "edit")
    assert "Edit the face in an image by two texts" in edit["description"]
    properties = edit["inputSchema"]["properties"]
    assert "human face with glasses" in properties["target_text"]["description"]
    assert "target_text" in properties["more_edits"]["items"]["properties"]
