"""The command line: its files, messages and exit status."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tmsa_core.cli.main import COMMANDS, main
from tmsa_core.domains import DOMAINS
from tmsa_core.imaging.metadata import read_recipe

ROOT = Path(__file__).parent.parent.parent
SIDE = DOMAINS["avatar"].resolution
TEXTS = ("--neutral", "human face", "--target", "human face with sunglasses")


@pytest.fixture
def image(portrait: Image.Image, tmp_path: Path) -> str:
    path = tmp_path / "in.png"
    portrait.save(path)
    return str(path)


def pixels(path: str | Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def complaint(capsys: pytest.CaptureFixture[str]) -> str:
    """The message of a failed command: one sentence on standard error, no standard output."""
    said = capsys.readouterr()
    assert said.out == ""
    lines = said.err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("Error: ") and ". " not in lines[0]
    return lines[0]


def test_module_runs_as_a_command(tmp_path: Path) -> None:
    out = tmp_path / "face.png"
    done = subprocess.run(
        [sys.executable, "-m", "tmsa_core", "sample", "-o", str(out), "--seed", "3"],
        cwd=ROOT,
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "seed 3" in done.stdout
    assert read_recipe(out)["edits"] == []


@pytest.mark.parametrize("command", [c.__name__.replace("_", "-") for c in COMMANDS])
def test_help_has_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    text = capsys.readouterr().out
    assert "Example:" in text and f"tmsa {command}" in text


def test_installed_command_is_the_same_function() -> None:
    assert 'tmsa = "tmsa_core.cli:main"' in (ROOT / "pyproject.toml").read_text()


def test_edit_writes_image_and_recipe(
    image: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "out.png")
    assert main(["edit", image, "-o", out, *TEXTS, "--alpha", "1.5", "--aligned"]) == 0
    assert "edited in" in capsys.readouterr().out
    assert pixels(out).shape == pixels(image).shape
    edit = read_recipe(out)["edits"][0]
    assert read_recipe(out)["inversion"] == "e4e"
    assert (edit["target_text"], edit["alpha"]) == (TEXTS[3], 1.5)


def test_edit_applies_several_edits_together(image: str, tmp_path: Path) -> None:
    out = str(tmp_path / "out.png")
    more = ["--alpha", "1.5", "--target", "old human face", "--alpha", "0.5", "--levels", "coarse"]
    assert main(["edit", image, "-o", out, *TEXTS, *more, "--aligned"]) == 0
    first, second = read_recipe(out)["edits"]
    assert (first["target_text"], first["alpha"]) == (TEXTS[3], 1.5)
    assert (second["target_text"], second["alpha"]) == ("old human face", 0.5)
    assert first["neutral_text"] == second["neutral_text"] == "human face"
    assert first["levels"] == second["levels"] == "coarse"


def test_edit_finds_the_face_and_writes_the_crop(image: str, tmp_path: Path) -> None:
    out = str(tmp_path / "out.jpg")
    assert main(["edit", image, "-o", out, *TEXTS, "--alpha", "-1", "--crop-only"]) == 0
    assert pixels(out).shape == (SIDE, SIDE, 3)
    assert read_recipe(out)["edits"][0]["alpha"] == -1


def test_levels_change_the_edit(image: str, tmp_path: Path) -> None:
    outs = [str(tmp_path / f"{levels}.png") for levels in ("all", "coarse", "0,1")]
    for out in outs:
        levels = Path(out).stem
        arguments = ["edit", image, "-o", out, *TEXTS, "--aligned", "--levels", levels]
        assert main(arguments) == 0
    assert not np.array_equal(pixels(outs[0]), pixels(outs[1]))
    assert not np.array_equal(pixels(outs[1]), pixels(outs[2]))


def test_notes_go_to_standard_error(
    image: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "out.png")
    same = ["--neutral", "human face", "--target", "human face"]
    assert main(["edit", image, "-o", out, *same, "--aligned", "--crop-only"]) == 0
    assert "nothing moved" in capsys.readouterr().err


def test_sweep_writes_a_strip(image: str, tmp_path: Path) -> None:
    out = str(tmp_path / "strip.png")
    arguments = ["sweep", image, "-o", out, "--target", "old human face", "--steps", "3"]
    assert main([*arguments, "--aligned"]) == 0
    strip = pixels(out)
    assert strip.shape == (SIDE, 3 * SIDE, 3)
    assert np.abs(strip[:, :SIDE] - strip[:, 2 * SIDE :]).mean() > 1
    assert [edit["alpha"] for edit in read_recipe(out)["edits"]] == [-1.0, 0.5, 2.0]


def test_align_writes_the_crop_and_lists_the_faces(
    image: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "crop.png")
    assert main(["align", image, "-o", out]) == 0
    assert "face 0: left, top, right, bottom = " in capsys.readouterr().out
    assert pixels(out).shape == (SIDE, SIDE, 3)
    assert read_recipe(out) is None


def test_domains_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["domains"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert lines["avatar"].endswith("ready")
    assert "not available" in lines["church"]


USAGE: dict[str, list[str]] = {
    "no command": [],
    "unknown command": ["paint"],
    "unknown option": ["edit", "in.png", "--colour", "red"],
    "missing option": ["edit", "in.png", "-o", "out.png"],
    "no number": ["edit", "in.png", "-o", "out.png", "--target", "x", "--alpha", "much"],
    "out of range": ["sweep", "in.png", "-o", "out.png", "--target", "x", "--steps", "1"],
}


@pytest.mark.parametrize("case", USAGE)
def test_wrong_usage_returns_two(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(USAGE[case]) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err


def test_ctrl_c_prints_one_word(monkeypatch, capsys) -> None:
    def press() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tmsa_core.availability.list_domains", press)
    assert main(["domains"]) == 1
    assert capsys.readouterr().err == "Error: Stopped.\n"


BAD_REQUESTS: dict[str, tuple[list[str], str]] = {
    "empty target": (["--target", " "], "empty"),
    "empty neutral": (["--target", "human face", "--neutral", ""], "empty"),
    "too long": (["--target", "glasses " * 90], "too long"),
    "nan": (["--target", "human face", "--alpha", "nan"], "alpha"),
    "infinite": (["--target", "human face", "--alpha", "inf"], "alpha"),
    "levels": (["--target", "human face", "--levels", "upper"], "levels"),
    "levels list": (["--target", "human face", "--levels", "1,x"], "levels"),
    "levels raised": (["--target", "human face", "--levels", "²"], "levels"),
    "levels signed": (["--target", "human face", "--levels=--1"], "levels"),
    "more alphas": (["--target", "old human face", "--alpha", "1", "--alpha", "2"], "--alpha"),
    "face": (["--target", "human face", "--face", "9"], "face number 9"),
    "inversion": (["--target", "human face", "--inversion", "magic"], "inversion"),
    "domain": (["--target", "human face", "--domain", "cats"], "cats"),
    "device": (["--target", "human face", "--device", "abacus"], "abacus"),
    "output": (["--target", "human face", "-o", "out.gif"], "out.gif"),
    "folder": (["--target", "human face", "-o", "nowhere/out.png"], "nowhere"),
}


@pytest.mark.parametrize("case", BAD_REQUESTS)
def test_bad_request_is_one_sentence(
    image: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    arguments, message = BAD_REQUESTS[case]
    out = str(tmp_path / "out.png")
    assert main(["edit", image, "-o", out, *arguments]) == 1
    assert message in complaint(capsys)
    assert not Path(out).exists()


@pytest.mark.parametrize("alpha", ["nan", "-99"])
def test_sweep_refuses_a_strength_before_it_starts(
    image: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], alpha: str
) -> None:
    out = str(tmp_path / "out.png")
    assert main(["sweep", image, "-o", out, "--target", "old human face", "--from", alpha]) == 1
    assert "alpha" in complaint(capsys)


@pytest.mark.parametrize("kind", ["missing", "text", "truncated", "no face", "folder"])
def test_bad_image_is_one_sentence(
    tmp_path: Path, portrait: Image.Image, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    path = tmp_path / "in.jpg"
    if kind == "text":
        path.write_text("no image")
    if kind == "truncated":
        portrait.resize((600, 600)).save(path)
        path.write_bytes(path.read_bytes()[:4000])
    if kind == "no face":
        Image.new("RGB", (300, 300), "white").save(path)
    if kind == "folder":
        path.mkdir()
    assert main(["edit", str(path), "-o", str(tmp_path / "out.png"), *TEXTS]) == 1
    said = complaint(capsys)
    assert "face" in said if kind == "no face" else "in.jpg" in said
