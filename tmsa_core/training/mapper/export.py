"""Where a trained mapper goes: into its domain's bundle."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryFile

from tmsa_core.bundles import TRAINED_BY, Bundle
from tmsa_core.errors import BundleError
from tmsa_core.networks.tmsa import Mapper
from tmsa_core.weights.manifest import register_file
from tmsa_core.weights.network_files import save_network

FILE = "mapper.safetensors"


def mapper_folder(bundle: Bundle) -> Path:
    """The bundle's own folder where that comes with a mapper, or else the machine's cache."""
    entry = bundle.files.get("mapper")
    return bundle.cache / bundle.domain if entry and not entry.sha256 else bundle.folder


def check_writable(bundle: Bundle) -> None:
    """Raise BundleError where a mapper could not be put, before it is trained."""
    folder = mapper_folder(bundle)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise BundleError(
            f"The mapper would go to {folder}, where nothing can be written ({error.strerror}): "
            "allow it, or choose other places with TMSA_CHECKPOINTS and TMSA_CACHE."
        ) from error


def save_mapper(
    mapper: Mapper, bundle: Bundle, origin: Mapping[str, object], seconds: float
) -> Path:
    """Write a mapper where the bundle finds it, with how it was made; its path.

    seconds: what making it took. They stand in the manifest alone, as the same training makes the
    same file.
    """
    folder = mapper_folder(bundle)
    save_network("mapper", mapper, folder / FILE, mapper.architecture(), origin)
    register_file(
        folder,
        bundle.domain,
        "mapper",
        "mapper",
        FILE,
        f"{TRAINED_BY}{origin['command']}",
        seconds=seconds,
        architecture=mapper.architecture(),
    )
    return folder / FILE
