"""The errors that a user can cause or mend, and helpers for their messages.

    TmsaError
    ├── ImageError      the file is not an image, is truncated, or is too large
    │   └── NoFaceError no face was found in the image
    ├── TextError       a text is empty, too long, or not a text
    ├── StrengthError   alpha is not a finite number, or out of range
    ├── RequestError    another field of a request is wrong (levels, threshold, face index, seed)
    ├── MemoryFullError the device has too little memory for the networks or the image
    └── BundleError     a weights file or a domain is missing, damaged or of another layout
        ├── DamagedFileError   a weights file has another size or content than it should
        └── DownloadError      a weights file could not be downloaded

Each message says what arrived, what was expected and what to do next. The command line, the page
and the HTTP API show the message as it is.
"""

from __future__ import annotations

import reprlib
from collections.abc import Iterable


class TmsaError(Exception):
    """Base of all errors that a user can cause or mend; the message is one sentence."""


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
    """A weights file could not be downloaded."""


LETTERS = 60  # characters of a value in a message
NAMES = 4  # of a list in a message
_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = _REPR.maxlong = LETTERS
_REPR.maxlevel = 3


def quoted(value: object) -> str:
    """A value's ``repr`` for a message: printable, at most ``LETTERS`` characters."""
    if isinstance(value, (bytes, bytearray)):
        value = bytes(value[:LETTERS])  # reprlib would write all of it before cutting
    try:
        text = _REPR.repr(value)
    except (ValueError, RecursionError):  # ValueError: Python does not write so large an integer
        text = f"a very large {type(value).__name__}"
    return shortened(text)


def shortened(text: object) -> str:
    """An untrusted text for a message: printable, one line, at most ``LETTERS`` characters."""
    words = " ".join(str(text)[: 4 * LETTERS].split())
    printable = "".join(c if c.isprintable() else "?" for c in words)
    if len(printable) <= LETTERS:
        return printable
    half = (LETTERS - 3) // 2
    return f"{printable[:half]}...{printable[-half:]}"


def listed(names: Iterable[object]) -> str:
    """The first ``NAMES`` of a list of untrusted names, for a message."""
    known = [shortened(name) for name in names]
    return ", ".join([*known[:NAMES], *(["..."] if len(known) > NAMES else [])])
