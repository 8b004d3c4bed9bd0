"""Many visitors at once: everybody gets the own picture, and leaves nothing behind."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from gradio_client import Client, handle_file
from PIL import Image

from tmsa_core import Editor
from tmsa_core.metadata import read_recipe

VISITORS = 50
TEXTS = ("human face", "human face with sunglasses")


@pytest.fixture(scope="module")
def portraits(editor: Editor, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A portrait of its own for every visitor."""
    folder = tmp_path_factory.mktemp("visitors")
    paths = [folder / f"{i}.png" for i in range(VISITORS)]
    for i, path in enumerate(paths):
        editor.sample(1000 + i).crop.save(path)
    return paths


def pixels(path: str | Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def test_fifty_visitors_at_once_each_get_their_own_picture(
    server: str, portraits: list[Path], tmp_path: Path
) -> None:
    def visit(index: int) -> Path:
        client = Client(
            server,
            verbose=False,
            download_files=tmp_path / str(index),
            analytics_enabled=False,
            httpx_kwargs={"timeout": 120},  # this machine may be a slow one
        )
        try:
            picture = handle_file(portraits[index])
            alpha = index / 1000
            return Path(client.predict(picture, *TEXTS, alpha, aligned=True, api_name="/edit"))
        finally:
            client.close()

    with ThreadPoolExecutor(VISITORS) as pool:
        answers = list(pool.map(visit, range(VISITORS)))
    own = [pixels(path) for path in portraits]
    for index, answer in enumerate(answers):
        assert read_recipe(answer)["edits"][0]["alpha"] == pytest.approx(index / 1000)
        distances = [np.abs(pixels(answer) - other).mean() for other in own]
        assert int(np.argmin(distances)) == index
