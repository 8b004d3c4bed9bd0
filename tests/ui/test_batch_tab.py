"""The batch screen and the choice of worlds, without a browser."""

from __future__ import annotations

import dataclasses
import threading
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from tmsa_core import Editor
from tmsa_core.errors import BundleError, TmsaError
from tmsa_core.server.editors import Editors
from tmsa_core.server.file_leases import Leases
from tmsa_core.server.jobs import SetupJobs
from tmsa_core.ui.about import CONSENT, licences
from tmsa_core.ui.batch_tab import BatchActions, BatchControls, progress_html
from tmsa_core.ui.domain_panel import domain_words, find_status
from tmsa_core.ui.strings import duration


@pytest.fixture
def handlers(editor: Editor) -> BatchActions:
    return BatchActions(Editors(editor), Leases())


@pytest.fixture
def wishes(
    tmp_path: Path, portrait: Image.Image, editor: Editor, monkeypatch: pytest.MonkeyPatch
) -> BatchControls:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    photo = editor.bundle.folder / "samples"
    files = [str(path) for path in sorted(photo.glob("*.png"))[:2]]
    (tmp_path / "bad.png").write_bytes(b"no image")
    target = "human face with sunglasses"
    return BatchControls([str(tmp_path / "bad.png")], files, "human face", target, 1.0)


def test_batch_shows_progress_and_gives_an_archive(
    handlers: BatchActions, wishes: BatchControls
) -> None:
    handlers.begin("me")
    screens = list(handlers.run(wishes, "me"))
    assert "0 of 3" in screens[0]["status"]
    assert "1 of 3" in screens[1]["status"] and "left" in screens[1]["status"]
    assert "2 edited, 1 failed" in screens[-1]["status"]
    assert [row[1] for row in screens[-2]["table"]] == ["failed", "edited", "edited"]
    with zipfile.ZipFile(screens[-1]["archive"]) as archive:
        assert len(archive.namelist()) == 4
    handlers.leases.leave("me")
    assert not Path(screens[-1]["archive"]).exists() and not Path(wishes.files[0]).exists()
    assert all(Path(path).exists() for path in wishes.paths[1:]), "the bundle's samples went too"


def test_a_batch_that_cannot_begin_says_why_in_place_of_the_last_one(
    handlers: BatchActions, wishes: BatchControls
) -> None:
    work = handlers.run(dataclasses.replace(wishes, files=None, folder=None), "me")
    screen = next(work)
    assert "no file in the batch" in screen["status"]
    assert screen["table"] == [] and screen["archive"] is None
    with pytest.raises(TmsaError):
        next(work)


def test_files_of_a_batch_that_never_began_go_with_the_visitor(
    handlers: BatchActions, wishes: BatchControls
) -> None:
    handlers.claim("me", *wishes.files)
    handlers.leases.leave("me")
    assert not Path(wishes.files[0]).exists()


def test_cancelled_batch_gives_what_was_done(handlers: BatchActions, wishes: BatchControls) -> None:
    assert "no batch" in handlers.cancel("me")
    handlers.begin("me")
    work = handlers.run(wishes, "me")
    next(work), next(work)
    assert "Stopping" in handlers.cancel("me")
    *_, last = work
    assert "Cancelled after 1 of 3" in last["status"] and Path(last["archive"]).exists()
    handlers.begin("me")
    handlers.cancel("me")
    *_, last = handlers.run(wishes, "me")
    assert "before the first" in last["status"] and "archive" not in last


def test_batch_without_files_or_text_says_so(handlers: BatchActions, wishes: BatchControls) -> None:
    for change in ({"files": None, "folder": None}, {"target_text": ""}, {"domain": "cats"}):
        with pytest.raises(TmsaError):
            list(handlers.run(dataclasses.replace(wishes, **change), "me"))
        assert "no batch" in handlers.cancel("me")  # a failed batch is over


def test_time_left_is_readable() -> None:
    assert [duration(s) for s in (0.2, 59, 600)] == ["1 s", "59 s", "10 min"]
    assert 'aria-label="1 of 2 images' in progress_html(1, 2, 0, 3.0)


def test_work_for_a_world_goes_on_beside_the_page() -> None:
    supplies, go = SetupJobs(), threading.Event()

    def work(report) -> None:  # noqa: ANN001
        report(0.5, "Fetching a.pt")
        go.wait(20)

    thread = supplies.start("ffhq", work)
    for _ in range(1000):
        if supplies.job("ffhq").share:
            break
        thread.join(0.01)
    assert supplies.start("ffhq", work) is None  # one at a time
    words = domain_words(find_status("ffhq"), supplies.job("ffhq"))
    assert "Fetching a.pt (50%)" in words and "meanwhile" in words
    go.set()
    thread.join(20)
    assert supplies.job("ffhq").done


def test_failed_work_is_told_and_can_be_tried_again() -> None:
    supplies = SetupJobs()

    def fail(report) -> None:  # noqa: ANN001
        raise BundleError("The Hub cannot be reached; try again later.")

    supplies.start("ffhq", fail).join(20)
    status = find_status("ffhq")
    assert "The Hub cannot be reached" in domain_words(status, supplies.job("ffhq"))
    assert supplies.start("ffhq", lambda report: None) is not None


def test_missing_worlds_say_what_they_lack() -> None:
    assert domain_words(find_status("avatar"), None) == ""
    words = domain_words(find_status("ffhq"), None)
    assert "cannot be edited here yet" in words


def test_consent_and_licences_are_there() -> None:
    assert "Ask." in CONSENT
    text = licences()
    for title in ("Drawn portraits", "Photos of faces", "Cars", "Churches"):
        assert f"### {title}" in text
    assert "| generator | MIT |" in text
