"""Files come from a Hub whole or not at all, through resets, truncation and look-alikes."""

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


class Told:
    """What was reported."""

    def __init__(self) -> None:
        self.news: list[str] = []
        self.progress: list[tuple[int, int]] = []

    def __call__(self, sentence: str, done: int, total: int) -> None:
        if total:
            self.progress.append((done, total))
        else:
            self.news.append(sentence)


def got(hub: Hub, folder: Path, download: Download = DOWNLOAD) -> Told:
    """Fetch, and check that the file is the right one and nothing else is left behind."""
    show_errors = Told()
    path = fetch(download, folder, show_errors, hub.address)
    assert path.read_bytes() == CONTENT
    assert not list(folder.glob("*.part"))
    return show_errors


def refusal(hub: Hub, folder: Path, download: Download = DOWNLOAD) -> str:
    """The one sentence that a download ends in; no file is there then."""
    with pytest.raises(DownloadError) as caught:
        fetch(download, folder, Told(), hub.address)
    assert "\n" not in str(caught.value) and str(caught.value).endswith(".")
    assert not (folder / download.name).exists()
    return str(caught.value)


def test_a_file_arrives_once_with_its_progress(hub, tmp_path):
    show_errors = got(hub, tmp_path)
    assert show_errors.progress[-1] == (len(CONTENT), len(CONTENT))
    assert show_errors.progress == sorted(show_errors.progress) and not show_errors.news
    requests = len(hub.log)
    got(hub, tmp_path)
    assert len(hub.log) == requests


def test_resets_and_truncation_are_resumed_where_they_happened(hub, tmp_path):
    hub.faults[str(FIRST)] = [("reset", 100_000), ("truncate", 50_000), ("status", 500)]
    got(hub, tmp_path)
    asked = hub.bodies(str(FIRST))
    starts = [int(a.removeprefix("bytes=").rstrip("-")) if a else 0 for a in asked]
    assert starts[0] == 0 and starts == sorted(starts)
    assert len(starts) == 4 and starts[-1] >= 50_000
    assert not hub.bodies(str(SECOND))


def test_what_an_earlier_process_received_is_kept(hub, tmp_path):
    (tmp_path / "model.pt.part").write_bytes(CONTENT[:200_000])
    show_errors = got(hub, tmp_path)
    assert hub.bodies(str(FIRST)) == ["bytes=200000-"]
    assert show_errors.progress[0][0] > 200_000


def test_a_server_that_ignores_ranges_is_received_from_the_start(hub, tmp_path):
    (tmp_path / "model.pt.part").write_bytes(CONTENT[:200_000])
    hub.faults[str(FIRST)] = [("ignore range", 0)]
    got(hub, tmp_path)


def test_a_damaged_part_is_found_named_and_fetched_from_the_start(hub, tmp_path):
    (tmp_path / "model.pt.part").write_bytes(b"x" * 200_000)
    show_errors = got(hub, tmp_path)
    assert hub.bodies(str(FIRST)) == ["bytes=200000-", ""]
    assert "model.pt.part was damaged" in show_errors.news[0]


def test_a_part_that_is_too_long_is_not_used(hub, tmp_path):
    (tmp_path / "model.pt.part").write_bytes(b"x" * 400_000)
    got(hub, tmp_path)


@pytest.mark.parametrize("name", ["corrupted", "partial", "look-alike"])
def test_a_wrong_file_in_the_folder_is_named_and_fetched_again(hub, tmp_path, name):
    wrong = {
        "corrupted": CONTENT[:-1] + b"?",
        "partial": CONTENT[:1000],
        "look-alike": bytes(len(CONTENT)),
    }
    (tmp_path / "model.pt").write_bytes(wrong[name])
    show_errors = got(hub, tmp_path)
    assert str(tmp_path / "model.pt") in show_errors.news[0]
    assert ("1,000 bytes" if name == "partial" else "SHA-256") in show_errors.news[0]


def test_a_look_alike_on_the_hub_is_refused_before_it_is_received(hub, tmp_path):
    hub.files[str(FIRST)] = bytes(len(CONTENT))
    hub.files[str(SECOND)] = CONTENT
    got(hub, tmp_path)
    assert not hub.bodies(str(FIRST)) and hub.bodies(str(SECOND)) == [""]


def test_a_hub_that_states_one_hash_and_sends_another_file(hub, tmp_path):
    hub.files[str(FIRST)] = bytes(len(CONTENT))
    hub.announced[str(FIRST)] = DOWNLOAD.sha256
    said = refusal(hub, tmp_path)
    assert "weights/first/model.pt: what came is not the file wanted" in said
    assert "weights/second/sub/model.pt: the Hub answered 404" in said
    assert not list(tmp_path.glob("*.part"))
    hub.files[str(SECOND)] = CONTENT
    got(hub, tmp_path)


def test_a_file_of_another_size_is_refused(hub, tmp_path):
    hub.files[str(FIRST)] = CONTENT + b"more"
    hub.announced[str(FIRST)] = DOWNLOAD.sha256
    assert "300,004 bytes, not 300,000" in refusal(hub, tmp_path)
    assert not hub.bodies(str(FIRST))


def test_a_connection_that_breaks_for_good_leaves_what_has_arrived(hub, tmp_path):
    hub.faults[str(FIRST)] = [("truncate", 120_000), *[("reset", 0)] * module.TRIES]
    refusal(hub, tmp_path)
    arrived = (tmp_path / "model.pt.part").stat().st_size
    assert 0 < arrived <= 120_000
    got(hub, tmp_path)
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
def test_a_disk_that_fills_up_is_no_network_error(hub, tmp_path):
    (tmp_path / "model.pt.part").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        fetch(DOWNLOAD, tmp_path, Told(), hub.address)


def test_a_disk_without_room_is_found_before_anything_is_received(hub, tmp_path):
    huge = dataclasses.replace(DOWNLOAD, bytes=1 << 60)
    hub.announced[str(FIRST)] = DOWNLOAD.sha256
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_ask", lambda url, place, download, endpoint: download)
        assert "The disk is full" in refusal(hub, tmp_path, huge)
    assert not hub.bodies(str(FIRST))


def test_the_hubs_own_cache_is_looked_into_first(hub, tmp_path):
    snapshot = tmp_path / "hub" / "models--weights--first" / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (snapshot / "model.pt").write_bytes(CONTENT)
    assert fetch(DOWNLOAD, tmp_path, Told(), hub.address) == snapshot / "model.pt"
    assert not hub.log
    (snapshot / "model.pt").write_bytes(CONTENT[::-1])
    show_errors = got(hub, tmp_path)
    assert str(snapshot / "model.pt") in show_errors.news[0]


def test_a_file_whose_hash_nobody_stated_is_that_of_the_pinned_commit(hub, tmp_path):
    unknown = dataclasses.replace(DOWNLOAD, sha256=None, bytes=None)
    got(hub, tmp_path, unknown)
    hub.commit = "f" * 40
    assert "pinned revision" in refusal(hub, tmp_path / "other", unknown)


def test_a_hash_is_that_of_the_content_as_it_is_now(tmp_path):
    path = tmp_path / "file"
    for content in (b"one", b"two"):
        path.write_bytes(content)
        assert sha256(path) == hashlib.sha256(content).hexdigest()
    assert "3" in difference(path, DOWNLOAD)
