"""Many visitors at once, each with an image of their own in which a face has to be found.

Run with ``python -m benchmarks.bench_load``: it starts the real page, sends every visitor's image
in the same moment, and compares each answer with what the same edit gives alone. A visitor who is
told that the queue is full comes again. Exit status 1 where anybody gets another one's image, an
error, or no answer in time.
"""

from __future__ import annotations

import argparse
import io
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
from PIL import Image

from tests.live import running_server
from tmsa_core import EditRequest, load_editor
from tmsa_core.errors import NoFaceError

EDIT = EditRequest("human face", "human face with sunglasses")
ALIKE = 2.0  # of 255: the mean difference of one edit made twice
PAUSE = 1.0  # seconds before a visitor comes again
FULL = 503  # the status of a full queue


@dataclass(frozen=True)
class Visit:
    """What a visitor got. image: None where it is an error, which ``words`` then says."""

    seconds: float
    image: np.ndarray | None
    words: str = ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--visitors", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60.0, help="in which all are answered")
    options = parser.parse_args()
    photos, alone = _photos(options.visitors)
    with (
        tempfile.TemporaryDirectory() as folder,
        running_server(Path(folder)) as server,
        ThreadPoolExecutor(len(photos)) as pool,
    ):
        address = server.address
        _visit(address, photos[0], 300.0)  # loads everything, outside the measured time
        visits = list(pool.map(lambda photo: _visit(address, photo, options.seconds), photos))
    wrong = [
        f"visitor {i}: {words}" for i, v in enumerate(visits) if (words := _wrong(i, v, alone))
    ]
    times = sorted(visit.seconds for visit in visits)
    print(
        f"{len(visits)} visitors, {len(visits) - len(wrong)} got their own image; "
        f"seconds: median {statistics.median(times):.1f}, longest {times[-1]:.1f}"
    )
    print(*wrong, sep="\n", end="\n" if wrong else "")
    return int(bool(wrong))


def _photos(count: int) -> tuple[list[bytes], list[np.ndarray]]:
    """Different photos with a face in each, and what their edits are when nobody else edits."""
    editor = load_editor("avatar", device="cpu")
    photos, edited, seed = [], [], 1000
    while len(photos) < count:
        photo = Image.new("RGB", (320, 320), "teal")
        photo.paste(editor.sample(seed).crop.resize((256, 256)), (40, 40))
        seed += 1
        try:
            prepared = editor.prepare(photo)
        except NoFaceError:  # a hidden one
            continue
        buffer = io.BytesIO()
        photo.save(buffer, "PNG")
        photos.append(buffer.getvalue())
        edited.append(np.asarray(editor.edit(prepared, EDIT).image, dtype=float))
    return photos, edited


def _visit(address: str, photo: bytes, most: float) -> Visit:
    """Upload a photo, edit it and fetch the result."""
    start = time.monotonic()
    api = f"{address.rstrip('/')}/gradio_api"
    with httpx.Client(timeout=most) as client:
        try:
            [path] = client.post(f"{api}/upload", files={"files": ("photo.png", photo)}).json()
            file_value = {"path": path, "meta": {"_type": "gradio.FileData"}}
            body = {"data": [file_value, EDIT.neutral_text, EDIT.target_text, EDIT.alpha]}
            while (joined := client.post(f"{api}/call/edit", json=body)).status_code == FULL:
                if time.monotonic() - start > most:
                    return Visit(most, None, "the queue was full all the time")
                time.sleep(PAUSE)
            event = joined.raise_for_status().json()["event_id"]
            answer = client.get(f"{api}/call/edit/{event}").raise_for_status().text
            seconds = time.monotonic() - start
            if "event: complete" not in answer or seconds > most:
                return Visit(seconds, None, answer[-300:])
            file = answer.rpartition('"path": "')[2].partition('"')[0]
            data = client.get(f"{api}/file={file}").raise_for_status().content
        except httpx.HTTPError as error:
            return Visit(time.monotonic() - start, None, f"{type(error).__name__} {error}")
    with Image.open(io.BytesIO(data)) as image:
        return Visit(seconds, np.asarray(image.convert("RGB"), dtype=float))


def _wrong(index: int, visit: Visit, alone: list[np.ndarray]) -> str:
    """What is wrong with what a visitor got; "" where it is the edit of their own image."""
    if visit.image is None:
        return visit.words
    own = np.abs(visit.image - alone[index]).mean()
    if own > ALIKE:
        nearest = int(np.argmin([np.abs(visit.image - other).mean() for other in alone]))
        return f"got an image {own:.1f} from the own one, nearest to that of visitor {nearest}"
    return ""


if __name__ == "__main__":
    sys.exit(main())
