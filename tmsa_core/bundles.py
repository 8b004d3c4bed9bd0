"""Weights: the only module that opens weight files.

A bundle is a folder with a ``bundle.json`` that names each file, its kind, size, SHA-256, origin
and licence. A weights file is safetensors whose metadata holds the kind and the architecture, so
that every file describes itself. Loading is strict.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from tmsa_core.download import Download, Place, difference, sha256
from tmsa_core.errors import BundleError, DamagedFileError

MANIFEST = "bundle.json"
FORMAT = 1
SIDE_TENSORS = ("latent_avg",)  # belong to a network's use, not to its public state dict
PUBLIC_CLIPS = {"clip_vit_b_32": "ViT-B-32-quickgelu"}  # kinds that open_clip builds and reads
MAPPED = ("stylegan2", "e4e", "hfgi", "arcface")  # kinds whose every tensor comes from the file


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


def _stylegan2(**architecture: Any) -> nn.Module:
    from tmsa_core.networks.stylegan2 import Generator

    return Generator(**architecture)


def _e4e(**architecture: Any) -> nn.Module:
    from tmsa_core.networks.e4e import Encoder

    return Encoder(**architecture)


def _hfgi(**architecture: Any) -> nn.Module:
    from tmsa_core.networks.hfgi import HFGI

    return HFGI(**architecture)


def _arcface(**architecture: Any) -> nn.Module:
    from tmsa_core.networks.identity import IdentityNet

    return IdentityNet(**architecture)


def _mapper(**architecture: Any) -> nn.Module:
    from tmsa_core.networks.tmsa import Mapper

    return Mapper(**architecture)


def _clip(**architecture: Any) -> nn.Module:
    from tmsa_core.networks.clip import compact_clip

    return compact_clip(**architecture)


def _styleclip_mapper(**architecture: Any) -> nn.Module:
    from tmsa_core.networks.styleclip import LevelsMapper

    return LevelsMapper(**architecture)


def _attributes(**architecture: Any) -> nn.Module:
    from tmsa_core.networks.attributes import AttributeNet

    return AttributeNet(**architecture)


BUILDERS: dict[str, Callable[..., nn.Module]] = {
    "stylegan2": _stylegan2,
    "e4e": _e4e,
    "hfgi": _hfgi,
    "arcface": _arcface,
    "mapper": _mapper,
    "clip": _clip,
    "attributes": _attributes,
    "styleclip_mapper": _styleclip_mapper,
}


def _public_clip(kind: str, path: Path) -> nn.Module:
    """A CLIP in the file that open_clip itself downloads."""
    from tmsa_core.networks.clip import public_clip

    _open(path)  # says what is wrong with a missing or damaged file
    return public_clip(PUBLIC_CLIPS[kind], path).requires_grad_(False).eval()


def build_network(kind: str, architecture: Mapping[str, Any]) -> nn.Module:
    """An untrained network of a kind; a BundleError lists the kinds there are."""
    if kind not in BUILDERS:
        raise BundleError(f"There is no network kind {kind!r}; use one of {', '.join(BUILDERS)}.")
    return BUILDERS[kind](**architecture)


def save_network(
    kind: str,
    module: nn.Module,
    path: Path,
    architecture: Mapping[str, Any],
    origin: Mapping[str, Any],
    dtype: torch.dtype = torch.float16,
) -> None:
    """Write a network as safetensors, floats as ``dtype``, with all that loading it needs.

    architecture: the constructor's arguments. origin: how the weights were made, for the reader.
    """
    tensors = dict(module.state_dict())
    for name in SIDE_TENSORS:
        if name not in tensors and isinstance(getattr(module, name, None), Tensor):
            tensors[name] = getattr(module, name)
    save_tensors(kind, tensors, path, origin, architecture, dtype)


def save_tensors(
    kind: str,
    tensors: Mapping[str, Tensor],
    path: Path,
    origin: Mapping[str, Any],
    architecture: Mapping[str, Any] | None = None,
    dtype: torch.dtype = torch.float16,
) -> None:
    """Write named tensors as safetensors, floats as ``dtype``, with what they are and whence.

    The file is written aside and moved into place.
    """
    tensors = {
        k: (v.to(dtype) if v.is_floating_point() else v).contiguous().cpu().clone()
        for k, v in tensors.items()
    }
    metadata = {
        "kind": kind,
        "architecture": json.dumps(architecture or {}),
        "origin": json.dumps(origin),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_suffix(".half")
    save_file(tensors, half, metadata)
    half.chmod(0o644)  # the library writes for its owner alone
    os.replace(half, path)


def read_metadata(path: Path) -> dict[str, Any]:
    """Kind, architecture and origin of a weights file."""
    with _open(path) as file:
        raw = file.metadata() or {}
    missing = {"kind", "architecture"} - raw.keys()
    if missing:
        raise BundleError(
            f"{path.name} does not say its {' and '.join(sorted(missing))}: "
            "make the file with `tmsa convert` or `tmsa train`."
        )
    return {
        "kind": raw["kind"],
        "architecture": json.loads(raw["architecture"]),
        "origin": json.loads(raw.get("origin", "{}")),
    }


def load_network(
    kind: str, path: str | Path, device: str = "cpu", dtype: torch.dtype = torch.float32
) -> nn.Module:
    """A network in evaluation mode from a file that ``save_network`` or ``convert`` wrote.

    Weights that need no conversion stay memory-mapped: they are read when they are used, and
    several processes share them. Raises BundleError if the file is missing, damaged, of another
    kind, or does not fit its architecture key by key.
    """
    path = Path(path)
    if kind in PUBLIC_CLIPS:
        return _public_clip(kind, path).to(device=device, dtype=dtype)
    metadata = read_metadata(path)
    if metadata["kind"] != kind:
        raise BundleError(f"{path.name} holds a {metadata['kind']} network, not {kind}.")
    with torch.device("meta" if kind in MAPPED else "cpu"):
        network = build_network(kind, metadata["architecture"])
    with _open(path) as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    own = network.state_dict()
    for name in SIDE_TENSORS:
        side = getattr(network, name, None)
        if isinstance(side, Tensor) and name not in own:
            setattr(network, name, tensors.pop(name, torch.zeros(side.shape)).float())
    _check_fit(path, own, tensors)
    network.load_state_dict(tensors, strict=True, assign=kind in MAPPED)
    network.requires_grad_(False)
    return network.eval().to(device=device, dtype=dtype)


def load_tensors(kind: str, path: Path, device: str = "cpu") -> dict[str, Tensor]:
    """Named tensors that ``save_tensors`` wrote, floats as float32; a BundleError as above."""
    if (found := read_metadata(path)["kind"]) != kind:
        raise BundleError(f"{path.name} holds {found}, not {kind}.")
    with _open(path) as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    return {k: (v.float() if v.is_floating_point() else v).to(device) for k, v in tensors.items()}


def _open(path: Path) -> Any:
    if not path.is_file():
        raise BundleError(f"The weights file {path} is missing: get it or train it again.")
    try:
        return safe_open(path, framework="pt")
    except (SafetensorError, OSError) as error:
        raise BundleError(
            f"{path.name} is damaged or no safetensors file ({error}): get it again."
        ) from error


def key_differences(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> str:
    """How one state dict differs from another by keys and shapes; empty if it does not."""
    shaped = [
        f"{k} {tuple(v.shape)} instead of {tuple(expected[k].shape)}"
        for k, v in found.items()
        if k in expected and v.shape != expected[k].shape
    ]
    groups = {
        "missing": [k for k in expected if k not in found],
        "unexpected": [k for k in found if k not in expected],
        "of another shape": shaped,
    }
    return "; ".join(f"{len(keys)} {what}: {few(keys)}" for what, keys in groups.items() if keys)


def few(keys: Sequence[str], count: int = 4) -> str:
    """The first names of a list, for a message."""
    return ", ".join([*keys[:count], *(["..."] if len(keys) > count else [])])


def _check_fit(path: Path, expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> None:
    differences = key_differences(expected, found)
    if differences:
        raise BundleError(f"{path.name} does not fit its architecture: {differences}.")


@dataclass(frozen=True)
class BundleFile:
    """One file of a bundle, as ``bundle.json`` has it.

    file: its name in the bundle's folder. bytes and sha256 are those of a committed file and None
    for one that comes into being on this machine: converted from ``download``, trained, or
    supplied by the user as ``howto`` says. optional: whether editing does without it.
    architecture: numbers that the network must have, such as its resolution.
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


