"""Downloads one file from the Hugging Face Hub, resumes it, and checks its size and SHA-256.

huggingface_hub decides where the Hub is, whether it may be contacted (offline mode), the
credentials and the retries, and its cache is searched first. The bytes are received here, because
``hf_hub_download`` does not resume a file that an earlier process left incomplete.
"""

from __future__ import annotations

import functools
import hashlib
import re
import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tmsa_core.errors import DownloadError, shortened
from tmsa_core.progress import Progress

TRIES = 4  # failures in a row, without a byte received, before a download is given up
MAX_BREAKS = 200  # interruptions of one file's download
PAUSE = 0.5  # seconds before the second try; doubled each time
TIMEOUT = 20.0  # seconds without an answer
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Place:
    """A location on the Hub.

    Attributes:
        repo: Repository, such as "user/name".
        file: Path inside it.
        revision: A commit, or a branch if the hash of the file is known.
    """

    repo: str
    file: str
    revision: str = "main"

    def __str__(self) -> str:
        return f"{self.repo}/{self.file}"


@dataclass(frozen=True)
class Download:
    """A file to download and how to recognise it.

    Attributes:
        name: Name of the file on this machine.
        bytes: Its size, None if unknown.
        sha256: Its hexadecimal SHA-256. None if unknown: then the file must be the one that the
            Hub states for the pinned commit of the first place.
        places: Where to get it, tried in order.
        licence: Name of its licence.
        layout: Layout of the public checkpoint that it is converted from; empty if the file is
            used as it is.
    """

    name: str
    bytes: int | None
    sha256: str | None
    places: tuple[Place, ...]
    licence: str
    layout: str = ""

    @property
    def key(self) -> str:
        """Twelve digits that identify the content; the name of its folder in the cache."""
        text = self.sha256 or hashlib.sha256(repr(self.places[:1]).encode()).hexdigest()
        return text[:12]


class _UnusableError(Exception):
    """A place cannot give the file; the message is the reason."""


def sha256(path: Path) -> str:
    """Return the hexadecimal SHA-256 of a file; unchanged files are not read again."""
    stat = path.stat()
    if time.time() - stat.st_mtime < 2:  # times are coarse: a later write may not change them
        return _hash(path)
    return _cached_hash(path, stat.st_size, stat.st_mtime_ns)


@functools.lru_cache(256)
def _cached_hash(path: Path, size: int, modified: int) -> str:
    """The hash; size and modification time are only keys of the cache."""
    return _hash(path)


