"""Read images from folders, files and ZIP archives.

Archives are untrusted. The table of contents is checked before anything is unpacked: members must
not overlap, and their stated size is bounded. A member that cannot be read, or is compressed by
another method than ``PACKINGS``, becomes an error in its place and does not stop the batch.
"""

from __future__ import annotations

import io
import itertools
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tmsa_core.errors import ImageError, RequestError, quoted, shortened

MAX_IMAGES = 1000
MAX_BYTES = 64 << 20  # of one image file, unpacked
MAX_TOTAL_BYTES = 2 << 30  # of all archives of a batch, unpacked
MAX_DIRECTORY_BYTES = 1 << 20  # of an archive's table of contents: about 10,000 files
MAX_RATIO = 200  # unpacked to packed size of an archive; that of images is about 1
SMALL_BYTES = 64 << 20  # archives that unpack to less may have any ratio
MAX_FOLDERS = 8  # of a path in the archive of results
# Python unpacks the other methods without a bound on memory.
PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)

_BLOCK = 1 << 20
_MEMBER_HEADER = 30  # bytes before the name of each member
_DAMAGED = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, ValueError, OverflowError,
    IndexError,
)  # fmt: skip
_UNSUPPORTED = (NotImplementedError, RuntimeError)  # a password, or a newer format


@dataclass(frozen=True)
class Entry:
    """One file of a batch.

    Attributes:
        name: Relative path, as ``safe_name`` returns it.
        content: The bytes of the file, or the error if it cannot be read.
    """

    name: str
    content: bytes | ImageError


class _BoundedFile(io.FileIO):
    """A file that refuses large reads: ``zipfile`` reads the whole table of contents at once."""

    def read(self, size: int | None = -1) -> bytes:
        """Read up to ``size`` bytes.

        Raises:
            BadZipFile: The size is larger than ``MAX_DIRECTORY_BYTES``.
        """
        if size is None or size < 0:  # zipfile searches the end of the archive for its table
            return super().read(MAX_DIRECTORY_BYTES)
        if size > MAX_DIRECTORY_BYTES:
            raise zipfile.BadZipFile("the table of contents is too large")
        return super().read(size)


def count_entries(sources: Iterable[Path]) -> int:
    """The number of entries that ``read_entries`` yields; reads tables of contents only."""
    return sum(len(_members(source)) for source in sources)


def source_files(sources: Iterable[Path]) -> Iterator[Path]:
    """The files on disk that a batch reads, without sources that do not exist."""
    for source in sources:
        if source.is_dir():
            yield from _files_below(source)
        elif source.exists():
            yield source


def read_entries(sources: Iterable[Path]) -> Iterator[Entry]:
    """Read the files of folders and ZIP archives, and single files, sorted by name.

    Hidden files and files that operating systems add to archives are skipped.

    Args:
        sources: Folders, archives and files.

    Returns:
        An iterator that reads one entry at a time.

    Raises:
        RequestError: At once: a source is missing, an archive is damaged or unsafe, or all
            sources hold more than ``MAX_IMAGES`` or ``MAX_TOTAL_BYTES``.
    """
    sources = list(sources)
    count = count_entries(sources)
    if count > MAX_IMAGES:
        raise RequestError(
            f"There are {count} files, more than the {MAX_IMAGES} of one batch: "
            "split it into several."
        )
    if not count:
        raise RequestError("There is no file in the batch: give images, a folder or a ZIP.")
    if sum(_unpacked_bytes(source) for source in sources) > MAX_TOTAL_BYTES:
        raise RequestError(
            f"The archives hold more than the {_amount(MAX_TOTAL_BYTES)} of one batch: "
            "split it into several."
        )
    return itertools.chain.from_iterable(map(_entries_of, sources))


