"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Sequence


def table(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """A table of a head and rows of the same length."""
    lines = (head, ("---",) * len(head), *body)
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
