"""Export of a trained mapper to its domain's bundle."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryFile

from tmsa_core.bundles import TRAINED_BY, Bundle
from tmsa_core.editing.named_mapper import mapper_origin
from tmsa_core.errors import BundleError
from tmsa_core.networks.tmsa import Mapper
from tmsa_core.weights.hub_mapper import MAPPER_FILE
from tmsa_core.weights.manifest import register_file
from tmsa_core.weights.network_files import save_network


def mapper_folder(bundle: Bundle) -> Path:
    """The folder to write a bundle's mapper to.

    That is the cache, if the manifest names a mapper that is not part of the bundle's own files;
    otherwise the bundle's folder.
    """
    entry = bundle.files.get("mapper")
    return bundle.cache / bundle.domain if entry and not entry.sha256 else bundle.folder


def check_writable(bundle: Bundle) -> None:
    """Check, before a training, that the mapper can be written.

    Raises:
        BundleError: If it cannot.
    """
    folder = mapper_folder(bundle)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise BundleError(
            f"The mapper cannot be written to {folder} ({error.strerror}): change its permissions, "
            "or choose other folders with TMSA_CHECKPOINTS and TMSA_CACHE."
        ) from error


def save_mapper(
    mapper: Mapper, bundle: Bundle, origin: Mapping[str, object], seconds: float
) -> Path:
    """Write a mapper and add it to the bundle's manifest.

    Args:
        mapper: The mapper.
        bundle: Its bundle.
        origin: Its provenance; stored in the file, together with the networks it belongs to.
        seconds: Training time. Stored in the manifest only, so that the same training gives the
            same file.

    Returns:
        The path of the file.
    """
    folder = mapper_folder(bundle)
    origin = {**origin, **mapper_origin(bundle)}
    save_network("mapper", mapper, folder / MAPPER_FILE, mapper.architecture(), origin)
    register_file(
        folder,
        bundle.domain,
        "mapper",
        "mapper",
        MAPPER_FILE,
        f"{TRAINED_BY}{origin['command']}",
        seconds=seconds,
        architecture=mapper.architecture(),
    )
    return folder / MAPPER_FILE
