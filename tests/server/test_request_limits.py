"""What one client may send and how many of its calls may wait, on a live server."""

from __future__ import annotations

import asyncio
import io
import json
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from gradio_client import Client
from PIL import Image
from starlette.types import Message, Receive, Scope, Send

from tmsa_core import Editor, EditRequest
from tmsa_core.errors import ImageError, TextError
from tmsa_core.imaging.images import MAX_JPEG2000_PIXELS, load_image
from tmsa_core.server import limits
from tmsa_core.server.request_limits import RequestLimits
from tmsa_core.text.cleaning import MAX_CHARACTERS_CLEANED, MAX_RAW_CHARACTERS, clean_text
from tmsa_core.ui.page import build_ui, launch_options

DEADLINE = 120.0  # seconds
ONE, OTHER = "8.8.8.8", "1.1.1.1"  # clients behind a proxy on this machine
LONG_LIGATURE = "\ufdfa"  # 18 characters in NFKC form


@pytest.fixture
def client(server: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server, timeout=DEADLINE) as client:
        yield client


def join(client: httpx.Client, address: str, seed: int) -> httpx.Response:
    headers = {"X-Forwarded-For": address}
    return client.post("gradio_api/call/sample", json={"data": [seed]}, headers=headers)


def finish(client: httpx.Client, answers: list[httpx.Response]) -> None:
    for answer in answers:
        if answer.status_code == 200:
            event = answer.json()["event_id"]
            assert "event: complete" in client.get(f"gradio_api/call/sample/{event}").text


def test_one_client_leaves_room_for_others(server: str, client: httpx.Client) -> None:
    async def rush() -> list[httpx.Response]:
        pool = httpx.Limits(max_connections=60)
        async with httpx.AsyncClient(base_url=server, timeout=DEADLINE, limits=pool) as many:
            headers = {"X-Forwarded-For": ONE}
            calls = (
                many.post("gradio_api/call/sample", json={"data": [i]}, headers=headers)
                for i in range(60)
            )
            return await asyncio.gather(*calls)

    answers = asyncio.run(rush())
    refused = [answer for answer in answers if answer.status_code == 429]
    assert {answer.status_code for answer in answers} == {200, 429}
    words = refused[0].json()
    assert "calls of yours are waiting" in words["error"] and words["detail"] == words["error"]
    assert int(refused[0].headers["Retry-After"]) >= 1
    others = [join(client, OTHER, i) for i in range(3)]
    assert all(answer.status_code == 200 for answer in others)
    finish(client, [*answers, *others])
    assert join(client, ONE, 1).status_code == 200  # once they are answered there is room again


def test_a_full_queue_says_how_long(server: str, client: httpx.Client) -> None:
    async def rush() -> list[httpx.Response]:
        pool = httpx.Limits(max_connections=120)
        async with httpx.AsyncClient(base_url=server, timeout=DEADLINE, limits=pool) as many:
            calls = (many.post("gradio_api/call/sample", json={"data": [i]}) for i in range(120))
            return await asyncio.gather(*calls)

    answers = asyncio.run(rush())
    full = [answer for answer in answers if answer.status_code == 503]
    assert full, "the machine was quicker than the calls came"
    assert "try again in about" in full[-1].json()["error"]
    finish(client, answers)


def test_a_body_beyond_the_limit_is_refused(client: httpx.Client) -> None:
    large = json.dumps({"data": ["x" * (33 << 20)]}).encode()
    headers = {"Content-Type": "application/json"}
    for path in ("call/edit", "call/v2/edit", "run/predict", "queue/join", "mcp/"):
        answer = client.post(f"gradio_api/{path}", content=large, headers=headers)
        assert answer.status_code == 413, path
        assert answer.json()["error"].startswith("The request has more than 32 MB")


def test_an_image_of_20_mb_still_goes_in_as_a_data_url(client: httpx.Client) -> None:
    url = "data:image/png;base64," + "A" * (27 << 20)
    image = {"url": url, "meta": {"_type": "gradio.FileData"}}
    call = {"data": [image, "human face", "old human face"]}
    event = client.post("gradio_api/call/edit", json=call).raise_for_status().json()["event_id"]
    assert "20 MB" in client.get(f"gradio_api/call/edit/{event}").text


class Application:
    """Reads what it is sent and says how many bytes that were."""

    def __init__(self) -> None:
        self.seen = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            self.seen += len(message["body"])
            more = message["more_body"]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})


def send_in_parts(path: str, parts: int, headers: list[tuple[bytes, bytes]]) -> tuple[int, int]:
    """(status, bytes that came through) of a request in parts of 1 KB, at limits of 4 and 8 KB."""
    inner, sent = Application(), []
    app = RequestLimits(inner)
    left = iter(range(parts - 1, -1, -1))

    async def receive() -> Message:
        return {"type": "http.request", "body": b"x" * 1024, "more_body": next(left) > 0}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": path, "headers": headers}
    asyncio.run(app(scope, receive, send))
    starts = [message for message in sent if message["type"] == "http.response.start"]
    assert len(starts) == 1
    return starts[0]["status"], inner.seen


@pytest.fixture
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """4 KB for a body and 8 KB for an upload."""
    monkeypatch.setattr(limits, "BODY_BYTES", 4 << 10)
    monkeypatch.setattr(limits, "UPLOAD_BYTES", 8 << 10)


