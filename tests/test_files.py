"""Files that are written aside: complete, or what was there before."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tmsa_core.errors import BundleError, RequestError
from tmsa_core.files import check_writable, replacing, safe_cell, write_whole

HOLD = """
import sys
from pathlib import Path
from tmsa_core.files import replacing
with replacing(Path(sys.argv[1])) as file:
    file.write(b"new")
    file.flush()
    print("written", flush=True)
    sys.stdin.readline()
"""


def test_a_file_is_replaced_at_the_end_only(tmp_path: Path) -> None:
    target = tmp_path / "a.bin"
    target.write_bytes(b"old")
    with replacing(target) as file:
        file.write(b"new")
        assert target.read_bytes() == b"old"
    assert target.read_bytes() == b"new" and os.listdir(tmp_path) == ["a.bin"]
    assert target.stat().st_mode & 0o777 == 0o666 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failed_block_keeps_the_earlier_file(tmp_path: Path, error: type) -> None:
    target = tmp_path / "a.bin"
    target.write_bytes(b"old")
    with pytest.raises(error), replacing(target) as file:
        file.write(b"new")
        raise error
    assert target.read_bytes() == b"old" and os.listdir(tmp_path) == ["a.bin"]


def test_planted_links_are_not_followed(tmp_path: Path) -> None:
    victim, target = tmp_path / "victim", tmp_path / "a.bin"
    victim.write_bytes(b"precious")
    for name in ("a.half", "a.bin.half", ".a.bin.0.half"):
        (tmp_path / name).symlink_to(victim)
    write_whole(target, b"new")
    assert victim.read_bytes() == b"precious" and target.read_bytes() == b"new"


def test_a_link_at_the_path_stays_a_link(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_bytes(b"old")
    link.symlink_to(real)
    write_whole(link, b"new")
    assert link.is_symlink() and real.read_bytes() == b"new"


@pytest.mark.skipif(sys.platform == "win32", reason="kills by signal")
def test_halves_of_killed_processes_are_removed_and_of_running_ones_kept(tmp_path: Path) -> None:
    target = tmp_path / "a.bin"
    command = [sys.executable, "-c", HOLD, str(target)]
    root = Path(__file__).parent.parent
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "cwd": root}
    with subprocess.Popen(command, **pipes) as dead, subprocess.Popen(command, **pipes) as living:
        assert dead.stdout.readline() and living.stdout.readline()
        dead.kill()
        dead.wait()
        assert len(list(tmp_path.glob(".a.bin.*.half"))) == 2
        write_whole(target, b"mine")
        assert len(list(tmp_path.glob(".a.bin.*.half"))) == 1
        living.communicate(b"\n")
    assert target.read_bytes() == b"new" and os.listdir(tmp_path) == ["a.bin"]


WRITE_OFTEN = """
import sys
from pathlib import Path
from tmsa_core.files import write_whole
for _ in range(1500):
    write_whole(Path(sys.argv[1]), b"whole")
"""


def test_processes_that_write_the_same_file_do_not_disturb_each_other(tmp_path: Path) -> None:
    target = tmp_path / "configuration.json"
    command = [sys.executable, "-c", WRITE_OFTEN, str(target)]
    writers = [
        subprocess.Popen(
            command, stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parent.parent
        )
        for _ in range(3)
    ]
    errors = [writer.communicate(timeout=120)[1] for writer in writers]
    assert errors == ["", "", ""]
    assert target.read_bytes() == b"whole" and list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("/dev/null", "is a device"),
        (".", "is a folder"),
        ("missing/a.zip", "does not exist"),
        ("/proc/self/a.zip", "could not be written"),
    ],
)
def test_an_unwritable_path_is_refused_in_one_sentence(
    tmp_path: Path, place: str, reason: str
) -> None:
    with pytest.raises(BundleError, match=reason) as caught:
        check_writable(tmp_path / place, BundleError)
    assert str(caught.value).endswith(".") and "Errno" not in str(caught.value)


def test_checking_a_path_leaves_no_file(tmp_path: Path) -> None:
    check_writable(tmp_path / "a.zip")
    assert os.listdir(tmp_path) == []
    with pytest.raises(RequestError, match=r"\.\.\.x+"):
        check_writable(tmp_path / ("x" * 250) / ("x" * 250))


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@a", "\t=1", "\r=1", "\n=1", "  =1", "＝1"])
def test_no_cell_is_a_formula(text: str) -> None:
    assert safe_cell(text) == "'" + text


@pytest.mark.parametrize("value", ["a=1", "", "face.png", 3, -2.5, None])
def test_other_cells_stay_as_they_are(value: object) -> None:
    assert safe_cell(value) == value
