"""The actions of the Batch tab, without a browser."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from tmsa_core import Editor
from tmsa_core.errors import TmsaError
from tmsa_core.server.editors import Editors
from tmsa_core.server.file_leases import Leases
from tmsa_core.ui.batch_actions import BatchActions, BatchControls, progress_html
from tmsa_core.ui.strings import duration


@pytest.fixture
def actions(editor: Editor) -> BatchActions:
    return BatchActions(Editors(editor), Leases())


@pytest.fixture
def controls(actions: BatchActions, editor: Editor) -> BatchControls:
    """A broken upload and two samples of the bundle."""
    samples = sorted((editor.bundle.folder / "samples").glob("*.png"))[:2]
    broken = actions.leases.new_folder() / "bad.png"
    broken.write_bytes(b"no image")
    texts = "human face", "human face with sunglasses"
    return BatchControls([str(broken)], list(map(str, samples)), *texts, 1.0)


def test_batch_shows_progress_and_gives_an_archive(
    actions: BatchActions, controls: BatchControls
) -> None:
    actions.begin("me")
    updates = list(actions.run(controls, "me"))
    assert "0 of 3" in updates[0]["status"]
    assert "1 of 3" in updates[1]["status"] and "left" in updates[1]["status"]
    assert "2 edited, 1 failed" in updates[-1]["status"]
    assert [row[1] for row in updates[-2]["table"]] == ["failed", "edited", "edited"]
    with zipfile.ZipFile(updates[-1]["archive"]) as archive:
        assert len(archive.namelist()) == 4
    actions.leases.leave("me")
    assert not Path(updates[-1]["archive"]).exists() and not Path(controls.files[0]).exists()
    assert all(Path(path).exists() for path in controls.paths[1:]), "the samples were deleted too"


def test_a_batch_that_cannot_begin_clears_the_last_one_and_says_why(
    actions: BatchActions, controls: BatchControls
) -> None:
    work = actions.run(replace(controls, files=None, folder=None), "me")
    update = next(work)
    assert "no file in the batch" in update["status"]
    assert update["table"] == [] and update["archive"] is None
    with pytest.raises(TmsaError):
        next(work)


def test_uploads_of_a_batch_that_never_began_are_deleted_with_the_session(
    actions: BatchActions, controls: BatchControls
) -> None:
    actions.claim("me", *controls.files)
    actions.leases.leave("me")
    assert not Path(controls.files[0]).exists()


def test_cancelled_batch_gives_the_finished_images(
    actions: BatchActions, controls: BatchControls
) -> None:
    assert "no batch" in actions.cancel("me")
    actions.begin("me")
    work = actions.run(controls, "me")
    next(work), next(work)
    assert "Stopping" in actions.cancel("me")
    *_, last = work
    assert "Cancelled after 1 of 3" in last["status"] and Path(last["archive"]).exists()
    actions.begin("me")
    actions.cancel("me")
    *_, last = actions.run(controls, "me")
    assert "before the first" in last["status"] and "archive" not in last


@pytest.mark.parametrize(
    "change", [{"files": None, "folder": None}, {"target_text": ""}, {"domain": "cats"}]
)
def test_an_invalid_batch_is_refused_and_ends(
    actions: BatchActions, controls: BatchControls, change: dict[str, object]
) -> None:
    with pytest.raises(TmsaError):
        list(actions.run(replace(controls, **change), "me"))
    assert "no batch" in actions.cancel("me")


def test_time_left_is_readable() -> None:
    assert [duration(s) for s in (0.2, 59, 600)] == ["1 s", "59 s", "10 min"]
    assert 'aria-label="0 of 2 images, about 3 s left"' in progress_html([], 2, 3.0)
