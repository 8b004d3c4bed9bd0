"""Images named by an address: the server fetches none, and a silent host stops nobody."""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from PIL import Image

from tmsa_core.errors import ImageError
from tmsa_core.server.call_files import with_stored_files

TEXTS = ["human face", "human face with sunglasses"]
FILE = {"_type": "gradio.FileData"}
DEADLINE = 60.0  # seconds, far more than an answer takes


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A listener of this machine that never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield listener


@pytest.fixture
def client(server: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server, timeout=DEADLINE) as client:
        yield client


def call(client: httpx.Client, name: str, values: list[object]) -> str:
    """What a call of an endpoint is answered: the text of its stream of events."""
    answer = client.post(f"gradio_api/call/{name}", json={"data": values}).raise_for_status()
    event = answer.json()["event_id"]
    return client.get(f"gradio_api/call/{name}/{event}").raise_for_status().text


def data_url(image: Image.Image, path: Path) -> str:
    image.save(path)
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()


def contacted(listener: socket.socket) -> bool:
    try:
        connection, _ = listener.accept()
    except BlockingIOError:
        return False
    connection.close()
    return True


@pytest.mark.parametrize("name", ["edit", "align", "invert", "sweep", "batch"])
@pytest.mark.parametrize("form", ["url", "path", "bare"])
def test_an_address_is_refused_at_once_and_never_contacted(
    client: httpx.Client, silent: socket.socket, name: str, form: str
) -> None:
    address = f"http://127.0.0.1:{silent.getsockname()[1]}/face.png"
    image: dict[str, object] = {"path" if form == "path" else "url": address}
    image |= {} if form == "bare" else {"meta": FILE}
    texts = TEXTS if name in ("edit", "sweep", "batch") else []
    answer = call(client, name, [[image] if name == "batch" else image, *texts])
    assert "event: error" in answer
    assert (
        f"The image at {address} is not fetched" in json.loads(answer.split("data: ")[1])["error"]
    )
    assert not contacted(silent)


def test_an_address_inside_another_value_is_refused_too(
    client: httpx.Client, silent: socket.socket, portrait: Image.Image, tmp_path: Path
) -> None:
    address = f"http://127.0.0.1:{silent.getsockname()[1]}/face.png"
    mine = {"url": data_url(portrait, tmp_path / "mine.png"), "meta": FILE}
    more = [{"target_text": "old human face", "extra": {"path": address, "meta": FILE}}]
    rest = [1.0, "all", 0.0, "e4e", 0, True, True, False, "", more]
    answer = call(client, "edit", [mine, *TEXTS, *rest])
    assert "event: error" in answer and "is not fetched" in answer
    assert not contacted(silent)


def test_edits_continue_next_to_a_silent_address(
    client: httpx.Client, silent: socket.socket, portrait: Image.Image, tmp_path: Path
) -> None:
    address = f"http://127.0.0.1:{silent.getsockname()[1]}/face.png"
    for _ in range(3):
        values = [{"path": address, "meta": FILE}, *TEXTS]
        client.post("gradio_api/call/edit", json={"data": values}).raise_for_status()
    mine = {"url": data_url(portrait, tmp_path / "mine.png"), "meta": FILE}
    rest = [1.0, "all", 0.0, "e4e", 0, True]
    assert "event: complete" in call(client, "edit", [mine, *TEXTS, *rest])


@pytest.mark.parametrize(
    "route",
    ["file=", "file/", "proxy="],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_gradios_own_routes_contact_no_address(
    client: httpx.Client, silent: socket.socket, route: str, method: str
) -> None:
    port = silent.getsockname()[1]
    for address in (f"http://127.0.0.1:{port}/x", f"HTTPS://127.0.0.1:{port}/x", "ftp://a.test/x"):
        answer = client.request(method, f"gradio_api/{route}{address}")
        assert answer.status_code == 403
        assert method == "HEAD" or "is not served here" in answer.json()["error"]
    assert not contacted(silent)


def test_files_of_the_page_are_still_served(
    client: httpx.Client, portrait: Image.Image, tmp_path: Path
) -> None:
    portrait.save(tmp_path / "mine.png")
    content = (tmp_path / "mine.png").read_bytes()
    [path] = client.post("gradio_api/upload", files={"files": ("mine.png", content)}).json()
    assert client.get(f"gradio_api/file={path}").content == content


def test_the_address_of_an_uploaded_file_stands_for_the_file(
    server: str, client: httpx.Client, portrait: Image.Image, tmp_path: Path
) -> None:
    portrait.save(tmp_path / "my face.png")
    content = (tmp_path / "my face.png").read_bytes()
    [path] = client.post("gradio_api/upload", files={"files": ("my face.png", content)}).json()
    for place in (server, "https://page.example/"):
        image = {"path": f"{place}gradio_api/file={path}", "meta": FILE}
        rest = [1.0, "all", 0.0, "e4e", 0, True]
        assert "event: complete" in call(client, "edit", [image, *TEXTS, *rest])
    stolen = {"path": f"{server}gradio_api/file=/etc/hostname", "meta": FILE}
    answer = call(client, "edit", [stolen, *TEXTS])
    assert "event: error" in answer and "was not sent to this page" in answer


def test_values_without_an_address_stay_as_they_are() -> None:
    values = [
        {"path": "/tmp/a.png", "url": "http://127.0.0.1/gradio_api/file=/tmp/a.png"},
        "https://example.org/no/file",
        [1.0, None, {"target_text": "https://example.org"}],
    ]
    assert with_stored_files([], values, store=lambda name, data: name) == values


def test_a_long_address_is_quoted_in_part() -> None:
    with pytest.raises(ImageError) as caught:
        with_stored_files([], [{"path": "https://a.test/" + "x" * 5000}], lambda name, data: name)
    assert len(str(caught.value)) < 250
