"""Files that are complete or not there: written aside, then moved into place.

A process may be killed at any moment and a disk may fill up. Whoever writes a file through this
module leaves the earlier file, or none, until the new one is whole.
"""

from __future__ import annotations

import errno
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from tmsa_core.errors import RequestError, TmsaError

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
