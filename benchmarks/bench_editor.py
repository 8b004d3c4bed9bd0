"""Seconds from a cold start to an edit, and for each further step of alpha.

Run with ``python -m benchmarks.bench_editor``. Every figure is printed beside the time of one bare
synthesis in the same run, so that machines can be compared by the ratio.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tmsa_core import PreparedFace

STEPS = 30


def seconds(action: Callable[[], object]) -> float:
    """Wall-clock time of one call."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def main() -> None:
    start = time.perf_counter()
    from tmsa_core import EditRequest, load_editor

    editor = load_editor("avatar", device="cpu")
    loaded = time.perf_counter() - start
    face = editor.sample(seed=0)
    first = seconds(lambda: editor.edit(face, EditRequest("human face", "face with glasses")))
    prepare = seconds(lambda: editor.prepare(face.crop, aligned=True))

    def step(face: PreparedFace) -> float:
        """Median over strengths, of an edit whose inversion and shift are known."""
        requests = [EditRequest("human face", "face with glasses", i / STEPS) for i in range(STEPS)]
        return statistics.median(seconds(partial(editor.edit, face, r)) for r in requests)

    detailed = editor.prepare(face.crop, "hfgi", aligned=True)
    w_plus = face.w_plus[None]
    bare = statistics.median(
        seconds(lambda: editor.models.synthesise(w_plus)) for _ in range(STEPS)
    )
    print(f"import and load        {loaded:8.3f} s")
    rows = (
        ("first edit (new texts)", first),
        ("prepare an aligned crop", prepare),
        ("one alpha step, e4e", step(face)),
        ("one alpha step, HFGI", step(detailed)),
        ("one bare synthesis", bare),
    )
    for name, value in rows:
        print(f"{name:22s} {1000 * value:8.1f} ms  {value / bare:6.1f} x one synthesis")


if __name__ == "__main__":
    main()
