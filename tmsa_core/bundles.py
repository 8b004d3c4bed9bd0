"""Bundles: a domain's weights files, where each is found, and whether it is the right one.

A bundle is a folder with a ``bundle.json`` that names each file, its kind, size, SHA-256, origin
and licence. A file is looked for in the folder, then in the cache of what this machine has made
or downloaded.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from filelock import FileLock
from torch import nn

from tmsa_core.errors import BundleError, DamagedFileError, DownloadError, listed, quoted, shortened
from tmsa_core.files import checked_path
from tmsa_core.weights.download import Download, Report, difference, fetch, sha256
from tmsa_core.weights.manifest import (
    MANIFEST,
    BundleFile,
    read_entries,
    read_manifest,
    register_file,
)
from tmsa_core.weights.network_files import load_network, read_metadata

OWN_WEIGHTS = "TMSA_OWN_WEIGHTS"  # environment variable: use files that are not published


def cache_folder() -> Path:
    """Where downloads and what is made of them lie: $TMSA_CACHE, or ``~/.cache/tmsa``."""
    usual = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tmsa"
    return Path(os.environ.get("TMSA_CACHE") or usual)


def checkpoints_folder() -> Path:
    """Where bundles lie: $TMSA_CHECKPOINTS, or in the installed package, or beside it."""
    package = Path(__file__).parent
    places = (package / "checkpoints", package.parent / "checkpoints")
    usual = next((place for place in places if place.is_dir()), places[-1])
    return Path(os.environ.get("TMSA_CHECKPOINTS") or usual)


TRAINED_BY = "trained here: "
"""What a manifest puts before the command that made a file."""


def accepts_own_weights() -> bool:
    """Whether the user asks for their own weights in place of the published ones."""
    return os.environ.get(OWN_WEIGHTS, "") not in ("", "0")


@dataclass(frozen=True)
class Bundle:
    """A domain's files: in its folder, or in the cache of what this machine made or downloaded.

    notice: what a visitor has to know about the weights' licences. damaged: roles that the bundle
    does without, because their files are not what they should be. accepts_own: whether files in
    the folder are used that are not the published ones.
    """

    folder: Path
    domain: str
    files: Mapping[str, BundleFile]
    downloads: Mapping[str, Download] = field(default_factory=dict)
    notice: str = ""
    cache: Path = field(default_factory=cache_folder)
    damaged: frozenset[str] = frozenset()
    accepts_own: bool = field(default_factory=accepts_own_weights)

    def path(self, role: str) -> Path:
        """Where the file of a role lies; BundleError if the bundle has none or it is missing."""
        return self._located(role)[0]

    def load(self, role: str, device: str = "cpu", dtype: torch.dtype = torch.float32) -> nn.Module:
        """The network of a role, in evaluation mode.

        Raises BundleError where its file is damaged or holds a network of another size.
        """
        path, wanted = self.checked_path(role), self.files[role].architecture
        found = read_metadata(path)["architecture"] if wanted else {}
        for name, number in wanted.items():
            if found.get(name) != number:
                raise BundleError(
                    f"{path.name} does not fit the {self.domain} bundle: its {name} is "
                    f"{quoted(found.get(name))} instead of {number}."
                )
        return load_network(self.kind_of(role), path, device, dtype)

    def kind_of(self, role: str) -> str:
        """The network kind of a role."""
        return self._entry(role).kind

    def seconds(self, role: str) -> float | None:
        """What training a role's network took, if that is known; BundleError if it is not here."""
        return self._located(role)[1].seconds

    def has(self, role: str) -> bool:
        """Whether the bundle has a role and its file is here, by name and size."""
        known = role in self.files and role not in self.damaged
        return known and self.problem(role) is None

    def problem(self, role: str, thorough: bool = False) -> BundleError | None:
        """Why the file of a role cannot be used; thorough: its SHA-256 is compared too."""
        try:
            self.checked_path(role) if thorough else self.path(role)
        except BundleError as error:
            return error
        return None

    def checked_path(self, role: str) -> Path:
        """As ``path``, and the file's SHA-256 is the one it should be."""
        path, entry = self._located(role)
        if entry.sha256 and sha256(path) != entry.sha256:
            raise DamagedFileError(
                f"{path.name} is damaged, its SHA-256 is not that of the {role}: "
                f"{self._remedy(role)}."
            )
        return path

    def without_damaged(self, roles: Collection[str]) -> tuple[Bundle, tuple[str, ...]]:
        """The same bundle, doing without those of some roles whose files are damaged.

        Args:
            roles: Those that can be done without.

        Returns:
            The bundle, and a sentence per damaged file.
        """
        problems = {role: self.problem(role, thorough=True) for role in roles if role in self.files}
        damaged = {r: str(p) for r, p in problems.items() if isinstance(p, DamagedFileError)}
        return replace(self, damaged=frozenset(damaged)), tuple(damaged.values())

    def verify(self) -> None:
        """Compare every file with its SHA-256; BundleError names the first that differs.

        Files that come into being on this machine may be missing.
        """
        for role, entry in self.files.items():
            if entry.sha256 or self.has(role):
                self.checked_path(role)

    def _entry(self, role: str) -> BundleFile:
        if role not in self.files:
            raise BundleError(
                f"The {self.domain} bundle has no {shortened(role)}; it has "
                f"{listed(sorted(self.files))}."
            )
        return self.files[role]

    def _located(self, role: str) -> tuple[Path, BundleFile]:
        """The file of a role and what is known of it; a BundleError says how to get it."""
        entry = self._entry(role)
        found = self._find(role, entry)
        if found is None and (note := self.set_aside(role)):
            raise BundleError(f"{note}, or else {self._remedy(role)}.")
        if found is None:
            raise BundleError(f"The {self.domain} bundle has no {role} yet: {self._remedy(role)}.")
        path, entry = found
        if not path.is_file():
            raise BundleError(
                f"{path.name} is missing ({shortened(entry.source)}): {self._remedy(role)}."
            )
        if entry.bytes is not None and path.stat().st_size != entry.bytes:
            raise DamagedFileError(
                f"{path.name} is damaged, it has {path.stat().st_size} bytes instead of "
                f"{entry.bytes}: {self._remedy(role)}."
            )
        return path, entry

    def set_aside(self, role: str) -> str:
        """Why a file that lies in the folder for a role is not used; empty where none is left out.

        The sentence has no full stop, so that a remedy can follow.
        """
        entry = self.files.get(role)
        if entry is None or entry.sha256 or self.accepts_own:
            return ""
        path = self.folder / entry.file
        if not path.is_file() or _matches_download(path, self.downloads.get(entry.download)):
            return ""
        return (
            f"{path.name} is there, but it is not the published file and is not used: set "
            f"{OWN_WEIGHTS}=1 to use it"
        )

    def _find(self, role: str, entry: BundleFile) -> tuple[Path, BundleFile] | None:
        """The committed file, one put into the folder by hand, or one in the cache."""
        if entry.sha256:
            return self.folder / entry.file, entry
        download = self.downloads.get(entry.download)
        own = self.cache / self.domain
        for folder in (self.folder, own):
            path = folder / entry.file
            if not path.is_file():
                continue
            if self.accepts_own or _matches_download(path, download):
                return path, replace(entry, sha256=sha256(path))
        for folder in (own, self.cache / download.key) if download else (own,):
            made = read_entries(folder).get(role)
            if made is not None:
                return folder / made.file, made
        return None

    def _remedy(self, role: str) -> str:
        entry = self.files[role]
        if entry.howto:
            return entry.howto
        if entry.download:
            return f"run `python -m tmsa_core download {self.domain}`"
        # Two files may come from one stage, so the stage is not always named as the role.
        command = entry.source.removeprefix(TRAINED_BY)
        if command == entry.source:
            return "check the repository out again"
        return f"run `{command}`, or check the repository out again"

    def fingerprint(self, roles: Collection[str] | None = None) -> str:
        """Twelve digits that name this set of weights, or of some roles' weights.

        Roles that the bundle lacks do not count.
        """
        named = self.files if roles is None else self.files.keys() & roles
        located = (self._located(role)[1] for role in sorted(named) if self.has(role))
        joined = "".join(entry.sha256 or "" for entry in located)
        return hashlib.sha256(joined.encode()).hexdigest()[:12]


