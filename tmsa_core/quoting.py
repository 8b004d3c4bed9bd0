"""Foreign text inside messages: on one line, printable, and cut to a fixed length."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable

LETTERS = 60  # of one piece of foreign text
NAMES = 4  # of a list

_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = _REPR.maxlong = LETTERS
_REPR.maxlevel = 3


def quoted(value: object) -> str:
    """A value as Python writes it, for a message.

    Args:
        value: Anything that a caller handed in, however long or deeply nested.

    Returns:
        At most ``LETTERS`` printable characters; a text stands in quotes.
    """
    if isinstance(value, (bytes, bytearray)):
        value = bytes(value[:LETTERS])  # reprlib would write all of it before it cuts
    try:
        text = _REPR.repr(value)
    except (ValueError, RecursionError):  # a whole number of more digits than Python writes
        text = f"a very large {type(value).__name__}"
    return shortened(text)


def shortened(text: object) -> str:
    """A name, path or foreign reason for a message: printable, at most ``LETTERS`` characters."""
    words = " ".join(str(text)[: 4 * LETTERS].split())
    printable = "".join(c if c.isprintable() else "?" for c in words)
    if len(printable) <= LETTERS:
        return printable
    half = (LETTERS - 3) // 2
    return f"{printable[:half]}...{printable[-half:]}"


def listed(names: Iterable[object]) -> str:
    """The first ``NAMES`` of a list of foreign names, for a message."""
    known = [shortened(name) for name in names]
    return ", ".join([*known[:NAMES], *(["..."] if len(known) > NAMES else [])])
