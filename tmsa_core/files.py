"""Write files atomically, and check paths and files before they are used.

A process may be killed at any moment and a disk may fill up. A file written by this module appears
only when it is complete; until then the earlier file, or none, stays in its place.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from tmsa_core.errors import RequestError, TmsaError, quoted, shortened

LONGEST_NAME = 255  # bytes of the name of a file or folder, on all common file systems
LONGEST_PATH = 4096  # bytes of a path on Linux
_BLOCK = 1 << 20  # bytes read at once
_FORMULA_STARTS = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
_SPACE_STARTS = ("\t", "\r", "\n")

if sys.platform != "win32":
    import fcntl

_SUFFIX = ".half"
OPEN_TRIES = 8  # names for a new half; the first one nearly always works
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


@contextmanager
def replacing(path: Path, error_type: type[TmsaError] = RequestError) -> Iterator[BinaryIO]:
    """Open a new file that replaces ``path`` when the block ends without an exception.

    The new file is a half: it lies in the folder of ``path`` under a random name, so that it never
    follows a planted link. An exception removes it and leaves ``path`` unchanged. Halves left by
    killed processes are removed first.

    Args:
        path: The file to write. If it is a link, the file that it points to is replaced.
        error_type: The class of the error that is raised.

    Yields:
        The new file, open for writing and seekable.

    Raises:
        TmsaError: Of ``error_type``: the disk is full or the path cannot be written.
    """
    target = Path(os.path.realpath(path))
    try:
        check_place(target, error_type)
        _remove_abandoned(target)
        half, file = _open_half(target)
        try:
            with file:
                yield file
                if sys.platform != "win32":  # the lock ends with the file, so replace before that
                    file.flush()
                    os.replace(half, target)
            if sys.platform == "win32":
                os.replace(half, target)
        finally:
            half.unlink(missing_ok=True)
    except OSError as error:
        raise error_type(write_problem(path, error)) from error


def write_whole(path: Path, data: bytes, error_type: type[TmsaError] = RequestError) -> None:
    """Write ``data`` to ``path``, see ``replacing``."""
    with replacing(path, error_type) as file:
        file.write(data)


def check_place(path: Path, error_type: type[TmsaError] = RequestError) -> None:
    """Check, before the content is computed, that a file can lie at ``path``.

    Raises:
        TmsaError: Of ``error_type``: the folder does not exist, or ``path`` is a folder or device.
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
    """Check that ``path`` can be written, by a temporary file next to it.

    Raises:
        TmsaError: Of ``error_type``: it cannot.
    """
    target = Path(os.path.realpath(path))
    try:
        check_place(target, error_type)
        with tempfile.TemporaryFile(dir=target.parent):
            pass
    except OSError as error:
        raise error_type(write_problem(path, error)) from error


def write_problem(path: Path, error: OSError) -> str:
    """Say in one sentence why ``path`` could not be written, and what to do next."""
    name = _short(path)
    if error.errno in DISK_FULL or error.errno is None:  # None: NumPy could not write all bytes
        return f"{name} could not be written because the disk is full: make room, and try again."
    if error.errno in _FORBIDDEN:
        return f"{name} could not be written because its folder is read-only: choose another place."
    reason = error.strerror or type(error).__name__
    return f"{name} could not be written ({reason}): choose another place."


def _short(path: Path) -> str:
    """A path for a message: printable, of a long one its end."""
    text = "".join(c if c.isprintable() else "?" for c in str(path))
    return text if len(text) <= 120 else f"...{text[-117:]}"


def _stem(target: Path) -> str:
    """The beginning of the names of a file's halves; cut, because names are limited."""
    return f".{target.name.encode(errors='replace')[:100].decode(errors='ignore')}."


def _open_half(target: Path) -> tuple[Path, BinaryIO]:
    """Open and lock a new half of ``target``.

    Another process may take the half for an abandoned one before it is locked, so the name is
    tried again until the locked file still has one. File systems without locks get the last try.
    """
    for _ in range(OPEN_TRIES):
        half = target.with_name(f"{_stem(target)}{secrets.token_hex(6)}{_SUFFIX}")
        file = half.open("xb")  # "x" fails if the name exists, also as a link
        if _lock(file) and os.fstat(file.fileno()).st_nlink:
            break
        file.close()
        half.unlink(missing_ok=True)
    else:
        file = half.open("xb")
    return half, file


def _lock(file: BinaryIO) -> bool:
    """Lock a file while it is open; False if another process has locked it.

    Windows needs no lock: it refuses to remove an open file.
    """
    if sys.platform != "win32":
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # locked, or the file system has no locks
            return False
    return True


def _remove_abandoned(target: Path) -> None:
    """Remove halves of this file that no running process writes."""
    beginning = _stem(target)
    for path in target.parent.iterdir():
        if not (path.name.startswith(beginning) and path.name.endswith(_SUFFIX)):
            continue
        with suppress(OSError):
            if path.is_symlink():
                path.unlink()
                continue
            with path.open("rb") as file:
                if _lock(file):  # unlink under the lock, so that the writer notices it
                    path.unlink()


def checked_path(path: object, error: type[TmsaError] = RequestError) -> Path:
    """Check that a value is a path that a file system can look up; it need not exist.

    Args:
        path: A text or a ``Path``.
        error: The class of the error that is raised.

    Raises:
        TmsaError: Of class ``error``: the value is not a path, is empty or too long, or holds a
            character that is not allowed in file names.
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
    """Check that a path is a regular file.

    Raises:
        TmsaError: Of class ``error``: it is missing, a folder, a device or a pipe.
    """
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
    """Read a regular file of at most ``most`` bytes, which are counted while they are read.

    Raises:
        TmsaError: Of class ``error``: the file is not regular, too large, or cannot be opened.
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
    """Make a value safe for a cell of a spreadsheet.

    A text that begins like a formula, also after spaces, gets an apostrophe in front, by which
    spreadsheets know a text. Other values are returned unchanged.
    """
    if not isinstance(value, str):
        return value
    if value.startswith(_SPACE_STARTS) or value.lstrip().startswith(_FORMULA_STARTS):
        return "'" + value
    return value
