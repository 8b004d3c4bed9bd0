"""Everything that can go wrong, in words for the person at the other end.

    TmsaError
    ├── ImageError      the file is no image, is truncated, or is too large
    │   └── NoFaceError the image holds no face that could be found
    ├── TextError       a text is empty
    ├── StrengthError   alpha is not a finite number, or out of range
    ├── RequestError    another field of a request is wrong (levels, threshold, face index, seed)
    ├── MemoryFullError the device has too little memory for the networks or the image
    └── BundleError     a weights file or a domain is missing, damaged or of another layout
        ├── DamagedFileError   a weights file has another size or content than it should
        └── DownloadError      a weights file could not be fetched

Each message says what arrived, what was expected and what to do next. Only ``ui.py`` and
``cli.py`` turn them into what a visitor or a shell sees.
"""

from __future__ import annotations

import reprlib
from collections.abc import Iterable


class TmsaError(Exception):
    """Base of all errors that a user can cause or mend; its message is one clear sentence."""


class ImageError(TmsaError):
    """The image cannot be used."""


class NoFaceError(ImageError):
    """No face was found in the image."""


class TextError(TmsaError):
    """A text cannot be used."""


class StrengthError(TmsaError):
    """alpha cannot be used."""


class RequestError(TmsaError):
    """Another field of a request cannot be used."""


class MemoryFullError(TmsaError):
    """The device has too little memory."""


class BundleError(TmsaError):
    """Weights or a domain cannot be used."""


class DamagedFileError(BundleError):
    """A weights file has another size or content than it should."""


class DownloadError(BundleError):
    """A weights file could not be fetched."""


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
