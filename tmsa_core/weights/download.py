"""One file from the Hugging Face Hub: resumed, and checked by size and SHA-256 before it is used.

huggingface_hub knows where the Hub is, whether it may be asked (offline mode), who asks and when
to try again, and its cache is looked into first. The bytes are received here, because a file of a
gigabyte must go on where an earlier process stopped, which ``hf_hub_download`` does not.
"""

from __future__ import annotations

import functools
import hashlib
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tmsa_core.errors import DownloadError, shortened

Report = Callable[[str, int, int], None]
"""Told what is going on, as (sentence, bytes done, bytes in all); all is 0 for mere news."""

TRIES = 4  # in a row without a byte received
MAX_BREAKS = 200  # of one file's connection, each after some bytes
PAUSE = 0.5  # seconds before the second try; doubled each time
TIMEOUT = 20.0  # seconds without an answer
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Place:
    """Where a file lies on the Hub. revision: a commit, or a branch where the hash decides."""

    repo: str
    file: str
    revision: str = "main"

    def __str__(self) -> str:
        return f"{self.repo}/{self.file}"


@dataclass(frozen=True)
class Download:
    """A file to download, and what it must be.

    places: tried in order. layout: the public checkpoint layout that it is converted from, empty
    where it is used as it is. sha256 is None where nobody has stated it: then the file must be
    the one that the Hub names for the pinned commit of the first place.
    """

    name: str
    bytes: int | None
    sha256: str | None
    places: tuple[Place, ...]
    licence: str
    layout: str = ""

    @property
    def key(self) -> str:
        """Twelve digits that name this very file, for its folder in the cache."""
        text = self.sha256 or hashlib.sha256(repr(self.places[:1]).encode()).hexdigest()
        return text[:12]


