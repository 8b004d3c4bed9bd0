"""Downloads are complete or absent: after resets, truncation and wrong files."""

from __future__ import annotations

import dataclasses
import hashlib
import socket
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub.constants
import numpy as np
import pytest

from tests.hub_server import COMMIT, Hub, running_hub
from tmsa_core.errors import DownloadError
from tmsa_core.progress import no_progress
from tmsa_core.weights import download as module
from tmsa_core.weights.download import Download, Place, difference, fetch, sha256

CONTENT = np.random.default_rng(0).bytes(300_000)
FIRST, SECOND = Place("weights/first", "model.pt", COMMIT), Place("weights/second", "sub/model.pt")
DOWNLOAD = Download(
    "model.pt", len(CONTENT), hashlib.sha256(CONTENT).hexdigest(), (FIRST, SECOND), "MIT"
)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """A Hub with the file in its first place; huggingface_hub is allowed to go online."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(module, "PAUSE", 0.0)
    with running_hub() as hub:
        hub.files[str(FIRST)] = CONTENT
        yield hub


class Reports:
    """A progress callback that records its calls."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.progress: list[tuple[int, int]] = []

    def __call__(self, done: int, total: int, message: str) -> None:
        if total:
            self.progress.append((done, total))
        else:
            self.messages.append(message)


def fetched(hub: Hub, folder: Path, download: Download = DOWNLOAD) -> Reports:
    """Fetch; check that the file is the right one and that no part is left."""
    reports = Reports()
    path = fetch(download, folder, reports, hub.address)
    assert path.read_bytes() == CONTENT
    assert not list(folder.glob("*.part"))
    return reports


def refusal(hub: Hub, folder: Path, download: Download = DOWNLOAD) -> str:
    """The sentence of a failed download, which leaves no file."""
    with pytest.raises(DownloadError) as caught:
        fetch(download, folder, no_progress, hub.address)
    assert "\n" not in str(caught.value) and str(caught.value).endswith(".")
    assert not (folder / download.name).exists()
    return str(caught.value)


def test_a_file_arrives_once_with_its_progress(hub, tmp_path):
    reports = fetched(hub, tmp_path)
    assert reports.progress[-1] == (len(CONTENT), len(CONTENT))
    assert reports.progress == sorted(reports.progress) and not reports.messages
    requests = len(hub.log)
    fetched(hub, tmp_path)
    assert len(hub.log) == requests


def test_a_broken_connection_is_resumed_where_it_broke(hub, tmp_path):
    hub.faults[str(FIRST)] = [("reset", 100_000), ("truncate", 50_000), ("status", 500)]
    fetched(hub, tmp_path)
    asked = hub.bodies(str(FIRST))
    starts = [int(a.removeprefix("bytes=").rstrip("-")) if a else 0 for a in asked]
    assert starts[0] == 0 and starts == sorted(starts)
    assert len(starts) == 4 and starts[-1] >= 50_000
    assert not hub.bodies(str(SECOND))


def test_bytes_of_an_earlier_process_are_kept(hub, tmp_path):
    (tmp_path / "model.pt.part").write_bytes(CONTENT[:200_000])
    reports = fetched(hub, tmp_path)
    assert hub.bodies(str(FIRST)) == ["bytes=200000-"]
    assert reports.progress[0][0] > 200_000


def test_a_server_that_ignores_ranges_is_received_from_the_start(hub, tmp_path):
    (tmp_path / "model.pt.part").write_bytes(CONTENT[:200_000])
    hub.faults[str(FIRST)] = [("ignore range", 0)]
    fetched(hub, tmp_path)


def test_a_damaged_part_is_found_named_and_fetched_from_the_start(hub, tmp_path):
    (tmp_path / "model.pt.part").write_bytes(b"x" * 200_000)
    reports = fetched(hub, tmp_path)
    assert hub.bodies(str(FIRST)) == ["bytes=200000-", ""]
    assert "model.pt.part was damaged" in reports.messages[0]


def test_a_part_that_is_too_long_is_not_used(hub, tmp_path):
    (tmp_path / "model.pt.part").write_bytes(b"x" * 400_000)
    fetched(hub, tmp_path)