def safe_name(name: str) -> str:
    """A relative path without roots, drives, ".." and control characters."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    clean = ["".join(c for c in part if c.isprintable() and c not in '/:*?"<>|') for part in parts]
    kept = [part.strip()[:100] for part in clean if part.strip(" .")]
    return "/".join(kept[-MAX_FOLDERS:]) or "image"


def _entries_of(source: Path) -> Iterator[Entry]:
    """The entries of one source; ends in an error if the source changed since it was checked."""
    try:
        if source.is_dir():
            yield from (_from_disk(p, str(p.relative_to(source))) for p in _files_below(source))
        elif zipfile.is_zipfile(source):
            yield from _from_archive(source)
        else:
            yield _from_disk(source, source.name)
    except (RequestError, *_DAMAGED) as error:
        gone = f"{_last(source.name)} has changed or is gone: give it again."
        message = str(error) if isinstance(error, RequestError) else gone
        yield Entry(safe_name(source.name), ImageError(message))


def _members(source: Path) -> Sequence[Path | zipfile.ZipInfo]:
    if source.is_dir():
        return _files_below(source)
    if not source.is_file():
        raise RequestError(f"There is no file or folder {quoted(source.name)}: check the path.")
    return _archive_members(source) if zipfile.is_zipfile(source) else [source]


def _files_below(folder: Path) -> list[Path]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return [path for path in files if not _is_hidden(str(path.relative_to(folder)))]


def _archive_members(source: Path) -> list[zipfile.ZipInfo]:
    """The files in an archive, sorted by name, after ``_check_archive``."""
    with _open_archive(source) as archive:
        members = archive.infolist()
    _check_archive(source, members)
    return sorted(
        (m for m in members if not m.is_dir() and not _is_hidden(m.filename)),
        key=lambda member: member.filename,
    )


@contextmanager
def _open_archive(source: Path) -> Iterator[zipfile.ZipFile]:
    with _BoundedFile(source) as file:
        try:
            archive = zipfile.ZipFile(file)
        except (*_DAMAGED, *_UNSUPPORTED) as error:
            raise RequestError(
                f"{shortened(source.name)} is a damaged ZIP archive, or has too many files: pack "
                "it again, or in several archives."
            ) from error
        with archive:
            yield archive


def _check_archive(source: Path, members: Sequence[zipfile.ZipInfo]) -> None:
    """Raise RequestError for overlapping members and for an archive that unpacks to too much."""
    size = source.stat().st_size
    places = sorted((m.header_offset, _MEMBER_HEADER + m.compress_size) for m in members)
    ends = [offset + length for offset, length in places]
    starts = [offset for offset, _ in places[1:]] + [size]
    if any(end > start for end, start in zip(ends, starts, strict=False)):
        raise RequestError(
            f"{shortened(source.name)} is not a usual ZIP archive, its files overlap: pack it "
            "again."
        )
    unpacked = sum(m.file_size for m in members)
    if unpacked > SMALL_BYTES and unpacked > MAX_RATIO * size:
        raise RequestError(
            f"{shortened(source.name)} would become more than {MAX_RATIO} times as large when "
            "unpacked, which images do not: pack it again."
        )


def _unpacked_bytes(source: Path) -> int:
    """The unpacked size that the members of an archive state; 0 for other sources."""
    if source.is_dir() or not zipfile.is_zipfile(source):
        return 0
    return sum(member.file_size for member in _archive_members(source))


def _is_hidden(name: str) -> bool:
    parts = PurePosixPath(name.replace("\\", "/")).parts
    return any(p == "__MACOSX" or (p[:1] == "." and p != "..") for p in parts) or (
        bool(parts) and parts[-1].lower() in ("thumbs.db", "desktop.ini")
    )


def _from_disk(path: Path, name: str) -> Entry:
    try:
        if path.stat().st_size > MAX_BYTES:
            return Entry(safe_name(name), _too_large(name))
        return Entry(safe_name(name), path.read_bytes())
    except OSError as error:
        reason = error.strerror or type(error).__name__
        return Entry(safe_name(name), ImageError(f"{_last(name)} cannot be opened: {reason}."))


def _from_archive(source: Path) -> Iterator[Entry]:
    members = _archive_members(source)
    with _open_archive(source) as archive:
        for member in members:
            yield Entry(safe_name(member.filename), _unpack(archive, member))


def _unpack(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes | ImageError:
    """The bytes of a member, at most as many as it states, or the error."""
    name = _last(member.filename)
    if member.file_size > MAX_BYTES:
        return _too_large(name)
    if member.compress_type not in PACKINGS:
        return ImageError(f"{name} is packed in an unusual way: pack it again as an ordinary ZIP.")
    if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG):
        return ImageError(f"{name} is a link or a device: pack the image itself.")
    blocks, size = [], 0
    try:
        with archive.open(member) as file:
            while block := file.read(_BLOCK):
                size += len(block)
                if size > MAX_BYTES:
                    return _too_large(name)
                blocks.append(block)
    except _UNSUPPORTED:
        return ImageError(
            f"{name} is locked or packed in an unusual way: pack it without password."
        )
    except _DAMAGED:
        return ImageError(f"{name} is damaged inside the archive: pack it again.")
    return b"".join(blocks)


def _too_large(name: str) -> ImageError:
    return ImageError(f"{_last(name)} has more than {_amount(MAX_BYTES)}: use a smaller image.")


def _last(name: str) -> str:
    """The file name in a path for a message: one line, at most 60 characters."""
    return safe_name(name).rpartition("/")[2][:60]


def _amount(count: int) -> str:
    return f"{count >> 20} MB" if count < 1 << 30 else f"{count / (1 << 30):.0f} GB"