class _Unusable(Exception):
    """Why a place cannot give the file."""


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file; computed again only where the file has changed."""
    stat = path.stat()
    # Times are coarse: a file that has just been written may change once more without a trace.
    settled = time.time() - stat.st_mtime > 2
    digest = _sha256 if settled else _sha256.__wrapped__
    return digest(path, stat.st_size, stat.st_mtime_ns)


@functools.lru_cache(256)
def _sha256(path: Path, _size: int, _changed: int) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def difference(path: Path, download: Download) -> str:
    """How a file differs from the one wanted, as part of a sentence; empty if it does not."""
    size = path.stat().st_size
    if download.bytes is not None and size != download.bytes:
        return f"it has {size:,} bytes instead of {download.bytes:,}"
    if download.sha256 is not None and (found := sha256(path)) != download.sha256:
        return f"its SHA-256 is {found[:12]}... instead of {download.sha256[:12]}..."
    return ""


def fetch(download: Download, folder: Path, progress: Report, endpoint: str | None = None) -> Path:
    """The file, from huggingface_hub's cache or else from the Hub into ``folder``.

    A file there or in the cache that is not the one wanted is named in a report and not used.
    endpoint: the Hub's address, by default huggingface_hub's own setting. Raises DownloadError
    in one sentence, and OSError where ``folder`` cannot be written.
    """
    target = folder / download.name
    for path in (target, *_cached_copies(download)):
        if path.is_file():
            wrong = difference(path, download)
            if not wrong:
                return path
            progress(f"{path} is not the file it should be ({wrong}): it is fetched again", 0, 0)
    folder.mkdir(parents=True, exist_ok=True)
    problems = []
    for place in download.places if download.sha256 else download.places[:1]:
        try:
            _fetch_from(place, download, target, progress, endpoint)
        except _Unusable as problem:
            problems.append(f"{shortened(place)}: {problem}")
        else:
            return target
    raise DownloadError(
        f"{download.name} could not be fetched ({'; '.join(problems)}): "
        "try again later, what has arrived is kept."
    )


def _cached_copies(download: Download) -> list[Path]:
    from huggingface_hub import try_to_load_from_cache

    found = (try_to_load_from_cache(p.repo, p.file, revision=p.revision) for p in download.places)
    return [Path(path) for path in found if isinstance(path, str)]


def _fetch_from(
    place: Place, download: Download, target: Path, progress: Report, endpoint: str | None
) -> None:
    """Receive the file into ``target``, by way of a part file that survives a failure."""
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
            raise _Unusable(f"what came is not the file wanted, {wrong}")
        progress(f"{part.name} was damaged ({wrong}): it is fetched from the start", 0, 0)
        _fetch_from(place, download, target, progress, endpoint)
        return
    part.replace(target)


def _ask(url: str, place: Place, download: Download, endpoint: str | None) -> Download:
    """What the Hub says of a file, before a gigabyte of another one is received."""
    from dataclasses import replace

    from huggingface_hub import get_hf_file_metadata
    from huggingface_hub.errors import OfflineModeIsEnabled

    try:
        stated = get_hf_file_metadata(url, timeout=TIMEOUT, endpoint=endpoint)
    except OfflineModeIsEnabled as error:
        raise DownloadError(
            f"{download.name} is not on this machine, and the Hub may not be asked because "
            "HF_HUB_OFFLINE is set: unset it, or download on another machine and copy the cache."
        ) from error
    except network_errors() as error:
        raise _Unusable(_words(error)) from error
    digest = stated.etag if _SHA256.fullmatch(stated.etag or "") else None
    if download.sha256 is None:
        if digest is None or stated.commit_hash != place.revision:
            raise _Unusable("the Hub does not state the SHA-256 of the pinned revision")
        return replace(download, sha256=digest, bytes=stated.size)
    if digest not in (None, download.sha256):
        raise _Unusable(f"it holds another file of that name, SHA-256 {digest[:12]}...")
    if download.bytes is not None and stated.size not in (None, download.bytes):
        raise _Unusable(f"it holds a file of {stated.size:,} bytes, not {download.bytes:,}")
    return download


def _receive(url: str, part: Path, wanted: Download, progress: Report) -> None:
    """Append to ``part`` until it is whole, through any number of broken connections."""
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
            reason = _words(error)
        grown = part.exists() and part.stat().st_size > old
        failures = 0 if grown else failures + 1
        if failures >= TRIES:
            raise _Unusable(reason)
        time.sleep(PAUSE * 2**failures)
    raise _Unusable("the connection broke too often")


def _append(url: str, part: Path, old: int, wanted: Download, progress: Report) -> None:
    from huggingface_hub.utils import build_hf_headers, hf_raise_for_status, http_stream_backoff

    headers = build_hf_headers() | {"Accept-Encoding": "identity"}
    if old:
        headers["Range"] = f"bytes={old}-"
    # Broken streams are taken up again by our caller, which knows how much has arrived.
    retries: dict[str, Any] = {"retry_on_exceptions": (), "retry_on_status_codes": (429,)}
    with http_stream_backoff("GET", url, headers=headers, timeout=TIMEOUT, **retries) as response:
        hf_raise_for_status(response)
        resumed = response.status_code == 206
        done = old if resumed else 0
        with part.open("ab" if resumed else "wb") as file:
            for chunk in response.iter_bytes():
                file.write(chunk)
                done += len(chunk)
                progress(f"Downloading {wanted.name}", done, wanted.bytes or done)
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
    """What a request raises: the base of httpx's or httpx2's errors, whichever the Hub uses."""
    from huggingface_hub.errors import FileMetadataError, HfHubHTTPError

    base = next(kind for kind in HfHubHTTPError.__mro__ if kind.__name__ == "HTTPError")
    return (base, FileMetadataError, TimeoutError, ConnectionError)


def _words(error: Exception) -> str:
    """The first line of what a request raised; it may be long and hold addresses."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status is not None:
        return f"the Hub answered {status}"
    line = str(error).strip().splitlines()[:1]
    return f"{type(error).__name__}{': ' + shortened(line[0]) if line else ''}"
