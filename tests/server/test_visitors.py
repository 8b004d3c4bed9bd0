"""Many visitors at once: everybody gets the own image, and leaves nothing behind."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from gradio_client import Client, handle_file
from PIL import Image

from tmsa_core import Editor
from tmsa_core.imaging.metadata import read_recipe

VISITORS = 50
BATCHES, IMAGES = 3, 6
TEXTS = ("human face", "human face with sunglasses")


@pytest.fixture(scope="module")
def photos(editor: Editor, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A photo of its own for every visitor: a portrait in a larger image, to be looked for."""
    folder = tmp_path_factory.mktemp("visitors")
    paths = [folder / f"{i}.png" for i in range(VISITORS)]
    for i, path in enumerate(paths):
        photo = Image.new("RGB", (320, 280), (60 + 3 * i, 120, 200 - 2 * i))
        portrait = editor.sample(1000 + i).crop.resize((160, 160), Image.Resampling.BICUBIC)
        photo.paste(portrait, (20 + 2 * i, 60 + i))
        photo.save(path)
    return paths


@contextmanager
def visitor(server: str, folder: Path) -> Iterator[Client]:
    client = Client(
        server,
        verbose=False,
        download_files=folder,
        analytics_enabled=False,
        httpx_kwargs={"timeout": 120},  # this machine may be a slow one
    )
    try:
        yield client
    finally:
        client.close()


def pixels(path: str | Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def owner(answer: str | Path, photos: list[Path]) -> int:
    """Whose photo an edited one is; what an edit leaves alone, the backdrop too, tells."""
    distances = [np.abs(pixels(answer) - pixels(photo)).mean() for photo in photos]
    return int(np.argmin(distances))


def test_every_photo_shows_a_face_where_it_was_put(editor: Editor, photos: list[Path]) -> None:
    """Without that the tests below would edit whole images and never look for a face."""
    for i, path in list(enumerate(photos))[::6]:
        (face,) = editor.align(path).faces
        left, top, right, bottom = face.box
        assert abs((left + right) / 2 - (100 + 2 * i)) < 24, path
        assert abs((top + bottom) / 2 - (140 + i)) < 32, path


def test_fifty_visitors_at_once_each_get_their_own_image(
    server: str, photos: list[Path], tmp_path: Path
) -> None:
    def visit(index: int) -> Path:
        with visitor(server, tmp_path / str(index)) as client:
            image = handle_file(photos[index])
            return Path(client.predict(image, *TEXTS, index / 1000, api_name="/edit"))

    with ThreadPoolExecutor(VISITORS) as pool:
        answers = list(pool.map(visit, range(VISITORS)))
    for index, answer in enumerate(answers):
        assert read_recipe(answer)["edits"][0]["alpha"] == pytest.approx(index / 1000)
        assert owner(answer, photos) == index


def test_batches_beside_edits_find_the_faces_that_each_finds_alone(
    editor: Editor, server: str, photos: list[Path], tmp_path: Path
) -> None:
    """Edits and batches run at the same time, each looking for faces in its own thread."""

    def batch(number: int) -> list[tuple[int, Path]]:
        chosen = range(number * IMAGES, (number + 1) * IMAGES)
        folder = tmp_path / f"batch {number}"
        with visitor(server, folder) as client:
            files = [handle_file(photos[i]) for i in chosen]
            archive, _ = client.predict(files, *TEXTS, 0.5, api_name="/batch")
        with zipfile.ZipFile(archive) as edited:
            edited.extractall(folder)
        return [(i, next(folder.rglob(f"{i}*.png"))) for i in chosen]

    def edits(number: int) -> list[tuple[int, Path]]:
        chosen = range(number * IMAGES, (number + 1) * IMAGES)
        with visitor(server, tmp_path / f"edits {number}") as client:
            return [
                (i, Path(client.predict(handle_file(photos[i]), *TEXTS, 0.5, api_name="/edit")))
                for i in chosen
            ]

    with ThreadPoolExecutor(2 * BATCHES) as pool:
        batches = [pool.submit(batch, i) for i in range(BATCHES)]
        singles = [pool.submit(edits, i) for i in range(BATCHES)]
        edited = [
            dict(pair for job in jobs for pair in job.result()) for jobs in (batches, singles)
        ]
    assert edited[0].keys() == edited[1].keys()
    for index in edited[0]:
        one, other = (pixels(part[index]) for part in edited)
        assert np.abs(one - other).mean() < 0.5
        assert owner(edited[0][index], photos) == index
