"""HTML and Markdown of the Edit tab: scores, times, edits, suggestions and faces."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader

from tmsa_core.datatypes import PreparedFace
from tmsa_core.editing.scores import Scores
from tmsa_core.ui.edit_stack import Stack

STAGES = {
    "align": "find and align the face",
    "invert": "invert",
    "shift": "encode the texts",
    "synthesise": "generate",
    "paste_back": "paste back",
}
TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render(template: str, **values: object) -> str:
    """Fill in a template.

    Args:
        template: File name in the folder ``templates``.
        **values: What the template shows; text is escaped.

    Returns:
        The HTML.
    """
    return TEMPLATES.get_template(template).render(values)


def scores_html(scores: Scores | None) -> str:
    """Meters of identity and text match; without scores, a sentence in their place."""
    return render("scores.html", scores=scores)


def stack_html(stack: Stack) -> str:
    """The edits as a list with their buttons."""
    return render("stack.html", layers=stack.layers, chosen=stack.chosen)


def chips_html(presets: tuple[tuple[str, str], ...]) -> str:
    """Suggested edits, pairs of label and target description, as buttons."""
    return render("chips.html", presets=presets)


def faces_html(prepared: PreparedFace, path: str) -> str:
    """The photo with a numbered button over each face; that of the edited face is pressed.

    Args:
        prepared: The photo, its faces and which of them is edited.
        path: The file that shows the photo.

    Returns:
        The HTML, or a sentence if the whole image is the face.
    """
    width, height = prepared.photo.size
    faces = [
        {"style": _box_style(face.box, width, height), "pressed": face is prepared.face}
        for face in prepared.faces
    ]
    values = {"width": width, "height": height, "address": file_address(path)}
    return render("faces.html", faces=faces, **values)


def file_address(path: str) -> str:
    """Address of a file in the page's cache, relative to the page; safe as an HTML attribute."""
    return f"gradio_api/file={quote(path)}"


def times(prepared: Mapping[str, float], edited: Mapping[str, float]) -> str:
    """How long preparing and editing took, stage by stage.

    Args:
        prepared: Seconds per stage of the preparation; empty for a generated portrait.
        edited: Seconds per stage of the edit.

    Returns:
        One line of Markdown.
    """
    start = "Portrait generated"
    if prepared:
        start = f"Image prepared in {_total_and_stages(prepared)}"
    return f"{start}; edited in {_total_and_stages(edited)}."


def _total_and_stages(seconds: Mapping[str, float]) -> str:
    stages = ", ".join(f"{STAGES.get(name, name)} {s:.2f} s" for name, s in seconds.items())
    return f"{sum(seconds.values()):.2f} s ({stages})"


def _box_style(box: tuple[float, float, float, float], width: int, height: int) -> str:
    """Place of a face box (left, top, right, bottom) in pixels as CSS, cut off at the edges."""
    left, top = max(0.0, box[0]) / width, max(0.0, box[1]) / height
    right, bottom = min(1.0, box[2] / width), min(1.0, box[3] / height)
    return (
        f"left:{left:.2%};top:{top:.2%};"
        f"width:{max(0.0, right - left):.2%};height:{max(0.0, bottom - top):.2%}"
    )
