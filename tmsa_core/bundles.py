"""Bundles: the weights files of a domain, where they are, and whether they are the right ones.

A bundle is a folder with a ``bundle.json`` that names each file, its kind, size, SHA-256, origin
and licence. A file is looked for in the folder, then in the cache of files that this machine made
or downloaded.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from filelock import FileLock
from torch import nn

from tmsa_core.domains import MAPPER
from tmsa_core.errors import BundleError, DamagedFileError, DownloadError, listed, quoted, shortened
from tmsa_core.files import DISK_FULL, checked_path
from tmsa_core.progress import Progress, no_progress
from tmsa_core.weights.download import Download, difference, fetch, sha256
from tmsa_core.weights.manifest import (
    MANIFEST,
    BundleFile,
    read_entries,
    read_manifest,
    register_file,
)
from tmsa_core.weights.network_files import load_network, read_metadata

OWN_WEIGHTS = "TMSA_OWN_WEIGHTS"  # environment variable: use files that are not published
TRAINED_BY = "trained here: "  # prefix of a manifest's source, before the command of the training


def cache_folder() -> Path:
    """Return the folder of downloads and trained weights: $TMSA_CACHE, or ``~/.cache/tmsa``."""
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tmsa"
    return Path(os.environ.get("TMSA_CACHE") or default)


def checkpoints_folder() -> Path:
    """Return the folder of bundles: $TMSA_CHECKPOINTS, or in the package, or next to it."""
    package = Path(__file__).parent
    places = (package / "checkpoints", package.parent / "checkpoints")
    default = next((place for place in places if place.is_dir()), places[-1])
    return Path(os.environ.get("TMSA_CHECKPOINTS") or default)


@dataclass(frozen=True)
class Bundle:
    """The weights files of a domain.

    Attributes:
        folder: The bundle's folder.
        domain: Key of the domain.
        files: Role, such as "generator" -> its file.
        downloads: Name -> a download that files come from.
        notice: What users must know about the licences of the weights.
        cache: The folder of what this machine made or downloaded, for all domains.
        accepts_own: Whether files in ``folder`` are used that are not the published ones.
        damaged: Roles that count as missing, because their files are damaged.
        mapper_name: Name of a mapping network that was chosen in place of the bundle's own, as
            recipes state it; "" for the bundle's own.
    """

    folder: Path
    domain: str
    files: Mapping[str, BundleFile]
    downloads: Mapping[str, Download]
    notice: str
    cache: Path
    accepts_own: bool
    damaged: frozenset[str] = frozenset()
    mapper_name: str = ""

    def path(self, role: str) -> Path:
        """Return the file of a role; BundleError if it is missing or has a wrong size."""
        return self._located(role)[0]

    def load(self, role: str, device: str = "cpu", dtype: torch.dtype = torch.float32) -> nn.Module:
        """Load the network of a role, frozen and in evaluation mode, as ``load_network`` does.

        Raises:
            BundleError: If its file is missing or damaged, or holds a network of another size.
        """
        path, wanted = self.checked_path(role), self.files[role].architecture
        found = read_metadata(path)["architecture"] if wanted else {}
        for name, number in wanted.items():
            if found.get(name) != number:
                raise BundleError(
                    f"{path.name} does not fit the {self.domain} bundle: its {name} is "
                    f"{quoted(found.get(name))} instead of {number}."
                )
        return load_network(self.files[role].kind, path, device, dtype)

    def seconds(self, role: str) -> float | None:
        """Return how long a role's training took, if known; BundleError if its file is missing."""
        return self._located(role)[1].seconds

    def has(self, role: str) -> bool:
        """Whether the file of a role exists and has the right size."""
        known = role in self.files and role not in self.damaged
        return known and self.problem(role) is None

    def problem(self, role: str, thorough: bool = False) -> BundleError | None:
        """Return why a role's file cannot be used, or None; ``thorough`` compares its SHA-256."""
        find = self.checked_path if thorough else self.path
        try:
            find(role)
        except BundleError as error:
            return error
        return None

    def checked_path(self, role: str) -> Path:
        """Return the file of a role as ``path`` does, after comparing its SHA-256."""
        path, entry = self._located(role)
        if entry.sha256 and sha256(path) != entry.sha256:
            raise DamagedFileError(
                f"{path.name} is damaged, its SHA-256 is not that of the {role}: "
                f"{self._remedy(role)}."
            )
        return path

    def without_damaged(self, roles: Collection[str]) -> tuple[Bundle, tuple[str, ...]]:
        """Treat damaged files of optional roles as missing.

        Args:
            roles: The optional roles.

        Returns:
            The bundle without them, and a sentence per damaged file.
        """
        problems = {role: self.problem(role, thorough=True) for role in roles if role in self.files}
        damaged = {r: str(p) for r, p in problems.items() if isinstance(p, DamagedFileError)}
        return replace(self, damaged=frozenset(damaged)), tuple(damaged.values())

    def with_mapper(self, path: Path, name: str) -> Bundle:
        """Use another mapping network than the bundle's own.

        Args:
            path: Its file.
            name: How recipes state it, such as "user/name@commit".
        """
        path = path.resolve()
        entry = BundleFile(
            "mapper",
            str(path),
            path.stat().st_size,
            sha256(path),
            source=name,
            licence="of whoever published it",
            howto="choose it again, because its file has changed",
        )
        return replace(self, files={**self.files, MAPPER: entry}, mapper_name=name)

    def _located(self, role: str) -> tuple[Path, BundleFile]:
        """The file of a role and its entry; a BundleError says how to get it."""
        if role not in self.files:
            raise BundleError(
                f"The {self.domain} bundle has no {shortened(role)}; it has "
                f"{listed(sorted(self.files))}."
            )
        entry = self.files[role]
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
        """Return why a role's file in the folder is not used; empty if no file is left out.

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
        """The committed file, or one that a user put into the folder, or one in the cache."""
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
        """How to get the file of a role, as part of a sentence."""
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
        """Return twelve digits that identify the weights of all roles, or of some.

        Roles whose files are missing do not count.
        """
        named = self.files if roles is None else self.files.keys() & roles
        located = (self._located(role)[1] for role in sorted(named) if self.has(role))
        joined = "".join(entry.sha256 or "" for entry in located)
        return hashlib.sha256(joined.encode()).hexdigest()[:12]


def _matches_download(path: Path, download: Download | None) -> bool:
    """Whether a file without a manifest is the download, or was converted from it."""
    if download is None or download.sha256 is None:
        return True
    if path.name == download.name:
        return not difference(path, download)
    try:
        return read_metadata(path)["origin"].get("sha256") == download.sha256
    except (BundleError, AttributeError):  # AttributeError: the origin is not an object
        return False


def open_bundle(domain: str, folder: str | Path | None = None) -> Bundle:
    """Read a domain's manifest.

    The environment variables TMSA_CHECKPOINTS, TMSA_CACHE and TMSA_OWN_WEIGHTS are read here.

    Args:
        domain: Key of the domain.
        folder: The bundle's folder; None looks for the domain in ``checkpoints_folder``.

    Returns:
        The bundle.

    Raises:
        BundleError: If there is no manifest or it cannot be read.
    """
    folder = checked_path(checkpoints_folder() / domain if folder is None else folder)
    path = folder / MANIFEST
    if not path.is_file():
        raise BundleError(
            f"No bundle for {quoted(domain)} in the folder {shortened(folder.name)}, which lacks "
            f"its {MANIFEST}: check the repository out again, or set TMSA_CHECKPOINTS."
        )
    manifest = read_manifest(path)
    return Bundle(
        folder,
        manifest.domain,
        manifest.files,
        manifest.downloads,
        manifest.notice,
        cache=cache_folder(),
        accepts_own=os.environ.get(OWN_WEIGHTS, "") not in ("", "0"),
    )


def missing_downloads(bundle: Bundle, roles: Collection[str]) -> tuple[Download, ...]:
    """Return the downloads that the missing files of some roles come from."""
    lacking = [bundle.files[r] for r in roles if r in bundle.files and not bundle.has(r)]
    names = dict.fromkeys(entry.download for entry in lacking if entry.download)
    return tuple(bundle.downloads[name] for name in names)


def complete(
    bundle: Bundle,
    roles: Collection[str],
    progress: Progress = no_progress,
    thorough: bool = False,
    endpoint: str | None = None,
) -> None:
    """Download and convert the missing or damaged files of some roles.

    Args:
        bundle: The bundle.
        roles: Roles whose files must exist afterwards.
        progress: Receives the bytes, and a message about each wrong file.
        thorough: Compare the SHA-256 too, not only the size.
        endpoint: The Hub's address; None uses huggingface_hub's own setting.

    Raises:
        BundleError: If a file cannot be provided.
    """
    for role in roles:
        if note := bundle.set_aside(role):
            progress(0, 0, note)
        problem = bundle.problem(role, thorough)
        if problem is None:
            continue
        entry = bundle.files.get(role)
        download = bundle.downloads.get(entry.download) if entry else None
        if download is None:
            raise problem
        if isinstance(problem, DamagedFileError):
            progress(0, 0, f"{str(problem).partition(': ')[0]}: it is fetched again")
        folder = bundle.cache / download.key
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with FileLock(folder / ".lock"):
                if bundle.problem(role, thorough):  # another process may have been quicker
                    _provide(bundle, download, folder, progress, endpoint)
        except OSError as error:
            raise _disk_error(error, download) from error
        if problem := bundle.problem(role, thorough):
            raise problem


def _provide(
    bundle: Bundle, download: Download, folder: Path, progress: Progress, endpoint: str | None
) -> None:
    """Fetch a file, convert it if it is a public checkpoint, and register the results."""
    source = bundle.folder / download.name  # a user without a network may have put it there
    wrong = difference(source, download) if source.is_file() else ""
    if wrong:
        progress(0, 0, f"{source} is a wrong file ({wrong}) and is not used")
    if wrong or not source.is_file():
        source = fetch(download, folder, progress, endpoint)
    files = {download.name: source}
    if download.layout:
        from tmsa_core.weights.convert import convert

        progress(0, 0, f"Converting {download.name}")
        files = {path.name: path for path in convert(download.layout, source, folder, progress)}
    if not read_entries(folder):  # a damaged manifest cannot be added to
        (folder / MANIFEST).unlink(missing_ok=True)
    for role, entry in bundle.files.items():
        if entry.download == download.name and entry.file in files:
            path = files[entry.file]
            name = path.name if path.parent == folder else str(path)
            origin = f"{download.name}, {entry.source}"
            register_file(folder, bundle.domain, role, entry.kind, name, origin, download.licence)
    if download.layout and source.parent == folder:
        source.unlink()  # up to 1.2 GB, not needed after the conversion


def _disk_error(error: OSError, download: Download) -> DownloadError:
    if error.errno in DISK_FULL:
        return DownloadError(
            f"The disk is full: {download.name} does not fit into TMSA's cache; make room, or set "
            "TMSA_CACHE to a folder on another disk, and try again: the received part is kept."
        )
    return DownloadError(
        f"TMSA's cache cannot be written ({error.strerror or type(error).__name__}): set "
        "TMSA_CACHE to a writable folder."
    )
