"""Tables in Markdown, and pages with tables between markers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path


def table(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """Returns a table of a header and rows of the same length."""
    lines = (head, ("---",) * len(head), *body)
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def fill(text: str, parts: Mapping[str, str]) -> str:
    """Replaces the text between each pair of markers ``<!-- NAME start -->``/``<!-- NAME end -->``.

    Args:
        text: A page.
        parts: NAME -> new text. Markers with other names, and names without markers, are ignored.
    """

    def replaced(match: re.Match[str]) -> str:
        start, name, _, end = match.groups()
        return f"{start}\n\n{parts[name]}\n\n{end}" if name in parts else match[0]

    markers = r"(<!-- ([\w-]+) start -->)(.*?)(<!-- \2 end -->)"
    return re.sub(markers, replaced, text, flags=re.DOTALL)


def fill_pages(paths: Sequence[Path], parts: Mapping[str, str]) -> None:
    """Fills the markers of the pages that exist."""
    for path in paths:
        if path.exists():
            path.write_text(fill(path.read_text(), parts))