def _matches_download(path: Path, download: Download | None) -> bool:
    """Whether a file that no manifest describes is the download, or was converted from it."""
    if download is None or download.sha256 is None:
        return True
    if path.name == download.name:
        return not difference(path, download)
    try:
        return read_metadata(path)["origin"].get("sha256") == download.sha256
    except (BundleError, AttributeError):  # AttributeError: an origin that is no object
        return False


def open_bundle(domain: str, folder: str | Path | None = None) -> Bundle:
    """Read a domain's manifest; BundleError if there is none or it cannot be read."""
    folder = checked_path(checkpoints_folder() / domain if folder is None else folder)
    path = folder / MANIFEST
    if not path.is_file():
        raise BundleError(
            f"No bundle for {quoted(domain)} in the folder {shortened(folder.name)}, which lacks "
            f"its {MANIFEST}: check the repository out again, or set TMSA_CHECKPOINTS."
        )
    manifest = read_manifest(path)
    return Bundle(folder, manifest.domain, manifest.files, manifest.downloads, manifest.notice)


def no_progress(sentence: str, done: int, total: int) -> None:
    """A report that nobody reads."""


def missing_downloads(bundle: Bundle, roles: Collection[str]) -> tuple[Download, ...]:
    """What has to be fetched before these roles' files are here."""
    lacking = [bundle.files[r] for r in roles if r in bundle.files and not bundle.has(r)]
    names = dict.fromkeys(entry.download for entry in lacking if entry.download)
    return tuple(bundle.downloads[name] for name in names)


