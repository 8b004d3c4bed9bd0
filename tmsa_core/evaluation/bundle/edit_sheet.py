"""Contact sheets: portraits by prompts, before and after, as one image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from tmsa_core.availability import first_inversion
from tmsa_core.datatypes import EditRequest, PreparedFace
from tmsa_core.editing.editor import Editor
from tmsa_core.imaging.contact_sheet import grid


def edit_sheet(
    editor: Editor,
    faces: Sequence[PreparedFace],
    requests: Sequence[EditRequest],
    titles: Sequence[str],
) -> Image.Image:
    """One row for each face: its crop, its inversion, then every edit. -> RGB image."""
    rows = [
        [face.crop, face.inversion_crop, *(editor.edit(face, r).crop for r in requests)]
        for face in faces
    ]
    return grid(rows, ("portrait", f"inversion ({faces[0].inversion})", *titles))


def held_out_faces(editor: Editor, count: int, seed: int = 0) -> list[PreparedFace]:
    """Portraits that nothing was trained on, drawn, then inverted as the page inverts images."""
    from tmsa_core.avatars.render import render
    from tmsa_core.imaging.images import to_image
    from tmsa_core.training.avatar.renders import held_out_portraits

    images = render(held_out_portraits(count, seed), editor.domain.resolution).images
    inversion = first_inversion(editor.bundle)
    return [editor.prepare(to_image(image), inversion, aligned=True) for image in images]


def write_six_prompts(editor: Editor, out: Path, count: int = 10) -> None:
    """The sheet of the six prompts of the paper's tables on ``count`` held-out portraits."""
    from tmsa_core.evaluation.prompts import SIX

    faces = held_out_faces(editor, count)
    requests = [EditRequest(p.neutral, p.target) for p in SIX]
    out.parent.mkdir(parents=True, exist_ok=True)
    edit_sheet(editor, faces, requests, [p.name for p in SIX]).save(out)
