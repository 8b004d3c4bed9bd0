"""A folder for visitors' files that is deleted with its process, also after a kill.

Every page keeps its files in a folder of its own below Gradio's upload folder, next to a locked
file. The operating system frees the lock when the process ends in any way; the next page to start
deletes the folders whose lock is free.
"""

from __future__ import annotations

import os
import secrets
import shutil
import weakref
from pathlib import Path

from filelock import FileLock, Timeout
from gradio.utils import get_upload_folder

from tmsa_core.errors import RequestError

PREFIX = "tmsa-"
LOCK_SUFFIX = ".lock"
NOT_WRITABLE = (
    "The folder for visitors' files cannot be written ({0}): name another folder in the "
    "environment variable GRADIO_TEMP_DIR."
)


class CacheFolder:
    """A new folder below Gradio's upload folder, deleted at the latest when the process ends.

    Attributes:
        path: The folder, absolute and without links.
    """

    def __init__(self) -> None:
        """Delete the folders of dead processes and create one.

        Raises:
            RequestError: Gradio's upload folder cannot be written.
        """
        try:
            root = Path(get_upload_folder()).resolve()
            root.mkdir(parents=True, exist_ok=True)
            with FileLock(root / f"{PREFIX}all{LOCK_SUFFIX}", mode=0o666):
                delete_abandoned(root)
                self.path = root / f"{PREFIX}{os.getpid()}-{secrets.token_hex(4)}"
                lock = FileLock(_lock_of(self.path), thread_local=False)
                lock.acquire(blocking=False)
                self.path.mkdir(mode=0o700)
        except OSError as error:
            raise RequestError(NOT_WRITABLE.format(error.strerror)) from error
        # A finalizer also runs when the interpreter ends.
        self.delete = weakref.finalize(self, _delete, self.path, lock)


def delete_abandoned(root: Path) -> None:
    """Delete the folders below ``root`` whose processes have ended."""
    for path in root.glob(f"{PREFIX}*-*"):
        if path.is_symlink() or not path.is_dir():
            continue
        lock = FileLock(_lock_of(path), thread_local=False)
        try:
            lock.acquire(blocking=False)
        except (Timeout, OSError):  # in use, or another user's
            continue
        _delete(path, lock)


def _lock_of(folder: Path) -> Path:
    return folder.with_name(folder.name + LOCK_SUFFIX)


def _delete(folder: Path, lock: FileLock) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    Path(lock.lock_file).unlink(missing_ok=True)
    lock.release()