@dataclass(frozen=True)
class Bundle:
    """A domain's files: in its folder, or in the cache of what this machine made or downloaded.

    notice: what a visitor has to know about the weights' licences.
    """

    folder: Path
    domain: str
    files: Mapping[str, BundleFile]
    downloads: Mapping[str, Download] = field(default_factory=dict)
    notice: str = ""
    cache: Path = field(default_factory=cache_folder)

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
                    f"{path} does not fit the {self.domain} bundle: its {name} is "
                    f"{found.get(name)} instead of {number}."
                )
        return load_network(self.files_kind(role), path, device, dtype)

    def files_kind(self, role: str) -> str:
        """The network kind of a role."""
        return self._entry(role).kind

    def has(self, role: str) -> bool:
        """Whether the bundle has a role and its file is here, by name and size."""
        return role in self.files and self.problem(role) is None

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
                f"{path} is damaged, its SHA-256 is not that of the {role}: {self._remedy(role)}."
            )
        return path

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
                f"The {self.domain} bundle has no {role}; it has {', '.join(sorted(self.files))}."
            )
        return self.files[role]

    def _located(self, role: str) -> tuple[Path, BundleFile]:
        """The file of a role and what is known of it; a BundleError says how to get it."""
        entry = self._entry(role)
        found = self._find(role, entry)
        if found is None:
            raise BundleError(f"The {self.domain} bundle has no {role} yet: {self._remedy(role)}.")
        path, entry = found
        if not path.is_file():
            raise BundleError(f"{path} is missing ({entry.source}): {self._remedy(role)}.")
        if entry.bytes is not None and path.stat().st_size != entry.bytes:
            raise DamagedFileError(
                f"{path} is damaged, it has {path.stat().st_size} bytes instead of {entry.bytes}: "
                f"{self._remedy(role)}."
            )
        return path, entry

    def _find(self, role: str, entry: BundleFile) -> tuple[Path, BundleFile] | None:
        """The committed file, one put into the folder by hand, or one in the cache."""
        if entry.sha256:
            return self.folder / entry.file, entry
        download = self.downloads.get(entry.download)
        own = self.cache / self.domain
        for folder in (self.folder, own):
            path = folder / entry.file
            if path.is_file() and _is_what_it_should_be(path, download):
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
        command = f"python -m tmsa_core train {self.domain} {role}"
        return f"run `{command}`, or check the repository out again"

    def fingerprint(self, roles: Collection[str] | None = None) -> str:
        """Twelve digits that name this set of weights, or of some roles' weights.

        Roles that the bundle lacks do not count.
        """
        named = self.files if roles is None else self.files.keys() & roles
        located = (self._located(role)[1] for role in sorted(named) if self.has(role))
        joined = "".join(entry.sha256 or "" for entry in located)
        return hashlib.sha256(joined.encode()).hexdigest()[:12]


