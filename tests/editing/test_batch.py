"""Batches: results, failures, and outputs that are refused."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from tmsa_core import Editor, EditRequest, TmsaError
from tmsa_core.cli.main import main
from tmsa_core.editing import archives
from tmsa_core.editing.archives import read_entries
from tmsa_core.editing.batch import BatchOptions, Row, run_batch, table
from tmsa_core.errors import ImageError, RequestError, StrengthError
from tmsa_core.imaging.metadata import encode_png, read_recipe

GLASSES = EditRequest("human face", "human face with sunglasses")
ALIGNED = BatchOptions(aligned=True)


def packed(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def unpacked(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture
def portrait_png(portrait: Image.Image) -> bytes:
    return encode_png(portrait)


def test_bad_files_do_not_stop_the_rest(
    editor: Editor, portrait_png: bytes, tmp_path: Path
) -> None:
    source = packed(
        tmp_path / "in.zip",
        {
            "a.png": portrait_png,
            "b.txt": b"no image",
            "c/a.png": portrait_png,
            "d.jpg": portrait_png[:300],
        },
    )
    rows = list(run_batch(editor, [source], [GLASSES], tmp_path / "out.zip", ALIGNED))
    assert [(r.file, r.status) for r in rows] == [
        ("a.png", "edited"),
        ("b.txt", "failed"),
        ("c/a.png", "edited"),
        ("d.jpg", "failed"),
    ]
    assert all(row.message.endswith(".") for row in rows if row.status == "failed")
    files = unpacked(tmp_path / "out.zip")
    assert set(files) == {"a.png", "c/a.png", "scores.csv", "recipe.json"}
    assert files["a.png"] == files["c/a.png"] != portrait_png
    lines = list(csv.DictReader(io.StringIO(files["scores.csv"].decode())))
    assert [line["status"] for line in lines] == [row.status for row in rows]
    assert float(lines[0]["text_after"]) > float(lines[0]["text_before"])
    assert -1 <= float(lines[0]["identity"]) <= 1
    assert json.loads(files["recipe.json"])["edits"][0]["target_text"] == GLASSES.target_text


def test_batch_can_be_stopped_and_keeps_what_was_done(
    editor: Editor, portrait_png: bytes, tmp_path: Path
) -> None:
    source = packed(tmp_path / "in.zip", {f"{i}.png": portrait_png for i in range(5)})
    work = run_batch(editor, [source], [GLASSES], tmp_path / "out.zip", ALIGNED)
    next(work)
    work.close()
    files = unpacked(tmp_path / "out.zip")
    assert set(files) == {"0.png", "scores.csv", "recipe.json"}
    assert files["scores.csv"].count(b"edited") == 1


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_folder_is_read_and_format_chosen(
    editor: Editor, portrait_png: bytes, tmp_path: Path, suffix: str
) -> None:
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "one.png").write_bytes(portrait_png)
    (folder / ".hidden.png").write_bytes(portrait_png)
    options = BatchOptions(aligned=True, format=suffix, notice=True)
    (row,) = run_batch(editor, [folder], [GLASSES], tmp_path / "out.zip", options)
    assert row.output == f"sub/one.{suffix}"
    data = unpacked(tmp_path / "out.zip")[row.output]
    with Image.open(io.BytesIO(data)) as image:
        assert read_recipe(image)["edits"][0]["alpha"] == 1.0


def test_names_of_results_are_unique(editor: Editor, portrait_png: bytes, tmp_path: Path) -> None:
    source = packed(
        tmp_path / "in.zip", {"a.png": portrait_png, "a.PNG": portrait_png, "a.bmp": portrait_png}
    )
    rows = list(run_batch(editor, [source], [GLASSES], tmp_path / "out.zip", ALIGNED))
    assert sorted(row.output for row in rows) == ["a-2.png", "a-3.png", "a.png"]


def test_a_too_large_member_is_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "MAX_BYTES", 1 << 20)
    source = packed(tmp_path / "bomb.zip", {"a.png": bytes(50 << 20), "b.png": b"small"})
    bomb, small = read_entries([source])
    assert isinstance(bomb.content, ImageError) and "MB" in str(bomb.content)
    assert small.content == b"small"


def test_damaged_and_locked_members_are_reported(tmp_path: Path) -> None:
    source = packed(tmp_path / "in.zip", {"a.png": b"x" * 1000, "b.png": b"good"})
    data = bytearray(source.read_bytes())
    data[36] ^= 0xFF  # inside the packed bytes of the first member
    source.write_bytes(data)
    first, second = read_entries([source])
    assert isinstance(first.content, ImageError) and "damaged" in str(first.content)
    assert second.content == b"good"
    data[36] ^= 0xFF
    directory = data.index(b"PK\x01\x02")
    data[6] |= 1  # "encrypted", in the member's own header and in the table of contents
    data[directory + 8] |= 1
    source.write_bytes(data)
    locked, _ = read_entries([source])
    assert isinstance(locked.content, ImageError) and "locked" in str(locked.content)


def test_batches_that_cannot_start_say_why(
    editor: Editor, portrait_png: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out.zip"
    (tmp_path / "empty").mkdir()
    good = packed(tmp_path / "in.zip", {"a.png": portrait_png, "b.png": portrait_png})
    (tmp_path / "bad.zip").write_bytes(good.read_bytes()[:-10])
    with pytest.raises(RequestError, match="no file in the batch"):
        run_batch(editor, [tmp_path / "empty"], [GLASSES], out)
    with pytest.raises(RequestError, match="no file or folder"):
        run_batch(editor, [tmp_path / "missing"], [GLASSES], out)
    with pytest.raises(TmsaError, match="empty"):
        run_batch(editor, [good], [EditRequest("human face", " ")], out)
    with pytest.raises(StrengthError, match="alpha"):
        run_batch(editor, [good], [EditRequest("human face", "smiling human face", 11.0)], out)
    with pytest.raises(RequestError, match="format"):
        run_batch(editor, [good], [GLASSES], out, BatchOptions(format="gif"))
    monkeypatch.setattr(archives, "MAX_IMAGES", 1)
    with pytest.raises(RequestError, match="more than the 1"):
        run_batch(editor, [good], [GLASSES], out)
    rows = list(run_batch(editor, [tmp_path / "bad.zip"], [GLASSES], out))
    assert rows[0].status == "failed"  # no table of contents, so it counts as one odd file


@pytest.mark.parametrize("field", ["inversion", "aligned", "format", "notice"])
@pytest.mark.parametrize("value", [np.zeros(3), "maybe", 7, [True]], ids=str)
def test_options_of_a_wrong_kind_are_refused_in_a_sentence(
    editor: Editor, portrait_png: bytes, tmp_path: Path, field: str, value: object
) -> None:
    source = packed(tmp_path / "in.zip", {"a.png": portrait_png})
    options = BatchOptions(**{field: value})
    with pytest.raises(RequestError, match=f"^{field} is .*use|^{field} is .*bundle"):
        run_batch(editor, [source], [GLASSES], tmp_path / "out.zip", options)
    assert not (tmp_path / "out.zip").exists()


@pytest.mark.parametrize("value", [np.zeros(3), "maybe", 7, [True]], ids=str)
def test_flags_of_a_wrong_kind_are_refused_in_a_sentence(
    editor: Editor, portrait: Image.Image, value: object
) -> None:
    with pytest.raises(RequestError, match=r"^aligned is .*use True or False"):
        editor.prepare(portrait, aligned=value)
    with pytest.raises(RequestError, match=r"^paste_back is .*use True or False"):
        editor.edit(editor.sample(0), replace(GLASSES, paste_back=value))


def test_the_table_has_no_formulas() -> None:
    text = table([Row("=cmd()|x.png", "failed", message="@sum")])
    assert "'=cmd()|x.png" in text and "'@sum" in text


def test_command_line_edits_a_folder(
    portrait_png: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(portrait_png)
    (tmp_path / "in" / "b.png").write_bytes(b"no image")
    out = str(tmp_path / "out.zip")
    arguments = ["--target", "smiling human face", "--aligned", "--device", "cpu"]
    assert main(["batch", str(tmp_path / "in"), "-o", out, *arguments]) == 0
    said = capsys.readouterr()
    assert "1 edited, 1 failed" in said.out and "b.png: " in said.err
    assert set(unpacked(Path(out))) == {"a.png", "scores.csv", "recipe.json"}
    (tmp_path / "in" / "a.png").unlink()
    assert main(["batch", str(tmp_path / "in"), "-o", out, *arguments]) == 1
    assert "None of the images" in capsys.readouterr().err


ARGUMENTS = ("--target", "smiling human face", "--aligned", "--device", "cpu")


def spellings(path: Path) -> dict[str, Path]:
    """Other names of one file: links and a way round."""
    folder = path.parent
    (folder / "soft.zip").symlink_to(path)
    os.link(path, folder / "hard.zip")
    (folder / "sub").mkdir()
    around = folder / "sub" / ".." / path.name
    return {"same": path, "soft": folder / "soft.zip", "hard": folder / "hard.zip", "way": around}


@pytest.mark.parametrize("spelling", ["same", "soft", "hard", "way"])
@pytest.mark.parametrize("name", ["a.zip", "q.png"])
def test_an_output_that_is_a_source_is_refused_before_any_work(
    portrait_png: bytes,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    spelling: str,
) -> None:
    source = tmp_path / name
    if name == "q.png":
        source.write_bytes(portrait_png)
    else:
        packed(source, {"a.png": portrait_png})
    before, out = source.read_bytes(), spellings(source)[spelling]
    # a domain that is not here: the refusal comes before any network is looked for
    assert main(["batch", str(source), "-o", str(out), *ARGUMENTS, "--domain", "ffhq"]) == 1
    said = capsys.readouterr().err
    assert "is one of the files to edit" in said and said.count("\n") == 1
    assert source.read_bytes() == before


def test_a_second_run_into_the_folder_that_is_edited_is_refused(
    editor: Editor, portrait_png: bytes, tmp_path: Path
) -> None:
    (tmp_path / "a.png").write_bytes(portrait_png)
    out = tmp_path / "out.zip"
    assert len(list(run_batch(editor, [tmp_path], [GLASSES], out, ALIGNED))) == 1
    before = out.read_bytes()
    with pytest.raises(RequestError, match=r"out\.zip is one of the files to edit"):
        run_batch(editor, [tmp_path], [GLASSES], out, ALIGNED)
    assert out.read_bytes() == before and sorted(os.listdir(tmp_path)) == ["a.png", "out.zip"]


def test_an_earlier_output_is_kept_until_the_end(
    editor: Editor, portrait_png: bytes, tmp_path: Path
) -> None:
    source = packed(tmp_path / "in.zip", {f"{i}.png": portrait_png for i in range(2)})
    out = tmp_path / "out.zip"
    out.write_bytes(b"earlier")
    work = run_batch(editor, [source], [GLASSES], out, ALIGNED)
    next(work)
    assert out.read_bytes() == b"earlier"
    assert len(list(work)) == 1 and len(unpacked(out)) == 4


@pytest.mark.parametrize("place", ["/dev/null", "/dev/full", "/proc/out.zip", "", "no/out.zip"])
def test_an_output_that_cannot_be_written_is_refused_in_one_sentence(
    portrait_png: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str], place: str
) -> None:
    (tmp_path / "in.png").write_bytes(portrait_png)
    assert main(["batch", str(tmp_path / "in.png"), "-o", str(tmp_path / place), *ARGUMENTS]) == 1
    said = capsys.readouterr().err
    assert said.startswith("Error: ") and said.count("\n") == 1 and "Errno" not in said
    assert os.listdir(tmp_path) == ["in.png"]


def test_a_batch_survives_every_error_of_one_file(
    editor: Editor,
    portrait_png: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    load = PngImageFile.load

    def broken(image: PngImageFile) -> object:
        if image.size == (7, 7):
            raise AssertionError("secret-name.png")  # an error that no reader is known to raise
        return load(image)

    monkeypatch.setattr(PngImageFile, "load", broken)
    odd = encode_png(Image.new("RGB", (7, 7)))
    source = packed(tmp_path / "in.zip", {"a.png": odd, "b.png": portrait_png})
    rows = list(run_batch(editor, [source], [GLASSES], tmp_path / "out.zip", ALIGNED))
    assert [row.status for row in rows] == ["failed", "edited"]
    assert rows[0].message.endswith(".") and "secret" not in rows[0].message
    assert "AssertionError" in caplog.text and "secret" not in caplog.text
    assert set(unpacked(tmp_path / "out.zip")) == {"b.png", "scores.csv", "recipe.json"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_command_with_what_was_done(
    portrait_png: bytes, tmp_path: Path, number: int
) -> None:
    folder, out = tmp_path / "in", tmp_path / "out.zip"
    folder.mkdir()
    for i in range(40):
        (folder / f"{i:02d}.png").write_bytes(portrait_png if i else b"no image")
    out.write_bytes(b"earlier")
    command = [sys.executable, "-m", "tmsa_core", "batch", str(folder), "-o", str(out), *ARGUMENTS]
    root = Path(__file__).parent.parent.parent
    with subprocess.Popen(command, cwd=root, stderr=subprocess.PIPE, text=True) as process:
        while "00.png: " not in process.stderr.readline():  # the first row
            assert process.poll() is None
        process.send_signal(number)
        said = process.stderr.read()
    assert process.returncode == 1 and said.rstrip().endswith("Error: Stopped.")
    assert "scores.csv" in unpacked(out) and len(unpacked(out)) < 40
    assert sorted(os.listdir(tmp_path)) == ["in", "out.zip"]
