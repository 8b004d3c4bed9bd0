"""Seconds until an image of 12 or 64 megapixels without a face is answered.

Run with ``python -m benchmarks.bench_faces``. Processor seconds count the work of all threads, and
change little with what else the machine does; the images are patterns of many scales.
"""

from __future__ import annotations

import io
import time
from pathlib import Path

import numpy as np
from PIL import Image

from tmsa_core.align.landmarks import FaceFinder
from tmsa_core.errors import NoFaceError
from tmsa_core.imaging.images import load_image

FILES = Path(__file__).parent.parent / "checkpoints" / "avatar"
SIZES = ((4000, 3000), (8000, 8000))


def patterned(width: int, height: int) -> bytes:
    """A JPEG file of coloured noise at scales from 4 to 512 pixels."""
    generator, total = np.random.default_rng(0), np.zeros((height, width, 3), np.float32)
    scales = [2**power for power in range(2, 10)]
    for scale in scales:
        shape = (-(-height // scale), -(-width // scale), 3)
        noise = Image.fromarray(generator.integers(0, 256, shape, dtype=np.uint8))
        total += scale * np.asarray(noise.resize((width, height), Image.Resampling.BILINEAR))
    pixels = (total / sum(scales) - 128) * 3 + 128
    buffer = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def main() -> None:
    finders = {
        "detector of drawn faces": FaceFinder(FILES / "face_detector.svm", FILES / "landmarks.dat"),
        "dlib's own detector": FaceFinder(None, FILES / "landmarks.dat"),
    }
    for size in SIZES:
        data = patterned(*size)
        for name, finder in finders.items():
            start, begun = time.perf_counter(), time.process_time()
            image = load_image(data)
            read = time.process_time() - begun
            try:
                answer = f"{len(finder.find(image))} faces"
            except NoFaceError:
                answer = "no face"
            wall, processor = time.perf_counter() - start, time.process_time() - begun
            print(
                f"{size[0]} x {size[1]}, {name}: {answer}; {processor:.2f} processor seconds "
                f"({read:.2f} to read the file), {wall:.2f} s by the clock"
            )


if __name__ == "__main__":
    main()