def _is_what_it_should_be(path: Path, download: Download | None) -> bool:
    """Whether a file that no manifest describes is the download, or was converted from it."""
    if download is None or download.sha256 is None:
        return True
    if path.name == download.name:
        return not difference(path, download)
    try:
        return read_metadata(path)["origin"].get("sha256") == download.sha256
    except BundleError:
        return False


def open_bundle(domain: str, folder: Path | None = None) -> Bundle:
    """Read a domain's manifest; BundleError if there is none or it cannot be read."""
    folder = folder or checkpoints_folder() / domain
    path = folder / MANIFEST
    if not path.is_file():
        raise BundleError(
            f"No bundle for {domain!r} in {folder}: download or train it first "
            f"(`python -m tmsa_core train {domain} all`)."
        )
    raw = _read_manifest(path)
    try:
        files = {role: BundleFile(**entry) for role, entry in raw["files"].items()}
        downloads = {n: _download(n, entry) for n, entry in raw.get("downloads", {}).items()}
        return Bundle(folder, raw["domain"], files, downloads, raw.get("notice", ""))
    except (KeyError, TypeError, AttributeError) as error:
        raise BundleError(f"{path} cannot be read ({error}): fetch the bundle again.") from error


def read_entries(folder: Path) -> dict[str, BundleFile]:
    """The files that a folder of the cache describes; none where it has no manifest."""
    path = folder / MANIFEST
    if not path.is_file():
        return {}
    return {role: BundleFile(**e) for role, e in _read_manifest(path)["files"].items()}


def _download(name: str, entry: Mapping[str, Any]) -> Download:
    places = tuple(Place(**place) for place in entry["places"])
    return Download(**{**entry, "name": name, "places": places})


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise BundleError(f"{path} cannot be read ({error}): fetch the bundle again.") from error


def register_file(
    folder: Path, domain: str, role: str, kind: str, file: str, source: str, licence: str = "MIT"
) -> None:
    """Write or replace one entry of a bundle's manifest from the file on disk."""
    path = folder / MANIFEST
    raw: dict[str, Any] = {"domain": domain, "format": FORMAT, "files": {}}
    if path.exists():
        raw = _read_manifest(path)
    target = folder / file
    entry = BundleFile(kind, file, target.stat().st_size, sha256(target), source, licence)
    raw["files"][role] = {key: value for key, value in asdict(entry).items() if value}
    raw["files"] = dict(sorted(raw["files"].items()))
    half = path.with_suffix(".half")
    half.write_text(json.dumps(raw, indent=2) + "\n")
    os.replace(half, path)
