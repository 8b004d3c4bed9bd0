"""Use a mapping network by name: a repository on the Hub, a folder, or a file.

A mapper fits one generator and one CLIP only: with others it moves images anywhere. Its file names
both by the SHA-256 of their tensors, and its domain.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tmsa_core.bundles import Bundle
from tmsa_core.domains import MAPPER
from tmsa_core.errors import BundleError, quoted, shortened
from tmsa_core.files import checked_path
from tmsa_core.progress import Progress, no_progress
from tmsa_core.weights.download import sha256
from tmsa_core.weights.hub_mapper import MAPPER_FILE, fetch_mapper, parse_name
from tmsa_core.weights.network_files import read_metadata, tensors_digest

BELONGS_TO = ("generator", "clip")  # roles whose networks a mapper connects
DOMAIN = "domain"


@dataclass(frozen=True)
class NamedMapper:
    """A mapper that was chosen by name, on this machine.

    Attributes:
        path: Its file.
        name: How recipes state it, "user/name@commit" or "file@SHA-256"; it tells no folder.
        architecture: Arguments of its constructor.
        made_for: The domain's key, and the hash of each network that it belongs to; None where it
            is the bundle's own mapper.
    """

    path: Path
    name: str
    architecture: Mapping[str, Any]
    made_for: Mapping[str, str] | None


def mapper_origin(bundle: Bundle) -> dict[str, str]:
    """What a mapper's file says about the bundle that it belongs to: domain and two hashes."""
    digests = {role: tensors_digest(bundle.path(role)) for role in BELONGS_TO}
    return {DOMAIN: bundle.domain, **digests}


def find_mapper(
    name: str | Path, bundle: Bundle, progress: Progress = no_progress, endpoint: str | None = None
) -> NamedMapper:
    """Fetch or find a mapper, and check what its file says; needs no other weights.

    Args:
        name: "USER/NAME" or "USER/NAME@REVISION" on the Hub, a folder with a
            ``mapper.safetensors``, or a file.
        bundle: The bundle that is to use it.
        progress: Receives the bytes of a download.
        endpoint: The Hub's address; None uses huggingface_hub's own setting.

    Raises:
        BundleError: There is no such mapper, it cannot be fetched, is damaged, or belongs to
            another domain.
    """
    path, label = _locate(name, bundle, progress, endpoint)
    metadata = read_metadata(path)
    if metadata["kind"] != MAPPER:
        raise BundleError(
            f"{shortened(label)} holds a {shortened(metadata['kind'])} network and not a mapping "
            "network: name one that `tmsa publish` or `tmsa train` has written."
        )
    architecture, origin = metadata["architecture"], metadata["origin"]
    stated = origin if isinstance(origin, Mapping) else {}
    made_for = {key: str(stated[key]) for key in (DOMAIN, *BELONGS_TO) if key in stated}
    if len(made_for) <= len(BELONGS_TO):
        if not _is_own(path, bundle):
            raise BundleError(
                f"{shortened(label)} does not say which domain, generator and CLIP it belongs to: "
                "publish it again with `tmsa publish`, on the machine that trained it."
            )
        return NamedMapper(path, label, architecture, None)
    if made_for[DOMAIN] != bundle.domain:
        raise BundleError(
            f"The mapper {shortened(label)} belongs to the domain {quoted(made_for[DOMAIN])} and "
            f"not to {quoted(bundle.domain)}: use it there, or name another mapper."
        )
    return NamedMapper(path, label, architecture, made_for)


def use_mapper(bundle: Bundle, mapper: NamedMapper) -> Bundle:
    """Compare a mapper with a bundle's generator and CLIP, by shapes and by hash.

    Args:
        bundle: Its generator and CLIP are on this machine.
        mapper: What ``find_mapper`` returned.

    Returns:
        The bundle with this mapper in place of its own.

    Raises:
        BundleError: The mapper was made for other networks.
    """
    _check_shapes(bundle, mapper)
    wanted = mapper_origin(bundle)
    other = [key for key in BELONGS_TO if mapper.made_for and mapper.made_for[key] != wanted[key]]
    if mapper.made_for and other:
        hashes = " and ".join(
            f"{key} {shortened(mapper.made_for[key])[:12]} instead of {wanted[key][:12]}"
            for key in other
        )
        raise BundleError(
            f"The mapper {shortened(mapper.name)} was made for other networks than those of "
            f"{bundle.domain} here ({hashes}): name one that was made for these, or train one with "
            f"`tmsa train {bundle.domain} --quick`."
        )
    return bundle.with_mapper(mapper.path, mapper.name)


def _locate(
    name: str | Path, bundle: Bundle, progress: Progress, endpoint: str | None
) -> tuple[Path, str]:
    """The file of a mapper and how recipes name it."""
    path = checked_path(name, BundleError)
    if path.is_dir():
        path = path / MAPPER_FILE
        if not path.is_file():
            raise BundleError(
                f"The folder {shortened(path.parent)} holds no {MAPPER_FILE}: name a folder that "
                "`tmsa publish --folder` has written."
            )
    if path.is_file():
        return path, f"{path.name}@{sha256(path)[:12]}"
    place = parse_name(str(name)) if isinstance(name, str) else None
    if place is None:
        raise BundleError(
            f"There is no mapper {quoted(str(name))}: give USER/NAME on the Hub, a folder with a "
            f"{MAPPER_FILE}, or such a file."
        )
    return fetch_mapper(place, bundle.cache, progress, endpoint)


def _is_own(path: Path, bundle: Bundle) -> bool:
    """Whether a file, of before mappers named their networks, is the bundle's own mapper."""
    return bundle.has(MAPPER) and sha256(path) == sha256(bundle.path(MAPPER))


def _check_shapes(bundle: Bundle, mapper: NamedMapper) -> None:
    generator = read_metadata(bundle.path("generator"))["architecture"]
    resolution = int(generator["resolution"])
    wanted = {
        "levels": 2 * resolution.bit_length() - 4,  # 2 log2(R) - 2
        "w_dim": generator.get("w_dim", 512),
    }
    for name, number in wanted.items():
        found = mapper.architecture.get(name, 512)
        if found != number:
            raise BundleError(
                f"The mapper {shortened(mapper.name)} has {quoted(found)} as {name}, and the "
                f"generator of {bundle.domain} here {number}: name another mapper."
            )
