"""A full disk: one sentence, no half file, and the earlier file is kept."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from tests.synthetic_checkpoints import write_checkpoint
from tests.test_kill import EARLIER, prepare
from tmsa_core.imaging.metadata import encode_png

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="limits by setrlimit")

# Limits the size of files: writing more fails as on a full disk. Python ignores the signal.
LIMITED = """
import resource, sys
limit = int(sys.argv[1])
import torch
from tmsa_core.cli.main import main
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
sys.exit(main(sys.argv[2:]))
"""
STATE = """
import resource, sys
from pathlib import Path
import torch
from tmsa_core.errors import TmsaError
from tmsa_core.training.avatar.renders import render_chunk
from tmsa_core.training.avatar import renders as data
from tmsa_core.training.mapper.cache import Parts, cached
from tmsa_core.training.run import Options, Run
folder = Path(sys.argv[1])
run, model = Run("stage", Options(folder, folder), 10), torch.nn.Linear(100, 100)
run.save_checkpoint({"model": model}, 1)
data.CHUNK = 8
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
big = {"x": torch.zeros(10_000)}
works = (
    lambda: run.save_checkpoint({"model": model, "more": torch.nn.Linear(300, 300)}, 2),
    lambda: cached(folder, "pairs", "key", lambda parts: big),
    lambda: Parts(folder / "parts", "key").save(0, big),
    lambda: render_chunk(folder / "renders", 0, 0, 64),
    lambda: run.save_sample_grid(torch.rand(64, 3, 64, 64), torch.rand(64, 3, 64, 64)),
)
for work in works:
    try:
        work()
        print("no error")
    except TmsaError as error:
        print(error)
"""


def limited(limit: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line with files of at most ``limit`` bytes."""
    command = [sys.executable, "-c", LIMITED, str(limit), *arguments]
    return subprocess.run(
        command, capture_output=True, check=False, text=True, cwd=Path(__file__).parent.parent
    )


def assert_one_sentence(done: subprocess.CompletedProcess[str]) -> None:
    last = done.stderr.rstrip().rpartition("\n")[2]
    assert done.returncode == 1 and "Traceback" not in done.stderr and "Errno" not in done.stderr
    assert last.startswith("Error: ") and "the disk is full: make room" in last


@pytest.mark.parametrize("limit", [200, 20_000])
def test_a_batch_keeps_the_earlier_archive(
    tmp_path: Path, portrait: Image.Image, limit: int
) -> None:
    prepare("batch", tmp_path, portrait)
    out = str(tmp_path / "out.zip")
    arguments = ("--target", "smiling human face", "--aligned", "--device", "cpu")
    assert_one_sentence(limited(limit, "batch", str(tmp_path / "in"), "-o", out, *arguments))
    assert (tmp_path / "out.zip").read_bytes() == EARLIER
    assert sorted(os.listdir(tmp_path)) == ["in", "out", "out.zip"]


def test_a_conversion_leaves_no_half_file(tmp_path: Path) -> None:
    source = write_checkpoint("arcface", tmp_path / "public.pt")
    assert_one_sentence(limited(5000, "convert", "arcface", str(source), str(tmp_path / "out")))
    assert os.listdir(tmp_path / "out") == []


def test_an_image_keeps_the_earlier_one(tmp_path: Path, portrait: Image.Image) -> None:
    source, out = tmp_path / "in.png", tmp_path / "out.png"
    source.write_bytes(encode_png(portrait))
    out.write_bytes(EARLIER)
    assert_one_sentence(limited(200, "sample", "-o", str(out), "--device", "cpu"))
    assert out.read_bytes() == EARLIER and len(os.listdir(tmp_path)) == 2


def test_training_reports_a_full_disk_and_keeps_the_last_state(tmp_path: Path) -> None:
    root = Path(__file__).parent.parent
    command = [sys.executable, "-c", STATE, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=root, check=True)
    said = done.stdout.splitlines()
    assert len(said) == 5 and all("the disk is full: make room" in line for line in said)
    assert torch.load(tmp_path / "stage" / "state.pt", weights_only=True)["done"] == 1
    left = [path.name for path in tmp_path.rglob("*") if path.suffix == ".half"]
    assert not left and not (tmp_path / "renders" / "0000.images.npy").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_device_is_refused_as_output(tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    out.symlink_to("/dev/full")
    done = limited(10**9, "sample", "-o", str(out), "--device", "cpu")
    assert done.returncode == 1 and "is a device and not a file" in done.stderr
