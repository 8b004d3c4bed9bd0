"""Files that are complete or not there: written aside, then moved into place.

A process may be killed at any moment and a disk may fill up. Whoever writes a file through this
module leaves the earlier file, or none, until the new one is whole.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from tmsa_core.errors import RequestError, TmsaError, quoted, shortened

LONGEST_NAME = 255  # bytes of a file's or folder's name, on all common file systems
LONGEST_PATH = 4096  # bytes of a whole path on Linux
_BLOCK = 1 << 20
_FORMULA_STARTS = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
_SPACE_STARTS = ("\t", "\r", "\n")

if sys.platform != "win32":
    import fcntl

_SUFFIX = ".half"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


@contextmanager
def replacing(path: Path, error_type: type[TmsaError] = RequestError) -> Iterator[BinaryIO]:
    """Open a new file that takes the place of ``path`` when the block ends without an exception.

    The file is written in the folder of ``path`` under a name that nobody can foresee, so a link
    that lies there is never followed. After an exception it is removed, and ``path`` is what it
    was. What killed processes have left of earlier attempts is removed first.

    Args:
        path: The file to write. Where it is a link, the file that it points to is replaced.
        error_type: The class of the error that is raised.

    Yields:
        The new file, open for writing and seekable.

    Raises:
        TmsaError: Of ``error_type``, where the disk is full or the place cannot be written to.
    """
    target = Path(os.path.realpath(path))
    half = target.with_name(f"{_stem(target)}{secrets.token_hex(6)}{_SUFFIX}")
    try:
        check_place(target, error_type)
        _remove_abandoned(target)
        try:
            with half.open("xb") as file:  # "x": fails where the name exists, also as a link
                _lock(file)
                yield file
            os.replace(half, target)
        finally:
            half.unlink(missing_ok=True)
    except OSError as error:
        raise error_type(write_problem(path, error)) from error


def write_whole(path: Path, data: bytes, error_type: type[TmsaError] = RequestError) -> None:
    """Write ``data`` to ``path`` as ``replacing`` does."""
    with replacing(path, error_type) as file:
        file.write(data)


def check_place(path: Path, error_type: type[TmsaError] = RequestError) -> None:
    """Raise an error of ``error_type`` where ``path`` can be no file, before work is done in vain.

    That is: its folder does not exist, or it is a folder or a device itself.
    """
    if path.is_dir():
        raise error_type(f"{_short(path)} is a folder: give the name of a file.")
    if path.exists() and not path.is_file():
        raise error_type(f"{_short(path)} is a device and not a file: give the name of a file.")
    if not path.parent.is_dir():
        raise error_type(
            f"The folder {_short(path.parent)} does not exist; create it or choose another."
        )


def check_writable(path: Path, error_type: type[TmsaError] = RequestError) -> None:
    """As ``check_place``, and a file is put beside ``path`` and removed, to try it."""
    with suppress(_Tried), replacing(path, error_type):
        raise _Tried


def write_problem(path: Path, error: OSError) -> str:
    """One sentence that says why ``path`` could not be written, and what to do next."""
    name = _short(path)
    if error.errno in _FULL or error.errno is None:  # None: NumPy, which could not write it all
        return f"{name} could not be written because the disk is full: make room, and try again."
    if error.errno in _FORBIDDEN:
        return f"{name} could not be written because its folder is read-only: choose another place."
    reason = error.strerror or type(error).__name__
    return f"{name} could not be written ({reason}): choose another place."


class _Tried(Exception):
    """Ends a trial, so that nothing is kept of it."""


def _short(path: Path) -> str:
    """A path for a message: its end, where it is long, without characters that break lines."""
    text = "".join(c if c.isprintable() else "?" for c in str(path))
    return text if len(text) <= 120 else f"...{text[-117:]}"


def _stem(target: Path) -> str:
    """How the names of all halves of a file begin; short, as names have at most 255 bytes."""
    return f".{target.name.encode(errors='replace')[:100].decode(errors='ignore')}."


def _lock(file: BinaryIO) -> bool:
    """Lock a file for as long as it is open; False where another process has locked it.

    Windows needs no lock: it refuses to remove a file that is open.
    """
    if sys.platform != "win32":
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # locked, or a file system without locks
            return False
    return True


def _remove_abandoned(target: Path) -> None:
    """Remove halves of this file that no living process writes to."""
    beginning = _stem(target)
    for path in target.parent.iterdir():
        if not (path.name.startswith(beginning) and path.name.endswith(_SUFFIX)):
            continue
        with suppress(OSError):
            if path.is_symlink():
                path.unlink()
                continue
            with path.open("rb") as file:
                abandoned = _lock(file)
            if abandoned:
                path.unlink()


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


def safe_cell(value: object) -> object:
    """The value as a spreadsheet may read it: a text is never taken for a formula.

    A text that begins like a formula, also after spaces, gets an apostrophe in front, which
    spreadsheets read as "this is text". Everything that is no text is returned as it is.
    """
    if not isinstance(value, str):
        return value
    if value.startswith(_SPACE_STARTS) or value.lstrip().startswith(_FORMULA_STARTS):
        return "'" + value
    return value