def _hash(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def difference(path: Path, download: Download) -> str:
    """Compare a file with a download by size and hash.

    Args:
        path: An existing file.
        download: What it should be.

    Returns:
        The difference as part of a sentence; empty if there is none.
    """
    size = path.stat().st_size
    if download.bytes is not None and size != download.bytes:
        return f"it has {size:,} bytes instead of {download.bytes:,}"
    if download.sha256 is not None and (found := sha256(path)) != download.sha256:
        return f"its SHA-256 is {found[:12]}... instead of {download.sha256[:12]}..."
    return ""


def fetch(
    download: Download, folder: Path, progress: Progress, endpoint: str | None = None
) -> Path:
    """Return the file from ``folder`` or huggingface_hub's cache, or else download it.

    Args:
        download: The file.
        folder: Where a download goes. An interrupted download is resumed there.
        progress: Receives the bytes, and a message about each wrong file that is not used.
        endpoint: The Hub's address; None uses huggingface_hub's own setting.

    Returns:
        The path of the checked file.

    Raises:
        DownloadError: If no place gives the file.
        OSError: If ``folder`` cannot be written.
    """
    target = folder / download.name
    for path in (target, *_cached_copies(download)):
        if path.is_file():
            wrong = difference(path, download)
            if not wrong:
                return path
            progress(0, 0, f"{path} is a wrong file ({wrong}) and is fetched again")
    folder.mkdir(parents=True, exist_ok=True)
    problems = []
    for place in download.places if download.sha256 else download.places[:1]:
        try:
            _fetch_from(place, download, target, progress, endpoint)
        except _UnusableError as problem:
            problems.append(f"{shortened(place)}: {problem}")
        else:
            return target
    raise DownloadError(
        f"{download.name} could not be fetched ({'; '.join(problems)}): "
        "try again later, the received part is kept."
    )


def _cached_copies(download: Download) -> list[Path]:
    from huggingface_hub import try_to_load_from_cache

    found = (try_to_load_from_cache(p.repo, p.file, revision=p.revision) for p in download.places)
    return [Path(path) for path in found if isinstance(path, str)]


def _fetch_from(
    place: Place, download: Download, target: Path, progress: Progress, endpoint: str | None
) -> None:
    """Receive the file into ``target`` through a ``.part`` file, which survives a failure."""
    from huggingface_hub import hf_hub_url

    url = hf_hub_url(place.repo, place.file, revision=place.revision, endpoint=endpoint)
    wanted = _ask(url, place, download, endpoint)
    part = target.with_name(f"{target.name}.part")
    old = part.stat().st_size if part.exists() else 0
    _check_space(target, (wanted.bytes or 0) - old)
    _receive(url, part, wanted, progress)
    if wrong := difference(part, wanted):
        part.unlink()
        if not old:
            raise _UnusableError(f"it sent a wrong file, {wrong}")
        progress(0, 0, f"{part.name} was damaged ({wrong}) and is fetched from the start")
        _fetch_from(place, download, target, progress, endpoint)
        return
    part.replace(target)


def _ask(url: str, place: Place, download: Download, endpoint: str | None) -> Download:
    """Check the Hub's own size and hash of the file; return the download completed by them."""
    from huggingface_hub import get_hf_file_metadata
    from huggingface_hub.errors import OfflineModeIsEnabled

    try:
        stated = get_hf_file_metadata(url, timeout=TIMEOUT, endpoint=endpoint)
    except OfflineModeIsEnabled as error:
        raise DownloadError(
            f"{download.name} is not on this machine, and HF_HUB_OFFLINE forbids downloads: "
            "unset it, or download on another machine and copy the cache."
        ) from error
    except network_errors() as error:
        raise _UnusableError(failure_words(error)) from error
    digest = stated.etag if _SHA256.fullmatch(stated.etag or "") else None
    if download.sha256 is None:
        if digest is None or stated.commit_hash != place.revision:
            raise _UnusableError("the Hub does not state the SHA-256 of the pinned revision")
        return replace(download, sha256=digest, bytes=stated.size)
    if digest not in (None, download.sha256):
        raise _UnusableError(f"it holds another file of that name, SHA-256 {digest[:12]}...")
    if download.bytes is not None and stated.size not in (None, download.bytes):
        raise _UnusableError(f"it holds a file of {stated.size:,} bytes, not {download.bytes:,}")
    return download


def _receive(url: str, part: Path, wanted: Download, progress: Progress) -> None:
    """Append to ``part`` until it is complete, across broken connections."""
    failures = 0
    for _ in range(MAX_BREAKS):
        old = part.stat().st_size if part.exists() else 0
        if wanted.bytes is not None and old >= wanted.bytes:
            return
        try:
            _append(url, part, old, wanted, progress)
            if wanted.bytes is None or part.stat().st_size >= wanted.bytes:
                return
            reason = "the connection ended early"
        except network_errors() as error:
            reason = failure_words(error)
        grown = part.exists() and part.stat().st_size > old
        failures = 0 if grown else failures + 1
        if failures >= TRIES:
            raise _UnusableError(reason)
        time.sleep(PAUSE * 2**failures)
    raise _UnusableError("the connection broke too often")


def _append(url: str, part: Path, old: int, wanted: Download, progress: Progress) -> None:
    """Append what one connection sends after the first ``old`` bytes."""
    from huggingface_hub.utils import (  # type: ignore[attr-defined]
        build_hf_headers,
        hf_raise_for_status,
        http_stream_backoff,
    )

    headers = build_hf_headers() | {"Accept-Encoding": "identity"}
    if old:
        headers["Range"] = f"bytes={old}-"
    # The caller resumes a broken stream, because it knows how many bytes have arrived.
    retries: dict[str, Any] = {"retry_on_exceptions": (), "retry_on_status_codes": (429,)}
    with http_stream_backoff("GET", url, headers=headers, timeout=TIMEOUT, **retries) as response:
        hf_raise_for_status(response)
        resumed = response.status_code == 206
        done = old if resumed else 0
        with part.open("ab" if resumed else "wb") as file:
            for chunk in response.iter_bytes():
                file.write(chunk)
                done += len(chunk)
                progress(done, wanted.bytes or done, f"Downloading {wanted.name}")
                if wanted.bytes is not None and done > wanted.bytes:
                    return


def _check_space(target: Path, needed: int) -> None:
    free = shutil.disk_usage(target.parent).free
    if free < needed:
        raise DownloadError(
            f"The disk is full: {target.name} needs {needed / 1e9:.2f} GB more and "
            f"TMSA's cache has {free / 1e9:.2f} GB left; make room, or set TMSA_CACHE to a "
            "folder on another disk."
        )


def network_errors() -> tuple[type[Exception], ...]:
    """Return the exceptions that a request to the Hub raises.

    huggingface_hub uses httpx or httpx2, depending on its version; the base class of their errors
    is found by its name.
    """
    from huggingface_hub.errors import FileMetadataError, HfHubHTTPError

    base = next(kind for kind in HfHubHTTPError.__mro__ if kind.__name__ == "HTTPError")
    return (base, FileMetadataError, TimeoutError, ConnectionError)


def failure_words(error: Exception) -> str:
    """Return the status or the first line of a request's error, which may be long."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status is not None:
        return f"the Hub answered {status}"
    line = str(error).strip().splitlines()[:1]
    return f"{type(error).__name__}{': ' + shortened(line[0]) if line else ''}"
