"""What scripts use: the typed client, the examples, MCP tools; all against a live page."""

from __future__ import annotations

import csv
import inspect
import io
import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tmsa_core.api.endpoints import Endpoints
from tmsa_core.client import RemoteError, TmsaClient
from tmsa_core.domains import DOMAINS
from tmsa_core.imaging.metadata import read_recipe

EXAMPLES = Path(__file__).parent.parent.parent / "docs" / "examples"
TEXTS = ("human face", "human face with sunglasses")


@pytest.fixture(scope="module")
def client(server: str) -> Iterator[TmsaClient]:
    with TmsaClient(server) as client:
        yield client


@pytest.fixture(scope="module")
def file(portrait: Image.Image, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("images") / "portrait.png"
    portrait.save(path)
    return path


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def test_client_edits_inverts_and_aligns(client: TmsaClient, file: Path) -> None:
    edited = client.edit(file, *TEXTS, 0.0, aligned=True, paste_back=False)
    inverted = client.invert(file, aligned=True)
    assert np.array_equal(pixels(edited), pixels(inverted.image))
    assert np.asarray(inverted.w_plus).shape == (DOMAINS["avatar"].levels, 512)
    assert read_recipe(edited)["edits"][0]["target_text"] == TEXTS[1]
    both = client.edit(file, *TEXTS, more_edits=[{"target_text": "old human face", "alpha": 0.5}])
    assert [edit["alpha"] for edit in read_recipe(both)["edits"]] == [1.0, 0.5]
    aligned = client.align(file)
    assert len(aligned.faces) == 1 and len(aligned.quad) == 4 and aligned.crop.exists()


def test_client_sweeps_samples_and_lists(client: TmsaClient, file: Path) -> None:
    strip = client.sweep(file, *TEXTS, -1, 1, 3, aligned=True)
    assert list(strip) == [-1, 0, 1] and all(path.exists() for path in strip.values())
    assert np.array_equal(pixels(client.sample(5)), pixels(client.sample(5)))
    assert {row["key"] for row in client.domains()} == {"avatar", "ffhq", "car", "church"}


def test_client_edits_a_batch(client: TmsaClient, file: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"no image")
    files, more = [file, tmp_path / "bad.png"], [{"target_text": "old human face"}]
    done = client.batch(files, *TEXTS, aligned=True, format="webp", more_edits=more)
    assert [row["status"] for row in done.rows] == ["edited", "failed"]
    with zipfile.ZipFile(done.archive) as archive:
        assert set(archive.namelist()) == {"portrait.webp", "scores.csv", "recipe.json"}
        recipe = json.loads(archive.read("recipe.json"))
        lines = list(csv.DictReader(io.TextIOWrapper(archive.open("scores.csv"))))
    assert [edit["target_text"] for edit in recipe["edits"]] == [TEXTS[1], "old human face"]
    assert [line["file"] for line in lines] == ["portrait.png", "bad.png"]


def test_client_says_what_the_page_says(client: TmsaClient, file: Path) -> None:
    with pytest.raises(RemoteError, match="empty"):
        client.edit(file, "human face", " ")
    with pytest.raises(RemoteError, match="no domain"):
        client.sample(domain="cats")
    with pytest.raises(RemoteError, match="no file in the batch"):
        client.batch([], *TEXTS)


@pytest.mark.parametrize("name", ["edit", "align", "invert", "sweep", "sample", "batch", "domains"])
def test_client_takes_what_the_endpoint_takes(name: str) -> None:
    def parameters(function: object) -> dict[str, object]:
        found = inspect.signature(function).parameters.values()  # type: ignore[arg-type]
        return {p.name: p.default for p in found if p.name not in ("self", "progress")}

    assert parameters(getattr(TmsaClient, name)) == parameters(getattr(Endpoints, name))


COMMANDS = {
    "edit_with_gradio_client.py": [sys.executable],
    "edit_with_curl.sh": ["sh"],
    "edit_with_javascript.mjs": ["node"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_example_runs(
    server: str, client: TmsaClient, file: Path, tmp_path: Path, name: str
) -> None:
    needed = {"sh": "curl"}.get(COMMANDS[name][0], COMMANDS[name][0])
    if shutil.which(needed) is None:
        pytest.skip(f"{needed} is not installed")
    output = tmp_path / "out.png"
    done = subprocess.run(
        [*COMMANDS[name], EXAMPLES / name, file, output, server.rstrip("/")],
        capture_output=True,
        check=False,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    wanted = client.edit(file, "human face", "human face with glasses")
    assert np.array_equal(pixels(output), pixels(wanted))
    assert read_recipe(output)["edits"][0]["target_text"] == "human face with glasses"
