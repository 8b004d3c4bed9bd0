"""Manifests: the ``bundle.json`` of a folder, which describes each file of the bundle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tmsa_core.errors import BundleError, shortened
from tmsa_core.files import write_whole
from tmsa_core.weights.download import Download, Place, sha256

MANIFEST = "bundle.json"
FORMAT = 1


@dataclass(frozen=True)
class BundleFile:
    """One file of a bundle.

    Attributes:
        kind: Kind of network or data in the file.
        file: Name in the bundle's folder.
        bytes: Size of a committed file. None for a file that this machine makes (converted from
            ``download`` or trained) or that the user supplies as ``howto`` says.
        sha256: Hexadecimal SHA-256 of a committed file, otherwise None.
        source: Where the file comes from.
        licence: Name of its licence.
        download: Name of the download that it comes from, if any.
        howto: What a user does to get the file, where no command of ours can.
        optional: Whether editing works without the file.
        architecture: Numbers that the network must have, such as its resolution.
        seconds: How long the training took, if measured.
    """

    kind: str
    file: str
    bytes: int | None = None
    sha256: str | None = None
    source: str = ""
    licence: str = ""
    download: str = ""
    howto: str = ""
    optional: bool = False
    architecture: Mapping[str, Any] = field(default_factory=dict)
    seconds: float | None = None


@dataclass(frozen=True)
class Manifest:
    """The content of a ``bundle.json``; the fields are those of ``Bundle``."""

    domain: str
    files: Mapping[str, BundleFile]
    downloads: Mapping[str, Download]
    notice: str = ""


def read_manifest(path: Path) -> Manifest:
    """Read a manifest.

    Args:
        path: The ``bundle.json``.

    Returns:
        Its content.

    Raises:
        BundleError: If it cannot be read or lacks a field.
    """
    raw = _read(path)
    try:
        downloads = {}
        for name, entry in raw.get("downloads", {}).items():
            places = tuple(Place(**place) for place in entry["places"])
            downloads[name] = Download(**{**entry, "name": name, "places": places})
        files = {role: BundleFile(**entry) for role, entry in raw["files"].items()}
        return Manifest(raw["domain"], files, downloads, raw.get("notice", ""))
    except (KeyError, TypeError, AttributeError) as error:
        raise _unreadable(path, error) from error


def read_entries(folder: Path) -> Mapping[str, BundleFile]:
    """Read role -> file of a cache folder's manifest; empty if it is missing or damaged.

    Everything in a cache can be made again, so a damaged manifest there is treated as missing.
    """
    try:
        return read_manifest(folder / MANIFEST).files
    except BundleError:
        return {}


def register_file(
    folder: Path,
    domain: str,
    role: str,
    kind: str,
    file: str,
    source: str,
    licence: str = "MIT",
    seconds: float | None = None,
    architecture: Mapping[str, Any] | None = None,
) -> None:
    """Write or replace one entry of a folder's manifest from the file on disk.

    Args:
        folder: The folder of the manifest.
        domain: Key of the domain.
        role: The file's role in the bundle.
        kind: Kind of network or data in the file.
        file: Name in the folder.
        source: Where the file comes from.
        licence: Name of its licence.
        seconds: How long the training took, if measured.
        architecture: The network's arguments; the manifest keeps those that are numbers.

    Raises:
        BundleError: If the present manifest cannot be read or the new one cannot be written.
    """
    path = folder / MANIFEST
    raw: dict[str, Any] = {"domain": domain, "format": FORMAT, "files": {}}
    if path.exists():
        raw = _read(path)
    target = folder / file
    entry = BundleFile(
        kind,
        file,
        target.stat().st_size,
        sha256(target),
        source,
        licence,
        architecture={k: v for k, v in (architecture or {}).items() if isinstance(v, int | float)},
        seconds=None if seconds is None else round(seconds, 1),
    )
    raw["files"][role] = {key: value for key, value in asdict(entry).items() if value}
    raw["files"] = dict(sorted(raw["files"].items()))
    write_whole(path, (json.dumps(raw, indent=2) + "\n").encode(), BundleError)


def _read(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise _unreadable(path, error) from error
    return content


def _unreadable(path: Path, error: Exception) -> BundleError:
    place = shortened(f"{path.parent.name}/{path.name}")
    return BundleError(f"{place} cannot be read ({shortened(error)}): fetch the bundle again.")
