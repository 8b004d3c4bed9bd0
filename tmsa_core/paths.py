"""Paths that callers name: checked before they are used, and read within bounds."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from tmsa_core.errors import RequestError, TmsaError
from tmsa_core.quoting import quoted, shortened

LONGEST_NAME = 255  # bytes of a file's or folder's name, on all common file systems
LONGEST_PATH = 4096  # bytes of a whole path on Linux
_BLOCK = 1 << 20


def checked_path(path: object, error: type[TmsaError] = RequestError) -> Path:
    """A path that the file system can look up; it need not exist.

    Args:
        path: What a caller named as a path: a text or a ``Path``.
        error: The error to raise.

    Returns:
        The path.

    Raises:
        TmsaError: ``error``, where the value is no path, is empty, holds a null byte or a
            character that no file name can hold, or is longer than a file system allows.
    """
    if not isinstance(path, (str, Path)):
        raise error(f"Got {quoted(path)} instead of a path: give the path of a file or folder.")
    if not str(path):
        raise error("The path is empty: give the path of a file or folder.")
    try:
        encoded = os.fsencode(path)
    except UnicodeEncodeError:
        encoded = b"\0"
    if b"\0" in encoded:
        raise error(
            f"The path {quoted(str(path))} holds a character that no file name can hold: "
            "check the path."
        )
    parts = [os.fsencode(part) for part in Path(path).parts]
    if len(encoded) >= LONGEST_PATH or any(len(part) > LONGEST_NAME for part in parts):
        raise error(
            f"The path {quoted(str(path))} is too long: use names of at most {LONGEST_NAME} bytes."
        )
    return Path(path)


def check_regular(path: Path, error: type[TmsaError] = RequestError) -> None:
    """Raise ``error`` where a path is no regular file: missing, a folder, a device or a pipe."""
    name = shortened(path.name or path)
    try:
        mode = path.stat().st_mode
    except FileNotFoundError as missing:
        raise error(f"The file {name} does not exist: check the path.") from missing
    except OSError as failed:
        raise _unopened(name, failed, error) from failed
    if stat.S_ISDIR(mode):
        raise error(f"{name} is a folder: give the path of a file.")
    if not stat.S_ISREG(mode):
        raise error(f"{name} is a device or a pipe, not a regular file: give a stored file.")


def read_bounded(path: Path, most: int, error: type[TmsaError] = RequestError) -> bytes:
    """The bytes of a regular file, counted while they are read.

    Args:
        path: The file, as ``checked_path`` returns it.
        most: The most bytes that are read.
        error: The error to raise.

    Returns:
        The file's content.

    Raises:
        TmsaError: ``error``, where the file cannot be opened, is no regular file, or holds more
            than ``most`` bytes.
    """
    check_regular(path, error)
    name = shortened(path.name)
    content = bytearray()
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                content += block
                if len(content) > most:
                    raise error(f"{name} holds more than {most >> 20} MB: use a smaller file.")
    except OSError as failed:
        raise _unopened(name, failed, error) from failed
    return bytes(content)


def _unopened(name: str, failed: OSError, error: type[TmsaError]) -> TmsaError:
    reason = shortened(failed.strerror or type(failed).__name__)
    return error(f"{name} cannot be opened ({reason}): check the path and who may read it.")
