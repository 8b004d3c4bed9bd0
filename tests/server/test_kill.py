"""A server that is killed in the middle of an edit loses nothing, and leaves no image behind."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from random import Random

import httpx
import pytest
from PIL import Image

from tests.live import Server, hashes, running_server

TEXTS = ("human face", "human face with sunglasses")
AFTER = (0.0, 1.5)  # seconds of an edit's life in which the server is killed
FAST, ALL = 1, 20  # random points
SEED = 20


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("killed")


@pytest.fixture(scope="module")
def sent(portrait: Image.Image, folder: Path) -> Path:
    path = folder / "a-visitors-own-portrait.png"
    portrait.save(path)
    return path


def moments(count: int) -> Iterator[float]:
    """Random times between the sending of an edit and its kill."""
    rng = Random(SEED)
    return (rng.uniform(*AFTER) for _ in range(count))


def begin_edit(server: Server, sent: Path) -> str:
    """Upload an image and queue its edit; the address where its answer would be read."""
    with httpx.Client(base_url=f"{server.address}/gradio_api", timeout=200) as client:
        [path] = client.post("/upload", files={"files": (sent.name, sent.read_bytes())}).json()
        image = {"path": path, "meta": {"_type": "gradio.FileData"}}
        event = client.post("/call/edit", json={"data": [image, *TEXTS]}).json()["event_id"]
    return f"{server.address}/gradio_api/call/edit/{event}"


def kill_in_an_edit(folder: Path, sent: Path, seconds: float) -> None:
    """Start a server, let it edit an image well, and kill it so long into a second edit."""
    with running_server(folder) as server:
        before = hashes(server.checkpoints)
        assert "event: complete" in httpx.get(begin_edit(server, sent), timeout=120).text
        begin_edit(server, sent)
        timer = threading.Timer(seconds, server.kill)
        timer.start()
        timer.join()
        assert server.process.poll() is not None
        assert hashes(server.checkpoints) == before


def check_restart(folder: Path, sent: Path) -> None:
    """A server that starts in the same folders edits as if nothing had happened."""
    with running_server(folder) as server:
        answer = httpx.get(begin_edit(server, sent), timeout=120).text
        assert "event: complete" in answer
        assert json.loads(answer.rpartition("data:")[2])[0]["path"]


@pytest.mark.parametrize("seconds", list(moments(FAST)))
def test_a_server_killed_in_an_edit_starts_and_edits_again(
    folder: Path, sent: Path, seconds: float
) -> None:
    kill_in_an_edit(folder, sent, seconds)
    check_restart(folder, sent)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_server_killed_at_twenty_random_points_loses_nothing(folder: Path, sent: Path) -> None:
    for seconds in moments(ALL):
        kill_in_an_edit(folder, sent, seconds)  # each start but the first is one after a kill
    check_restart(folder, sent)
