"""Manifests: the ``bundle.json`` of a folder, which says what each file in it is and must be."""

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
    """One file of a bundle, as ``bundle.json`` has it.

    file: its name in the bundle's folder. bytes and sha256 are those of a committed file and None
    for one that comes into being on this machine: converted from ``download``, trained, or
    supplied by the user as ``howto`` says. optional: whether editing does without it.
    architecture: numbers that the network must have, such as its resolution. seconds: what its
    training took, where that was measured.
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
    """What a ``bundle.json`` says; see ``Bundle`` for its fields."""

    domain: str
    files: Mapping[str, BundleFile]
    downloads: Mapping[str, Download]
    notice: str = ""


def read_manifest(path: Path) -> Manifest:
    """A manifest; a BundleError says why it cannot be read."""
    raw = _read(path)
    try:
        return Manifest(
            raw["domain"],
            {role: BundleFile(**entry) for role, entry in raw["files"].items()},
            {name: _download(name, e) for name, e in raw.get("downloads", {}).items()},
            raw.get("notice", ""),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise _unreadable(path, error) from error


def read_entries(folder: Path) -> Mapping[str, BundleFile]:
    """The files that a folder of the cache describes; none where its manifest is no use.

    What a cache holds can be made again, so a damaged manifest there is as good as none.
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
    """Write or replace one entry of a bundle's manifest from the file on disk.

    architecture: of a network, of which the manifest says the numbers.
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
        return json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> BundleError:
    place = shortened(f"{path.parent.name}/{path.name}")
    return BundleError(f"{place} cannot be read ({shortened(error)}): fetch the bundle again.")


def _download(name: str, entry: Mapping[str, Any]) -> Download:
    places = tuple(Place(**place) for place in entry["places"])
    return Download(**{**entry, "name": name, "places": places})
