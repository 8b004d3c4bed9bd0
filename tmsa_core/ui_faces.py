"""The faces found in a photo, as boxes to press."""

from __future__ import annotations

from html import escape
from urllib.parse import quote

from tmsa_core.datatypes import PreparedFace


def faces_html(prepared: PreparedFace, path: str) -> str:
    """The photo at ``path`` with a numbered button over each face, the edited one pressed."""
    if not prepared.faces:
        return '<p class="empty">The whole picture is the face.</p>'
    width, height = prepared.photo.size
    buttons = "".join(
        _box(i, len(prepared.faces), face.box, (width, height), pressed=face is prepared.face)
        for i, face in enumerate(prepared.faces)
    )
    count = len(prepared.faces)
    alt = "Your picture; one face was found" if count == 1 else f"Your picture; {count} faces"
    return (
        f'<div class="faces" style="aspect-ratio: {width} / {height}">'
        f'<img src="{file_address(path)}" alt="{alt}">{buttons}</div>'
    )


def file_address(path: str) -> str:
    """Where the browser gets a file of the page's cache, relative to the page."""
    return escape(f"gradio_api/file={quote(path)}")


def _box(
    index: int,
    count: int,
    box: tuple[float, float, float, float],
    size: tuple[int, int],
    pressed: bool,
) -> str:
    left, top = max(0.0, box[0]) / size[0], max(0.0, box[1]) / size[1]
    right, bottom = min(1.0, box[2] / size[0]), min(1.0, box[3] / size[1])
    style = (
        f"left:{left:.2%};top:{top:.2%};"
        f"width:{max(0.0, right - left):.2%};height:{max(0.0, bottom - top):.2%}"
    )
    label = f"Edit face {index + 1} of {count}"
    return (
        f'<button type="button" data-action="face" data-index="{index}" style="{style}"'
        f' aria-label="{label}" title="{label}" aria-pressed="{str(pressed).lower()}">'
        f"<span>{index + 1}</span></button>"
    )
