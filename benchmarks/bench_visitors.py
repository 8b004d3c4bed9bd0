"""What it would save to edit the images of several visitors in one batch.

Run with ``python -m benchmarks.bench_visitors``. A request of ``/edit`` finds the face, inverts it,
edits it and writes a file; only the edit can share a batch with other visitors' requests. What that
saves is printed as a share of the whole request, from one run.
"""

from __future__ import annotations

import statistics
from functools import partial
from pathlib import Path

from benchmarks.bench_editor import seconds
from tmsa_core import EditRequest, PreparedFace, load_editor
from tmsa_core.editing.editor import Editor
from tmsa_core.imaging.metadata import encode_image

ROUNDS = 7
EDIT = EditRequest("human face", "human face with glasses")


def request(editor: Editor, image: Path, inversion: str) -> None:
    """All that one call does, but for the network between browser and server."""
    result = editor.edit(editor.prepare(image, inversion), EDIT)
    encode_image(result.image, editor.recipe([EDIT]), True, ".png")


def edit_each(editor: Editor, faces: list[PreparedFace]) -> None:
    """Edit faces one after another."""
    for face in faces:
        editor.edit(face, EDIT)


def main() -> None:
    editor = load_editor("avatar", device="cpu")
    images = sorted((editor.bundle.folder / "samples").glob("*.png"))[:8]
    count = len(images)
    for inversion in editor.inversions:
        faces = [editor.prepare(image, inversion) for image in images]
        editor.edit(faces[0], EDIT)  # loads everything, outside the measured time
        whole, alone, together = (
            statistics.median(seconds(work) for _ in range(ROUNDS))
            for work in (
                partial(request, editor, images[0], inversion),
                partial(edit_each, editor, faces),
                partial(editor.edit_many, faces, [EDIT] * count),
            )
        )
        alone, together = alone / count, together / count
        print(
            f"{inversion:5s} whole request {1000 * whole:6.1f} ms; its edit {1000 * alone:6.1f} ms "
            f"alone, {1000 * together:6.1f} ms in a batch of {count}; batching would save "
            f"{(alone - together) / whole:.1%} of the request"
        )


if __name__ == "__main__":
    main()
