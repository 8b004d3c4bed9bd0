"""Pictures that scripts send, and what they get, do not stay on the server's disk."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from gradio.utils import get_upload_folder
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from tmsa_core import Editor, ui_calls
from tmsa_core.ui import build_ui, launch_options
from tmsa_core.ui_calls import Calls
from tmsa_core.ui_files import Leases, cached

TEXTS = ("human face", "human face with sunglasses")
KEEP = 0.2  # seconds


@pytest.fixture
def client(
    editor: Editor, port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Client]:
    """A client of a page with a cache of its own, which forgets quickly."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(ui_calls, "KEEP_SENT", KEEP)
    monkeypatch.setattr(ui_calls, "KEEP_ANSWERED", 10 * KEEP)
    monkeypatch.setattr(ui_calls, "KEEP_UNUSED", 10 * KEEP)
    blocks = build_ui(editor)
    options = {"prevent_thread_lock": True, "quiet": True, "server_port": port}
    _, address, _ = blocks.launch(**options, **launch_options())
    client = Client(
        address, verbose=False, download_files=tmp_path / "got", analytics_enabled=False
    )
    yield client
    client.close()
    blocks.close(verbose=False)


def cached_files() -> set[Path]:
    """The files of the page's cache that hold anything."""
    return {p for p in Path(get_upload_folder()).rglob("*") if p.is_file() and p.stat().st_size}


def wait_for(condition: Callable[[], bool]) -> None:
    for _ in range(600):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError(f"still there: {sorted(map(str, cached_files()))}")


def picture(folder: Path, content: bytes | None, portrait: Image.Image) -> dict:
    """A file to send."""
    path = folder / "mine.png"
    portrait.save(path) if content is None else path.write_bytes(content)
    return handle_file(path)


def test_files_of_calls_go_after_the_answer(
    client: Client, portrait: Image.Image, tmp_path: Path
) -> None:
    own = cached_files()
    assert own, "the sample portraits are there"
    sent = picture(tmp_path, None, portrait)
    edited = client.predict(sent, *TEXTS, 1.0, api_name="/edit", aligned=True)
    client.predict(sent, *TEXTS, -1, 1, 2, api_name="/sweep", aligned=True)
    archive, _ = client.predict([sent], *TEXTS, 1.0, api_name="/batch", aligned=True)
    assert Path(edited).stat().st_size and Path(archive).stat().st_size  # there was time to fetch
    wait_for(lambda: cached_files() == own)


def test_files_that_nobody_asks_to_use_go_too(
    client: Client, portrait: Image.Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = cached_files()
    portrait.save(tmp_path / "mine.png")
    address = f"{client.src}gradio_api/upload"
    [path] = httpx.post(address, files={"files": (tmp_path / "mine.png").read_bytes()}).json()
    assert Path(path) in cached_files() - own
    wait_for(lambda: cached_files() == own)


@pytest.mark.parametrize("content", [b"no picture", b"\0" * (21 << 20)], ids=["broken", "large"])
def test_files_of_failed_calls_go_too(
    client: Client, portrait: Image.Image, tmp_path: Path, content: bytes
) -> None:
    own = cached_files()
    with pytest.raises(AppError):
        client.predict(picture(tmp_path, content, portrait), *TEXTS, 1.0, api_name="/edit")
    wait_for(lambda: cached_files() == own)


def test_a_sample_portrait_named_by_a_call_stays(client: Client) -> None:
    own = cached_files()
    sample = {"path": str(sorted(own)[0]), "meta": {"_type": "gradio.FileData"}}
    client.predict(sample, *TEXTS, 1.0, api_name="/edit", aligned=True)
    wait_for(lambda: cached_files() <= own)
    assert cached_files() == own


def test_files_that_others_use_or_send_again_stay(
    portrait: Image.Image, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    monkeypatch.setattr(ui_calls, "KEEP_SENT", KEEP)
    leases = Leases()
    calls = Calls(leases)
    shared, again, alone = (cached(portrait.resize((side, side))) for side in (40, 50, 60))
    leases.take("visitor", shared)
    with calls.using(shared, alone):
        pass
    with calls.using(again):
        pass
    later = time.time() + 3600
    os.utime(again, (later, later))  # somebody sends it once more
    wait_for(lambda: not Path(alone).exists())
    assert Path(shared).exists() and Path(again).exists()
    leases.leave("visitor")
    assert not Path(shared).exists()
