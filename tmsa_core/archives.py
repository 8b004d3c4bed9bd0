"""Pictures out of folders, files and ZIP archives, and results into one archive.

Archives come from strangers: names are made harmless, sizes are counted while unpacking and not
believed, and what cannot be read becomes an error in its place instead of an end of the work.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tmsa_core.errors import ImageError, RequestError

MOST_PICTURES = 1000
MOST_BYTES = 64 << 20  # of one picture's file, unpacked
MOST_BYTES_IN_ALL = 2 << 30  # of all files of an archive, unpacked
_BLOCK = 1 << 20
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError)
_UNSUPPORTED = (NotImplementedError, RuntimeError)  # an odd compression, a password


@dataclass(frozen=True)
class Entry:
    """One file of a batch. name: its relative path, harmless. content: its bytes, or why not."""

    name: str
    content: bytes | ImageError


def count_entries(sources: Iterable[Path]) -> int:
    """How many entries ``read_entries`` will give; cheap, reads tables of contents only."""
    return sum(len(_members(source)) for source in sources)


def read_entries(sources: Iterable[Path]) -> Iterator[Entry]:
    """The files of folders, of ZIP archives, and single files, one at a time, in order of name.

    Hidden files and what systems leave in archives are passed over. Raises RequestError where a
    source is missing, is a damaged archive, or where all hold more than ``MOST_PICTURES``.
    """
    sources = list(sources)
    count = count_entries(sources)
    if count > MOST_PICTURES:
        raise RequestError(
            f"There are {count} files, more than the {MOST_PICTURES} of one batch: "
            "divide them into several."
        )
    if not count:
        raise RequestError("There is no file in the batch: give pictures, a folder or a ZIP.")
    for source in sources:
        if source.is_dir():
            yield from (_from_disk(p, str(p.relative_to(source))) for p in _members(source))
        elif zipfile.is_zipfile(source):
            yield from _from_archive(source)
        else:
            yield _from_disk(source, source.name)


def harmless(name: str) -> str:
    """A relative path that stays below where it is put: no roots, drives, "..", control letters."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    clean = ["".join(c for c in part if c.isprintable() and c not in ':*?"<>|') for part in parts]
    kept = [part.strip()[:100] for part in clean if part.strip(" .") and part != "/"]
    return "/".join(kept) or "picture"


def _members(source: Path) -> list:
    if source.is_dir():
        files = (p for p in sorted(source.rglob("*")) if p.is_file())
        return [p for p in files if not _is_hidden(str(p.relative_to(source)))]
    if not source.is_file():
        raise RequestError(f"There is no file or folder {source.name!r}: check the path.")
    if not zipfile.is_zipfile(source):
        return [source]
    try:
        with zipfile.ZipFile(source) as archive:
            members = archive.infolist()
    except _DAMAGED as error:
        raise RequestError(f"{source.name} is a damaged ZIP archive: pack it again.") from error
    return sorted(
        (m for m in members if not m.is_dir() and not _is_hidden(m.filename)),
        key=lambda member: member.filename,
    )


def _is_hidden(name: str) -> bool:
    parts = PurePosixPath(name.replace("\\", "/")).parts
    return any(p == "__MACOSX" or (p[:1] == "." and p != "..") for p in parts) or (
        bool(parts) and parts[-1].lower() in ("thumbs.db", "desktop.ini")
    )


def _from_disk(path: Path, name: str) -> Entry:
    try:
        if path.stat().st_size > MOST_BYTES:
            return Entry(harmless(name), _too_large(name))
        return Entry(harmless(name), path.read_bytes())
    except OSError as error:
        reason = error.strerror or type(error).__name__
        return Entry(harmless(name), ImageError(f"{path.name} cannot be opened: {reason}."))


def _from_archive(source: Path) -> Iterator[Entry]:
    left = MOST_BYTES_IN_ALL
    with zipfile.ZipFile(source) as archive:
        for member in _members(source):
            content = _unpack(archive, member, min(left, MOST_BYTES))
            left -= len(content) if isinstance(content, bytes) else 0
            yield Entry(harmless(member.filename), content)


def _unpack(archive: zipfile.ZipFile, member: zipfile.ZipInfo, limit: int) -> bytes | ImageError:
    """The bytes of a member, at most ``limit``: the size that it states may be a lie."""
    name = PurePosixPath(member.filename).name
    blocks, size = [], 0
    try:
        with archive.open(member) as file:
            while block := file.read(_BLOCK):
                size += len(block)
                if size > limit:
                    return _too_large(name)
                blocks.append(block)
    except _UNSUPPORTED:
        return ImageError(f"{name} is locked or oddly packed: pack it without password.")
    except _DAMAGED:
        return ImageError(f"{name} is damaged inside the archive: pack it again.")
    return b"".join(blocks)


def _too_large(name: str) -> ImageError:
    return ImageError(
        f"{PurePosixPath(name).name} has more than {MOST_BYTES >> 20} MB or makes the batch too "
        "large: use smaller pictures."
    )
