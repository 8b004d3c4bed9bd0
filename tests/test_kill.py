"""Kill -9 at random moments: nothing is lost or half-written, and the same command resumes."""

from __future__ import annotations

import json
import random
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open

from tests.hub_server import running_hub
from tests.kill_work import CONTENT, IMAGES, PLACE, WIDE, start
from tests.synthetic_checkpoints import write_checkpoint
from tmsa_core.imaging.metadata import encode_png

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kills by signal")

EARLIER = b"an earlier archive"
FEW, MANY = 2, 20


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A Hub with one file."""
    with running_hub() as hub:
        hub.files[str(PLACE)] = CONTENT
        yield hub.address


def prepare(name: str, folder: Path, portrait: Image.Image) -> None:
    """Write the files that a job starts from."""
    (folder / "out").mkdir(parents=True)
    if name == "conversion":
        write_checkpoint("arcface", folder / "public.pt", WIDE)
    if name == "batch":
        (folder / "in").mkdir()
        for number in range(IMAGES):
            (folder / "in" / f"{number}.png").write_bytes(encode_png(portrait))
        (folder / "out.zip").write_bytes(EARLIER)


def check_batch(folder: Path) -> None:
    """The archive is the earlier one, or complete."""
    out = folder / "out.zip"
    if out.read_bytes() != EARLIER:
        with zipfile.ZipFile(out) as archive:
            assert archive.testzip() is None and len(archive.namelist()) == IMAGES + 2


def check_download(folder: Path) -> None:
    """The file is whole or not there."""
    file = folder / "out" / "model.bin"
    assert not file.exists() or file.read_bytes() == CONTENT


def check_conversion(folder: Path) -> None:
    """Every file that is there can be read to its end."""
    for file in (folder / "out").glob("*.safetensors"):
        read_tensors(file)


def check_training(folder: Path) -> None:
    """State, pairs and image are whole or not there."""
    out = folder / "out" / "mapper"
    for state in out.glob("state.pt"):
        assert torch.load(state, weights_only=True)["done"] >= 0
    for file in out.rglob("*.safetensors"):
        read_tensors(file)
    for file in out.rglob("synthetic-*/*.npy"):
        assert np.isfinite(np.load(file)).all()
    for file in out.glob("latest.png"):
        Image.open(file).load()
    for file in out.glob("configuration.json"):
        json.loads(file.read_text())


def read_tensors(file: Path) -> dict[str, torch.Tensor]:
    with safe_open(file, "pt") as opened:
        return {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118


def result(name: str, folder: Path) -> dict[str, object]:
    """Return the result of a job, to be compared."""
    if name == "batch":
        with zipfile.ZipFile(folder / "out.zip") as archive:
            return {n: archive.read(n) for n in archive.namelist() if n.endswith(".jpg")}
    if name == "download":
        return {"file": (folder / "out" / "model.bin").read_bytes()}
    if name == "conversion":
        return dict(read_tensors(folder / "out" / "arcface.safetensors"))
    state = torch.load(folder / "out" / "mapper" / "state.pt", weights_only=True)
    lines = (folder / "out" / "mapper" / "metrics.jsonl").read_text().splitlines()
    logged = [json.loads(line)["done"] for line in lines]
    return {**state["average"], "done": state["done"], "studio": state["studio"], "log": logged}


def assert_equal(found: dict[str, object], expected: dict[str, object]) -> None:
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        if isinstance(value, torch.Tensor):
            assert torch.allclose(found[key], value, atol=1e-6), key
        else:
            assert found[key] == value, key


CHECKS: dict[str, Callable[[Path], None]] = {
    "batch": check_batch,
    "download": check_download,
    "conversion": check_conversion,
    "training": check_training,
}


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kills", [FEW, pytest.param(MANY, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", CHECKS)
def test_a_killed_job_leaves_no_half_file_and_can_be_resumed(
    name: str, kills: int, tmp_path: Path, address: str, portrait: Image.Image
) -> None:
    rng = random.Random(f"{name} {kills}")
    unbroken, folder = tmp_path / "unbroken", tmp_path / "killed"
    for each in (unbroken, folder):
        prepare(name, each, portrait)
    seconds = start(name, unbroken, address).end()
    CHECKS[name](unbroken)
    for _ in range(kills):
        start(name, folder, address).kill(after=seconds * rng.random())
        CHECKS[name](folder)
    start(name, folder, address).end()
    CHECKS[name](folder)
    assert_equal(result(name, folder), result(name, unbroken))
    halves = [path.name for path in folder.rglob("*") if path.suffix in (".half", ".part")]
    assert not halves and "Traceback" not in (folder / "log.txt").read_text()