@pytest.mark.usefixtures("small_limits")
@pytest.mark.parametrize(
    ("path", "parts", "status"),
    [
        ("/gradio_api/component_server", 4, 200),
        ("/gradio_api/component_server", 5, 413),
        ("/gradio_api/upload", 8, 200),
        ("/gradio_api/upload", 9, 413),
    ],
)
def test_bytes_are_counted_whatever_the_header_says(path: str, parts: int, status: int) -> None:
    most = 4096 if "component" in path else 8192
    for headers in ([], [(b"content-length", b"10")], [(b"content-length", b"many")]):
        answered, seen = send_in_parts(path, parts, headers)
        assert answered == status and seen <= most


@pytest.mark.usefixtures("small_limits")
def test_a_declared_length_is_refused_before_a_byte_is_read() -> None:
    headers = [(b"content-length", b"9000000")]
    assert send_in_parts("/gradio_api/upload", 1, headers) == (413, 0)


def test_an_upload_of_too_many_files_is_refused(client: httpx.Client) -> None:
    files = [("files", (f"{i}.png", b"x")) for i in range(1001)]
    answer = client.post("gradio_api/upload", files=files)
    assert answer.status_code == 400 and "Too many files" in answer.text


@pytest.mark.parametrize("name", ["process_recording", "deep_link?session_hash=x"])
def test_routes_that_the_page_does_not_use_are_closed(client: httpx.Client, name: str) -> None:
    method = "GET" if "deep" in name else "POST"
    assert client.request(method, f"gradio_api/{name}").status_code == 403


@pytest.mark.parametrize(
    "text",
    [
        LONG_LIGATURE * 300_000,
        LONG_LIGATURE * (MAX_CHARACTERS_CLEANED // 18 + 1),
        "a" * (MAX_RAW_CHARACTERS + 1),
    ],
    ids=["many ligatures", "long after cleaning", "long as it arrives"],
)
def test_a_long_text_is_refused_before_it_is_cleaned(editor: Editor, text: str) -> None:
    start = time.process_time()
    for call in (
        lambda: clean_text(text),
        lambda: editor.shift("human face", text),
        lambda: editor.shift(text, "human face"),
        lambda: editor.embed_text(text),
        lambda: editor.w_plus_of_text(text),
        lambda: editor.edit(editor.sample(1), [EditRequest("human face", text)]),
    ):
        with pytest.raises(TextError, match="too long"):
            call()
    editor.unknown_words(text)
    # Without a bound, one reading of the first text takes half a minute of processor time.
    assert time.process_time() - start < 15


@pytest.mark.parametrize("place", ["neutral", "target", "more"])
@pytest.mark.parametrize("name", ["edit", "sweep", "batch"])
def test_a_long_text_is_refused_by_every_endpoint(
    client: httpx.Client, portrait: Image.Image, name: str, place: str
) -> None:
    if (name, place) == ("sweep", "more"):
        pytest.skip("a sweep takes one edit")
    buffer = io.BytesIO()
    portrait.save(buffer, "PNG")
    content = buffer.getvalue()
    [path] = client.post("gradio_api/upload", files={"files": ("mine.png", content)}).json()
    image = {"path": path, "meta": {"_type": "gradio.FileData"}}
    text = LONG_LIGATURE * 20_000
    body: dict[str, object] = {"neutral_text": "human face", "target_text": "old human face"}
    body |= {"aligned": True, "files" if name == "batch" else "image": image}
    if name == "batch":
        body["files"] = [image]
    if place == "more":
        body["more_edits"] = [{"target_text": text}]
    else:
        body[f"{place}_text"] = text
    event = client.post(f"gradio_api/call/v2/{name}", json=body).raise_for_status().json()
    answer = client.get(f"gradio_api/call/{name}/{event['event_id']}").text
    assert "is too long: 20000 characters" in answer


def declared(width: int, height: int) -> bytes:
    """A JPEG 2000 file of a few hundred bytes with that many pixels."""
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), "grey").save(buffer, "JPEG2000")
    data = bytearray(buffer.getvalue())
    header, size = data.index(b"ihdr"), data.index(b"\xff\x51")
    numbers = width.to_bytes(4, "big"), height.to_bytes(4, "big")
    data[header + 4 : header + 12] = numbers[1] + numbers[0]
    data[size + 6 : size + 14] = data[size + 22 : size + 30] = numbers[0] + numbers[1]
    return bytes(data)


def test_a_small_file_that_declares_a_huge_image_is_not_decoded(tmp_path: Path) -> None:
    data = declared(8000, 8000)
    assert len(data) < 500 and MAX_JPEG2000_PIXELS < 8000 * 8000
    (tmp_path / "huge.jp2").write_bytes(data)
    start = time.process_time()
    for source in (data, tmp_path / "huge.jp2"):
        with pytest.raises(ImageError, match="8000 x 8000 pixels, more than the 16 megapixels"):
            load_image(source)
    assert time.process_time() - start < 2  # decoding it takes 12 s
    assert load_image(declared(640, 480)).size == (640, 480)


def test_the_calls_of_scripts_leave_no_session_behind(editor: Editor, port: int) -> None:
    blocks = build_ui(editor)
    options = {"prevent_thread_lock": True, "quiet": True, "server_port": port}
    app, address, _ = blocks.launch(**options, **launch_options())
    try:
        with httpx.Client(base_url=address, timeout=DEADLINE) as client:
            for seed in range(3):
                finish(client, [join(client, ONE, seed)])
        script = Client(address, verbose=False, analytics_enabled=False)
        script.predict(1, api_name="/sample")
        assert not app.state_holder.session_data and not app.state_holder.time_last_used
        script.close()
    finally:
        blocks.close(verbose=False)
