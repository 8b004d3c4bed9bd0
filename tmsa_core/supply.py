"""Completes a bundle: downloads what it lacks, converts public checkpoints, and keeps the result.

Everything lies in the cache under the download's own hash, so that domains share what they have
in common, and a file is fetched, converted and checked once.
"""

from __future__ import annotations

import errno
from collections.abc import Collection
from pathlib import Path

from filelock import FileLock

from tmsa_core.bundles import Bundle
from tmsa_core.download import Download, Report, difference, fetch
from tmsa_core.errors import DamagedFileError, DownloadError
from tmsa_core.manifests import MANIFEST, read_entries, register_file


def quiet(sentence: str, done: int, total: int) -> None:
    """A report that nobody reads."""


def missing_downloads(bundle: Bundle, roles: Collection[str]) -> tuple[Download, ...]:
    """What has to be fetched before these roles' files are here."""
    lacking = [bundle.files[r] for r in roles if r in bundle.files and not bundle.has(r)]
    names = dict.fromkeys(entry.download for entry in lacking if entry.download)
    return tuple(bundle.downloads[name] for name in names)


def complete(
    bundle: Bundle,
    roles: Collection[str],
    report: Report = quiet,
    thorough: bool = False,
    endpoint: str | None = None,
) -> None:
    """See to it that the files of these roles are here, fetching what is missing or damaged.

    thorough: compare SHA-256 too, not only sizes. endpoint: the Hub's address, by default
    huggingface_hub's own setting. Raises BundleError in one sentence where a file cannot be had.
    """
    for role in roles:
        if note := bundle.set_aside(role):
            report(note, 0, 0)
        problem = bundle.problem(role, thorough)
        if problem is None:
            continue
        entry = bundle.files.get(role)
        download = bundle.downloads.get(entry.download) if entry else None
        if download is None:
            raise problem
        if isinstance(problem, DamagedFileError):
            report(f"{str(problem).partition(': ')[0]}: it is fetched again", 0, 0)
        folder = bundle.cache / download.key
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with FileLock(folder / ".lock"):
                if bundle.problem(role, thorough):  # or another process has been quicker
                    _provide(bundle, download, folder, report, endpoint)
        except OSError as error:
            raise _disk_error(error, download) from error
        if problem := bundle.problem(role, thorough):
            raise problem


def _provide(
    bundle: Bundle, download: Download, folder: Path, report: Report, endpoint: str | None
) -> None:
    """Fetch a file, convert it if it is a public checkpoint, and describe what it gave."""
    source = _put_there_by_hand(bundle, download, report)
    source = source or fetch(download, folder, report, endpoint)
    files = {download.name: source}
    if download.layout:
        from tmsa_core.convert import convert

        report(f"Converting {download.name}", 0, 0)
        files = {path.name: path for path in convert(download.layout, source, folder)}
    if not read_entries(folder):  # a damaged manifest would stand in the way
        (folder / MANIFEST).unlink(missing_ok=True)
    for role, entry in bundle.files.items():
        if entry.download == download.name and entry.file in files:
            path = files[entry.file]
            name = path.name if path.parent == folder else str(path)
            origin = f"{download.name}, {entry.source}"
            register_file(folder, bundle.domain, role, entry.kind, name, origin, download.licence)
    if download.layout and source.parent == folder:
        source.unlink()  # 1.2 GB that nothing needs any more


def _put_there_by_hand(bundle: Bundle, download: Download, report: Report) -> Path | None:
    """The download as somebody without a network may have put it into the bundle's folder."""
    path = bundle.folder / download.name
    if not path.is_file():
        return None
    wrong = difference(path, download)
    if wrong:
        report(f"{path} is not the file it should be ({wrong}) and is not used", 0, 0)
    return None if wrong else path


def _disk_error(error: OSError, download: Download) -> DownloadError:
    if error.errno == errno.ENOSPC:
        return DownloadError(
            f"The disk is full: {download.name} does not fit into TMSA's cache; make room, or set "
            "TMSA_CACHE to a folder on another disk, and try again: what has arrived is kept."
        )
    return DownloadError(
        f"TMSA's cache cannot be written ({error.strerror or type(error).__name__}): set "
        "TMSA_CACHE to a folder that can be."
    )
