"""The app with each file of its bundle damaged: one sentence names it, and the rest works."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.live import ROOT, running_app
from tmsa_core.cli.main import main
from tmsa_core.errors import BundleError, TmsaError
from tmsa_core.server.editors import first_editor
from tmsa_core.ui.page import build_ui

AVATAR = ROOT / "checkpoints" / "avatar"
NEEDED = ("bundle.json", "clip.safetensors", "e4e.safetensors", "face_detector.svm",
          "generator.safetensors", "landmarks.dat")  # fmt: skip
OPTIONAL = ("mapper.safetensors", "hfgi.safetensors", "identity.safetensors")
UNUSED = ("classifier.safetensors",)  # by the page


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def alter(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[0] ^= 0xFF
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


DAMAGES = (truncate, alter)


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the avatar bundle, as the page finds it."""
    folder = tmp_path / "checkpoints" / "avatar"
    shutil.copytree(AVATAR, folder, copy_function=os.symlink)
    monkeypatch.setenv("TMSA_CHECKPOINTS", str(folder.parent))
    return folder


def damage(path: Path, how: Callable[[Path], None]) -> None:
    content = path.read_bytes()
    path.unlink()  # which is a link to the committed file
    path.write_bytes(content)
    how(path)


def test_every_file_of_the_bundle_is_listed() -> None:
    files = {path.name for path in AVATAR.iterdir() if path.is_file()}
    assert files == {*NEEDED, *OPTIONAL, *UNUSED}


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize("name", NEEDED)
def test_a_damaged_needed_file_ends_the_start_in_one_sentence(
    bundle: Path, name: str, how: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    damage(bundle / name, how)
    assert main(["app"]) == 1
    said = capsys.readouterr().err.strip()
    assert said.startswith("Error: ") and name in said and "\n" not in said


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize("name", OPTIONAL)
def test_the_page_works_without_damaged_optional_files(
    bundle: Path, name: str, how: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    damage(bundle / name, how)
    editor = first_editor("avatar")
    said = capsys.readouterr().err.strip()
    assert f"{name} is damaged" in said and "\n" not in said
    build_ui(editor)
    editor.warm_up()
    drawn = editor.sample(1)
    prepared = editor.prepare(drawn.crop, aligned=True)
    role = name.partition(".")[0]
    if role == "mapper":
        with pytest.raises(BundleError, match="is damaged"):
            editor.shift("human face", "old human face")
        return
    from tmsa_core import EditRequest

    result = editor.edit(prepared, EditRequest("human face", "human face with sunglasses"))
    scores = editor.scores(prepared, result)
    assert (scores.identity is None) is (role == "identity")
    if role == "hfgi":
        assert editor.inversions == ("e4e",)
        with pytest.raises(BundleError, match="is damaged"):
            editor.prepare(drawn.crop, inversion="hfgi", aligned=True)


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize("name", UNUSED)
def test_a_file_that_the_page_does_not_use_may_be_damaged(
    bundle: Path, name: str, how: Callable[[Path], None]
) -> None:
    damage(bundle / name, how)
    editor = first_editor("avatar")
    build_ui(editor)
    with pytest.raises(TmsaError, match="is damaged"):
        editor.bundle.load("classifier")


def test_a_damaged_sample_is_left_out(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sample = sorted((bundle / "samples").glob("*.png"))[0]
    damage(sample, truncate)
    build_ui(first_editor("avatar"))
    assert f"The sample {sample} is left out" in capsys.readouterr().err


def test_a_live_page_with_damaged_files_answers(bundle: Path, tmp_path: Path) -> None:
    for name in ("hfgi.safetensors", "identity.safetensors"):
        damage(bundle / name, truncate)
    log = tmp_path / "log"
    with running_app(environment={"TMSA_CHECKPOINTS": str(bundle.parent)}, log=log) as address:
        assert "Edit a face with words" in httpx.get(address).text
    said = log.read_text()
    assert "Traceback" not in said
    assert said.count("is damaged") == 2
