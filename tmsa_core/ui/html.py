"""Scores, times and notes of an edit, as the page shows them."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from urllib.parse import quote

from tmsa_core.datatypes import PreparedFace
from tmsa_core.editing.scores import Scores
from tmsa_core.ui.edit_stack import Stack

STAGES = {
    "align": "find and align the face",
    "invert": "invert",
    "shift": "read the texts",
    "synthesise": "draw",
    "paste_back": "put back",
}


def scores_html(scores: Scores | None) -> str:
    """Two meters with their meaning; without scores, the room that they will take."""
    if scores is None:
        return '<div class="scores"><p class="empty">Scores appear here with the edit.</p></div>'
    meters = []
    if scores.identity is not None:
        most = f" The inversion alone keeps {scores.inversion:.2f}." if scores.inversion else ""
        meters.append(
            _meter(
                "Identity kept",
                scores.identity,
                f"{scores.identity:.2f}",
                f"1: the same person to a face recogniser; near 0: somebody else.{most}",
            )
        )
    meters.append(
        _meter(
            "Text met",
            scores.text,
            f"{scores.text:.0%}",
            "100 %: to CLIP the target text fits as well as the neutral one."
            f" Before the edit: {scores.text_before:.0%}.{_each(scores)}",
        )
    )
    return f'<div class="scores">{"".join(meters)}</div>'


def times(prepared: Mapping[str, float], edited: Mapping[str, float]) -> str:
    """One line of Markdown: how long each stage took."""
    first = _listed(prepared)
    start = f"Image prepared in {sum(prepared.values()):.2f} s ({first})"
    if not first:
        start = "Portrait drawn from its code"
    return f"{start}; edited in {sum(edited.values()):.2f} s ({_listed(edited)})."


def _each(scores: Scores) -> str:
    if len(scores.texts) < 2:
        return ""
    parts = (f"{escape(score.target_text)} {score.after:.0%}" for score in scores.texts)
    return f" Each: {', '.join(parts)}."


def _listed(stages: Mapping[str, float]) -> str:
    return ", ".join(f"{STAGES.get(name, name)} {s:.2f} s" for name, s in stages.items())


def _meter(name: str, value: float, figure: str, meaning: str) -> str:
    share = min(1.0, max(0.0, value))
    return (
        f'<div class="score"><div><span>{name}</span><b>{figure}</b></div>'
        f'<meter min="0" max="1" value="{share:.3f}" aria-label="{name}: {figure}"></meter>'
        f"<p>{meaning}</p></div>"
    )


def stack_html(stack: Stack) -> str:
    """The stack as a list of edits with their buttons."""
    rows = "".join(_row(stack, i) for i in range(len(stack.layers)))
    count = len(stack.layers)
    return (
        f'<ol class="stack" data-count="{count}" aria-label="Edits, applied together">{rows}</ol>'
    )


def _row(stack: Stack, index: int) -> str:
    layer, last = stack.layers[index], len(stack.layers) - 1
    text = escape(layer.request.target_text.strip() or "(no text yet)")
    name = f"edit {index + 1}, {text}"
    chosen = index == stack.chosen
    switch = _button(
        "toggle", index, "On" if layer.on else "Off", f"Switch {name}", "switch", pressed=layer.on
    )
    label = _button(
        "choose",
        index,
        f"<span>{text}</span><b>{layer.request.alpha:+.2f}</b>",
        f"Change {name}, strength {layer.request.alpha:.2f}",
        "name",
        pressed=chosen,
    )
    up = _button("up", index, "↑", f"Move {name} up", disabled=index == 0)
    down = _button("down", index, "↓", f"Move {name} down", disabled=index == last)
    remove = _button("remove", index, "✕", f"Remove {name}", disabled=last == 0)
    state = " ".join(("chosen",) * chosen + ("off",) * (not layer.on))
    return f'<li class="{state}">{switch}{label}{up}{down}{remove}</li>'


def _button(
    action: str,
    index: int,
    text: str,
    label: str,
    kind: str = "",
    pressed: bool | None = None,
    disabled: bool = False,
) -> str:
    state = "" if pressed is None else f' aria-pressed="{str(pressed).lower()}"'
    state += " disabled" if disabled else ""
    return (
        f'<button type="button" class="{kind}" data-action="{action}" data-index="{index}"'
        f' aria-label="{label}" title="{label}"{state}>{text}</button>'
    )


def chips_html(presets: tuple[tuple[str, str], ...]) -> str:
    """The presets as buttons."""
    buttons = (
        f'<button type="button" data-action="fill" data-index="{i}" title="{escape(text)}">'
        f"{escape(label)}</button>"
        for i, (label, text) in enumerate(presets)
    )
    return f'<div class="chips" role="group" aria-label="Suggested edits">{"".join(buttons)}</div>'


def faces_html(prepared: PreparedFace, path: str) -> str:
    """The photo at ``path`` with a numbered button over each face, the edited one pressed."""
    if not prepared.faces:
        return '<p class="empty">The whole image is the face.</p>'
    width, height = prepared.photo.size
    buttons = "".join(
        _box(i, len(prepared.faces), face.box, (width, height), pressed=face is prepared.face)
        for i, face in enumerate(prepared.faces)
    )
    count = len(prepared.faces)
    alt = "Your image; one face was found" if count == 1 else f"Your image; {count} faces"
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