@pytest.mark.parametrize("name", ["corrupted", "partial", "look-alike"])
def test_a_wrong_file_in_the_folder_is_named_and_fetched_again(hub, tmp_path, name):
    wrong = {
        "corrupted": CONTENT[:-1] + b"?",
        "partial": CONTENT[:1000],
        "look-alike": bytes(len(CONTENT)),
    }
    (tmp_path / "model.pt").write_bytes(wrong[name])
    reports = fetched(hub, tmp_path)
    assert str(tmp_path / "model.pt") in reports.messages[0]
    assert ("1,000 bytes" if name == "partial" else "SHA-256") in reports.messages[0]


def test_a_wrong_file_on_the_hub_is_refused_before_it_is_received(hub, tmp_path):
    hub.files[str(FIRST)] = bytes(len(CONTENT))
    hub.files[str(SECOND)] = CONTENT
    fetched(hub, tmp_path)
    assert not hub.bodies(str(FIRST)) and hub.bodies(str(SECOND)) == [""]


def test_a_hub_that_states_one_hash_and_sends_another_file(hub, tmp_path):
    hub.files[str(FIRST)] = bytes(len(CONTENT))
    hub.announced[str(FIRST)] = DOWNLOAD.sha256
    said = refusal(hub, tmp_path)
    assert "weights/first/model.pt: it sent a wrong file" in said
    assert "weights/second/sub/model.pt: the Hub answered 404" in said
    assert not list(tmp_path.glob("*.part"))
    hub.files[str(SECOND)] = CONTENT
    fetched(hub, tmp_path)


def test_a_file_of_another_size_is_refused(hub, tmp_path):
    hub.files[str(FIRST)] = CONTENT + b"more"
    hub.announced[str(FIRST)] = DOWNLOAD.sha256
    assert "300,004 bytes, not 300,000" in refusal(hub, tmp_path)
    assert not hub.bodies(str(FIRST))


def test_a_connection_that_stays_broken_leaves_the_received_part(hub, tmp_path):
    hub.faults[str(FIRST)] = [("truncate", 120_000), *[("reset", 0)] * module.TRIES]
    refusal(hub, tmp_path)
    arrived = (tmp_path / "model.pt.part").stat().st_size
    assert 0 < arrived <= 120_000
    fetched(hub, tmp_path)
    assert hub.bodies(str(FIRST))[-1] == f"bytes={arrived}-"


def test_a_hub_that_is_down_or_has_no_such_file(hub, tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{unused.getsockname()[1]}"
    down = dataclasses.replace(hub, address=nobody)
    assert "ConnectError" in refusal(down, tmp_path)
    hub.files.clear()
    assert "the Hub answered 404" in refusal(hub, tmp_path)


def test_offline_mode_is_respected(hub, tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE" in refusal(hub, tmp_path)
    assert not hub.log


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's full device")
def test_a_full_disk_is_not_reported_as_a_network_error(hub, tmp_path):
    (tmp_path / "model.pt.part").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        fetch(DOWNLOAD, tmp_path, no_progress, hub.address)


def test_a_full_disk_is_found_before_anything_is_received(hub, tmp_path):
    huge = dataclasses.replace(DOWNLOAD, bytes=1 << 60)
    hub.announced[str(FIRST)] = DOWNLOAD.sha256
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_ask", lambda url, place, download, endpoint: download)
        assert "The disk is full" in refusal(hub, tmp_path, huge)
    assert not hub.bodies(str(FIRST))


def test_the_hubs_own_cache_is_searched_first(hub, tmp_path):
    snapshot = tmp_path / "hub" / "models--weights--first" / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (snapshot / "model.pt").write_bytes(CONTENT)
    assert fetch(DOWNLOAD, tmp_path, no_progress, hub.address) == snapshot / "model.pt"
    assert not hub.log
    (snapshot / "model.pt").write_bytes(CONTENT[::-1])
    reports = fetched(hub, tmp_path)
    assert str(snapshot / "model.pt") in reports.messages[0]


def test_a_file_without_a_known_hash_must_be_that_of_the_pinned_commit(hub, tmp_path):
    unknown = dataclasses.replace(DOWNLOAD, sha256=None, bytes=None)
    fetched(hub, tmp_path, unknown)
    hub.commit = "f" * 40
    assert "pinned revision" in refusal(hub, tmp_path / "other", unknown)


def test_a_hash_follows_the_content(tmp_path):
    path = tmp_path / "file"
    for content in (b"one", b"two"):
        path.write_bytes(content)
        assert sha256(path) == hashlib.sha256(content).hexdigest()
    assert "3" in difference(path, DOWNLOAD)
