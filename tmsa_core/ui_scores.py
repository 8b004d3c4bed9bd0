"""Scores, times and notes of an edit, as the page shows them."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from tmsa_core.scores import Scores

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
    start = f"Picture prepared in {sum(prepared.values()):.2f} s ({first})"
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
