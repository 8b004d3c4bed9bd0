"""The registered files of the cache: who may name them in a call, and when they are deleted.

A call can name only registered files, by the exact path that the server gave out. Every path has a
random part, so that nobody can guess it. An upload belongs to the first client that uses it, a
result to the session that it was made for.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import secrets
import shutil
import stat
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from PIL import Image

from tmsa_core.errors import ImageError, RequestError
from tmsa_core.files import write_whole
from tmsa_core.imaging.metadata import encode_png
from tmsa_core.server import limits
from tmsa_core.server.cache_folder import CacheFolder

NOT_SENT = (
    "That file was not sent to this page by you, or has been deleted since: upload it again, and "
    "name the path that the upload answers."
)
NO_ROOM = "The server has no room for more files: try again in some minutes."
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CachedFile:
    """A file of the cache.

    Attributes:
        due: When it may be deleted, in seconds of ``time.monotonic``, where no page shows it.
        used: When it was last used, in the same seconds.
        owner: The only client that may name it in a call; None for nobody.
        sent: Whether it was uploaded. Without an owner, the first client that uses it is its owner.
        shared: Whether it belongs to the page itself: everybody may read it, and it stays.
        pages: The sessions whose pages show it.
        calls: The number of running calls that use it.
        left: Whether the visitor who had it has left the page. The file is deleted, but its path
            is still known: after a break in the connection, the visitor's page names it again.
    """

    due: float
    used: float
    owner: str | None = None
    sent: bool = False
    shared: bool = False
    pages: frozenset[str] = frozenset()
    calls: int = 0
    left: bool = False

    def usable_by(self, client: str) -> bool:
        """Whether a client may name the file in a call."""
        return self.shared or self.owner == client or (self.sent and self.owner is None)

    def is_over(self, now: float) -> bool:
        """Whether the file can be deleted at the time ``now``."""
        if self.shared or self.calls:
            return False
        if self.pages:
            return now > self.used + limits.KEEP_SHOWN
        return self.left or now > self.due


class Leases:
    """The registered files of one page."""

    def __init__(self) -> None:
        self._files: dict[str, CachedFile] = {}
        self._left: dict[str, float] = {}
        self._lock = threading.Lock()
        self._secret = secrets.token_bytes(32)

    @cached_property
    def _cache(self) -> CacheFolder:
        return CacheFolder()

    @property
    def folder(self) -> Path:
        """The folder that holds all files."""
        return self._cache.path

    def new_folder(self) -> Path:
        """Create a folder with a name that nobody can guess."""
        folder = self.folder / secrets.token_hex(16)
        folder.mkdir(parents=True)
        return folder

    def anonymous(self, host: str) -> str:
        """Return the client name for calls without a session.

        The name holds a secret, so that no client can claim it as its session.

        Args:
            host: The network address and, for an MCP tool, the MCP session.
        """
        return f"{self._secret.hex()} {host}"

    def expect(self, *paths: str, client: str | None = None) -> None:
        """Register uploaded files; without ``client``, their first user becomes their owner."""
        now = time.monotonic()
        with self._lock:
            for path in paths:
                self._files[path] = CachedFile(now + limits.KEEP_UNUSED, now, client, sent=True)

    def answer(self, *paths: str) -> None:
        """Register the files of a call's result: they are served, but no call may name them."""
        now = time.monotonic()
        with self._lock:
            for path in paths:
                self._files[path] = CachedFile(now + limits.KEEP_ANSWERED, now)

    def share(self, *paths: str) -> None:
        """Register files that everybody may use and that stay as long as the page."""
        now = time.monotonic()
        with self._lock:
            for path in paths:
                self._files[path] = CachedFile(now, now, shared=True)

    def take(self, owner: str, *paths: str) -> None:
        """Note that a visitor's page shows these files; paths outside the cache are ignored."""
        now = time.monotonic()
        with self._lock:
            for path in paths:
                if not path.startswith(f"{self.folder}{os.sep}"):
                    continue
                file = self._files.get(path) or CachedFile(now, now, owner)
                if file.shared:
                    continue
                pages = file.pages if owner in self._left else file.pages | {owner}
                due = max(file.due, now + limits.KEEP_SENT)
                left = owner in self._left
                self._files[path] = replace(file, due=due, used=now, pages=pages, left=left)

    def keep(self, owner: str, image: Image.Image) -> str:
        """Write an image as PNG, with its metadata, for a visitor's page.

        Returns:
            Its path, the same for the same image and visitor. The file is moved into place
            whole and never changed: a browser may be fetching it.
        """
        data = encode_png(image)
        name = hmac.new(self._secret, owner.encode(errors="surrogatepass") + b"\0", hashlib.sha256)
        name.update(data)
        path = self.folder / name.hexdigest()[:32] / "image.png"
        self.take(owner, str(path))
        if not path.exists():
            write_cached(path, data)
        return str(path)

    def refresh(self, path: str) -> str:
        """Note that a file is used now, and return its path; FileNotFoundError if it is deleted."""
        os.stat(path)
        with self._lock:
            if path in self._files:
                self._files[path] = replace(self._files[path], used=time.monotonic())
        return path

    def knows(self, path: str) -> bool:
        """Whether a path belongs to a registered and regular file."""
        return path in self._files and _is_regular(path)

    @contextmanager
    def using(self, client: str, paths: Collection[str]) -> Iterator[None]:
        """Admit the files that a call names, and keep them during the call and a while after it.

        Args:
            client: The session of the call, or ``anonymous``.
            paths: The files, as the call names them.

        Raises:
            ImageError: One of them is not the client's.
        """
        self._admit(client, paths)
        try:
            yield
        finally:
            self._release(paths)

    def leave(self, owner: str) -> None:
        """Delete the files of a visitor who has left, except those that a running call uses."""
        with self._lock:
            self._left[owner] = time.monotonic()
            for path, file in list(self._files.items()):
                sent = file.sent and file.owner == owner
                if not sent and owner not in file.pages:
                    continue
                pages = file.pages - {owner}
                self._files[path] = replace(file, pages=pages, left=not pages)
                self._delete_if_over(path, self._files[path])

    def sweep(self, waiting: Collection[str] = ()) -> None:
        """Delete the files that nobody needs any more, and old files that are not registered.

        Args:
            waiting: Files that calls in the queue name.
        """
        now = time.monotonic()
        with self._lock:
            self._left = {k: at for k, at in self._left.items() if now - at < limits.KEEP_SHOWN}
            for path, file in list(self._files.items()):
                if path not in waiting:
                    self._delete_if_over(path, file)
            used = {Path(path).relative_to(self.folder).parts[0] for path in self._files}
        for folder in self.folder.iterdir():
            if folder.name not in used:
                _delete_old(folder)

    def close(self) -> None:
        """Delete all files. The next page to start deletes those of a killed process."""
        self._cache.delete()

    def _admit(self, client: str, paths: Collection[str]) -> None:
        now = time.monotonic()
        with self._lock:
            self._left.pop(client, None)
            for path in paths:
                file = self._files.get(path)
                if file is None or not file.usable_by(client):
                    raise ImageError(NOT_SENT)
                if not _is_regular(path) and (os.path.lexists(path) or not file.left):
                    raise ImageError(NOT_SENT)
            for path in set(paths):
                file = self._files[path]
                owner = None if file.shared else client
                self._files[path] = replace(file, owner=owner, used=now, calls=file.calls + 1)

    def _release(self, paths: Collection[str]) -> None:
        now = time.monotonic()
        with self._lock:
            for path in set(paths):
                file = self._files[path]
                self._files[path] = replace(
                    file, calls=file.calls - 1, used=now, due=now + limits.KEEP_SENT
                )

    def _delete_if_over(self, path: str, file: CachedFile) -> None:
        now = time.monotonic()
        if not file.is_over(now):
            return
        try:
            Path(path).unlink(missing_ok=True)
            if not file.left or now > file.used + limits.KEEP_SHOWN:
                del self._files[path]
            _delete_empty(Path(path).parent, self.folder)
        except OSError as error:
            log.warning("A file of the cache could not be deleted: %s.", error.strerror)


def write_cached(path: Path, data: bytes) -> None:
    """Write a whole file of the cache, or none.

    Args:
        path: The file; its folder is created.
        data: Its content.

    Raises:
        RequestError: The disk is full, or the cache cannot be written. The message names no path.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, data)
    except (OSError, RequestError) as error:
        raise RequestError(NO_ROOM) from error


def _is_regular(path: str) -> bool:
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except (OSError, ValueError):
        return False


def _delete_empty(folder: Path, top: Path) -> None:
    """Delete a folder and those above it, below ``top``, as far as they are empty."""
    while folder != top and folder.exists() and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent


def _delete_old(folder: Path) -> None:
    """Delete a folder in which nothing has been written for a while."""
    try:
        newest = max(os.lstat(path).st_mtime for path in (folder, *folder.rglob("*")))
        if time.time() - newest > limits.KEEP_UNKNOWN:
            shutil.rmtree(folder) if folder.is_dir() else folder.unlink()
    except OSError as error:
        log.warning("A folder of the cache could not be deleted: %s.", error.strerror)