def complete(
    bundle: Bundle,
    roles: Collection[str],
    progress: Report = no_progress,
    thorough: bool = False,
    endpoint: str | None = None,
) -> None:
    """See to it that the files of these roles are here, fetching what is missing or damaged.

    thorough: compare SHA-256 too, not only sizes. endpoint: the Hub's address, by default
    huggingface_hub's own setting. Raises BundleError in one sentence where a file cannot be had.
    """
    for role in roles:
        if note := bundle.set_aside(role):
            progress(note, 0, 0)
        problem = bundle.problem(role, thorough)
        if problem is None:
            continue
        entry = bundle.files.get(role)
        download = bundle.downloads.get(entry.download) if entry else None
        if download is None:
            raise problem
        if isinstance(problem, DamagedFileError):
            progress(f"{str(problem).partition(': ')[0]}: it is fetched again", 0, 0)
        folder = bundle.cache / download.key
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with FileLock(folder / ".lock"):
                if bundle.problem(role, thorough):  # or another process has been quicker
                    _provide(bundle, download, folder, progress, endpoint)
        except OSError as error:
            raise _disk_error(error, download) from error
        if problem := bundle.problem(role, thorough):
            raise problem


def _provide(
    bundle: Bundle, download: Download, folder: Path, progress: Report, endpoint: str | None
) -> None:
    """Fetch a file, convert it if it is a public checkpoint, and describe what it gave."""
    source = _put_there_by_hand(bundle, download, progress)
    source = source or fetch(download, folder, progress, endpoint)
    files = {download.name: source}
    if download.layout:
        from tmsa_core.weights.convert import convert

        progress(f"Converting {download.name}", 0, 0)
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


def _put_there_by_hand(bundle: Bundle, download: Download, progress: Report) -> Path | None:
    """The download as somebody without a network may have put it into the bundle's folder."""
    path = bundle.folder / download.name
    if not path.is_file():
        return None
    wrong = difference(path, download)
    if wrong:
        progress(f"{path} is not the file it should be ({wrong}) and is not used", 0, 0)
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
