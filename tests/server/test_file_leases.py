"""Images that scripts send, and what they get, do not stay on the server's disk."""

from __future__ import annotations

import gc
import os
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from gradio.utils import get_upload_folder
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from tmsa_core import Editor
from tmsa_core.errors import ImageError, RequestError
from tmsa_core.server import limits
from tmsa_core.server.cache_folder import CacheFolder
from tmsa_core.server.file_leases import Leases
from tmsa_core.ui.page import build_ui, launch_options

TEXTS = ("human face", "human face with sunglasses")
KEEP = 0.2  # seconds


@pytest.fixture
def client(
    editor: Editor, port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Client]:
    """A client of a page with a cache of its own, which forgets quickly."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(limits, "KEEP_SENT", KEEP)
    monkeypatch.setattr(limits, "KEEP_ANSWERED", 10 * KEEP)
    monkeypatch.setattr(limits, "KEEP_UNUSED", 10 * KEEP)
    monkeypatch.setattr(limits, "CLEAN_EVERY", KEEP)
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


def image(folder: Path, content: bytes | None, portrait: Image.Image) -> dict:
    """A file to send."""
    path = folder / "mine.png"
    portrait.save(path) if content is None else path.write_bytes(content)
    return handle_file(path)


def test_files_of_calls_go_after_the_answer(
    client: Client, portrait: Image.Image, tmp_path: Path
) -> None:
    own = cached_files()
    assert own, "the sample portraits are there"
    sent = image(tmp_path, None, portrait)
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


@pytest.mark.parametrize("content", [b"no image", b"\0" * (21 << 20)], ids=["broken", "large"])
def test_files_of_failed_calls_go_too(
    client: Client, portrait: Image.Image, tmp_path: Path, content: bytes
) -> None:
    own = cached_files()
    with pytest.raises(AppError):
        client.predict(image(tmp_path, content, portrait), *TEXTS, 1.0, api_name="/edit")
    wait_for(lambda: cached_files() == own)


def test_a_sample_portrait_named_by_a_call_stays(client: Client) -> None:
    own = cached_files()
    sample = {"path": str(sorted(own)[0]), "meta": {"_type": "gradio.FileData"}}
    client.predict(sample, *TEXTS, 1.0, api_name="/edit", aligned=True)
    wait_for(lambda: cached_files() <= own)
    assert cached_files() == own


def test_no_folder_of_a_file_stays(client: Client, portrait: Image.Image, tmp_path: Path) -> None:
    folders = {p for p in Path(get_upload_folder()).rglob("*") if p.is_dir()}
    client.predict(image(tmp_path, None, portrait), api_name="/align")
    wait_for(lambda: {p for p in Path(get_upload_folder()).rglob("*") if p.is_dir()} == folders)


def test_a_call_in_the_queue_keeps_its_image(
    client: Client, portrait: Image.Image, tmp_path: Path
) -> None:
    portrait.save(tmp_path / "mine.png")
    address = f"{client.src}gradio_api"
    [path] = httpx.post(
        f"{address}/upload", files={"files": (tmp_path / "mine.png").read_bytes()}
    ).json()
    file = {"path": path, "meta": {"_type": "gradio.FileData"}}
    invert = {"data": [file, "e4e", 0, True]}
    first = httpx.post(f"{address}/call/invert", json=invert).json()["event_id"]
    assert "complete" in httpx.get(f"{address}/call/invert/{first}", timeout=200).text
    slow = {"data": [{"path": path, "meta": file["meta"]}, *TEXTS, -1, 1, 9, "e4e", 0, True]}
    queued = [httpx.post(f"{address}/call/sweep", json=slow).json() for _ in range(4)]
    last = httpx.post(f"{address}/call/sweep", json=slow).json()["event_id"]
    time.sleep(10 * KEEP)  # longer than an image is kept that nobody uses
    for call in [*queued, {"event_id": last}]:
        said = httpx.get(f"{address}/call/sweep/{call['event_id']}", timeout=120).text
        assert "event: complete" in said
    wait_for(lambda: not Path(path).exists())


def test_a_caller_who_listens_goes_before_those_who_vanished(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"{client.src}gradio_api"
    long = {"data": [1, 0.7, ""]}
    for _ in range(30):
        httpx.post(f"{address}/call/sample", json=long)
    client.predict(seed=2, api_name="/sample")
    status = httpx.get(f"{address}/queue/status").json()
    assert status["queue_size"] > 5, "the edit did not wait for theirs"
    monkeypatch.setattr(limits, "KEEP_UNHEARD", 0.0)
    wait_for(lambda: httpx.get(f"{address}/queue/status").json()["queue_size"] == 0)


def test_a_batch_ends_when_its_caller_leaves(
    client: Client, portrait: Image.Image, tmp_path: Path
) -> None:
    portrait.save(tmp_path / "mine.png")
    address = f"{client.src}gradio_api"
    content = (tmp_path / "mine.png").read_bytes()
    [path] = httpx.post(f"{address}/upload", files={"files": content}).json()
    files = [{"path": path, "meta": {"_type": "gradio.FileData"}}] * 60
    data = [files, *TEXTS, 1.0, "all", 0, "e4e", 0, True]
    event = httpx.post(f"{address}/call/batch", json={"data": data}).json()["event_id"]
    cache = Path(get_upload_folder())
    with httpx.stream("GET", f"{address}/call/batch/{event}", timeout=200):
        wait_for(lambda: httpx.get(f"{address}/queue/status").json()["queue_size"] == 0)
    wait_for(lambda: any(map(zipfile.is_zipfile, cache.rglob("edited.zip"))))
    [archive] = cache.rglob("edited.zip")
    with zipfile.ZipFile(archive) as done:
        assert len(done.namelist()) < 60


# Gradio leaves the files of an upload that fails to the collector.
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
def test_an_upload_that_breaks_off_leaves_nothing(client: Client) -> None:
    own = set(Path(get_upload_folder()).rglob("*"))
    host, port = client.src.removeprefix("http://").rstrip("/").split(":")
    head = (
        f"POST /gradio_api/upload HTTP/1.1\r\nHost: {host}\r\nContent-Length: 100000\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n"
        'Content-Disposition: form-data; name="files"; filename="half.png"\r\n\r\n'
    )
    with socket.create_connection((host, int(port))) as half:
        half.sendall(head.encode() + b"a" * 5000)
        wait_for(lambda: len(set(Path(get_upload_folder()).rglob("*")) - own) > 1)
    wait_for(lambda: set(Path(get_upload_folder()).rglob("*")) == own)
    gc.collect()


def test_clearing_goes_on_after_an_error(client: Client, portrait: Image.Image) -> None:
    leases = Leases()
    folder = leases.new_folder()
    blocked, after = folder / "blocked", leases.new_folder() / "after.png"
    (blocked / "inside").mkdir(parents=True)  # a folder cannot be unlinked like a file
    after.write_bytes(b"after")
    leases.answer(str(blocked), str(after))
    time.sleep(11 * KEEP)
    leases.sweep()
    assert blocked.exists() and not after.exists()


def test_files_that_others_use_or_call_with_stay(
    portrait: Image.Image, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    monkeypatch.setattr(limits, "KEEP_SENT", -1.0)
    leases = Leases()
    shown, busy, alone = (leases.new_folder() / f"{name}.png" for name in "abc")
    for path in (shown, busy, alone):
        portrait.save(path)
        leases.expect(str(path), client="me")
    leases.take("me", str(shown))
    with leases.using("me", [str(busy)]):
        with leases.using("me", [str(shown), str(busy), str(alone)]):
            pass
        leases.sweep()
        assert shown.exists() and busy.exists() and not alone.exists()
        leases.leave("me")
        assert not shown.exists() and busy.exists()
    leases.sweep()
    assert not busy.exists()


def test_a_page_goes_on_after_a_break_in_the_connection() -> None:
    leases = Leases()
    path = leases.keep("me", Image.new("RGB", (6, 6)))
    leases.leave("me")
    assert not Path(path).exists() and not leases.knows(path)
    with leases.using("me", [path]):  # its page still names the image
        pass
    with pytest.raises(ImageError), leases.using("you", [path]):
        pass
    leases.sweep()
    assert Path(leases.keep("me", Image.new("RGB", (6, 6)))).exists()


def test_the_folder_of_a_killed_process_is_deleted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    code = (
        "from tmsa_core.server.cache_folder import CacheFolder\n"
        "import time\ncache = CacheFolder()\n(cache.path / 'mine.png').write_bytes(b'mine')\n"
        "print(cache.path, flush=True)\ntime.sleep(600)"
    )
    other = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    with other:
        assert other.stdout
        folder = Path(other.stdout.readline().strip())
        own = CacheFolder()
        assert (folder / "mine.png").exists(), "its process is alive"
        other.kill()
    first = CacheFolder()
    assert not folder.exists() and own.path.exists() and first.path.exists()
    own.delete()
    assert not own.path.exists() and first.path.exists()


def test_a_cache_that_cannot_be_written_is_told_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "file" / "cache"))
    with pytest.raises(RequestError, match="GRADIO_TEMP_DIR") as show_errors:
        CacheFolder()
    assert str(tmp_path) not in str(show_errors.value)


def test_what_was_never_registered_goes_when_it_is_old(tmp_path: Path) -> None:
    leases = Leases()
    old, new = (leases.new_folder() / "result.zip" for _ in range(2))
    for path in (old, new):
        path.write_bytes(b"a result")
    past = time.time() - 2 * limits.KEEP_UNKNOWN
    for path in (old, old.parent):
        os.utime(path, (past, past))
    leases.sweep()
    assert not old.parent.exists() and new.exists()
