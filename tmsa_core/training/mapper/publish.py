"""Publication of a mapper on the Hugging Face Hub, with a model card."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from safetensors.torch import load_file

from tmsa_core.bundles import Bundle
from tmsa_core.devices import find_device
from tmsa_core.editing.named_mapper import mapper_origin
from tmsa_core.errors import BundleError, RequestError, quoted
from tmsa_core.files import write_whole
from tmsa_core.training.mapper.measure import measure_mapper
from tmsa_core.training.mapper.model_card import model_card
from tmsa_core.weights.download import network_errors
from tmsa_core.weights.hub_mapper import MAPPER_FILE
from tmsa_core.weights.network_files import read_metadata, save_tensors

CARD = "README.md"


def publish_mapper(
    bundle: Bundle,
    repository: str,
    private: bool = False,
    endpoint: str | None = None,
    token: str | None = None,
) -> str:
    """Upload a bundle's mapper and its model card.

    Args:
        bundle: Its mapper is published.
        repository: Name of the repository on the Hub, "user/name".
        private: Whether only its owner can see it.
        endpoint: Address of the Hub, if not huggingface_hub's own.
        token: Access token, if not huggingface_hub's own.

    Returns:
        The address of the repository.

    Raises:
        BundleError: If the bundle has no mapper.
        RequestError: If the name is invalid or the upload fails.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(repository)
    except HFValidationError as error:
        raise RequestError(
            f"{quoted(repository)} is not the name of a repository: use USER/NAME with "
            "letters, digits, . - _."
        ) from error
    api = HfApi(endpoint=endpoint, token=token)
    with TemporaryDirectory() as folder:
        bundle.path("mapper")  # BundleError before a repository is made for nothing
        with _upload_errors(repository):
            api.create_repo(repository, private=private, exist_ok=True)
        write_publication(bundle, Path(folder), repository)
        message = f"TMSA mapper for {bundle.domain}"
        with _upload_errors(repository):
            done = api.upload_folder(repo_id=repository, folder_path=folder, commit_message=message)
    return str(done.commit_url).partition("/commit/")[0]


@contextmanager
def _upload_errors(repository: str) -> Iterator[None]:
    try:
        yield
    # ValueError: an invalid address or token. RuntimeError: a failed upload of a large file.
    except (*network_errors(), OSError, ValueError, RuntimeError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise RequestError(
            f"The upload to {repository} failed ({reason}): check the network, and log in with "
            "`hf auth login`."
        ) from error


def write_publication(bundle: Bundle, folder: Path, repository: str) -> list[Path]:
    """Write the files of a publication, the mapper and its model card, to ``folder``.

    The mapper is measured for its card, on the best device there is.

    Returns:
        The paths of the files.

    Raises:
        BundleError: If the bundle has no mapper, or one that was made for other networks.
    """
    source, wanted = bundle.path("mapper"), mapper_origin(bundle)
    metadata = read_metadata(source)
    stated = {key: metadata["origin"][key] for key in wanted if key in metadata["origin"]}
    if stated != {key: wanted[key] for key in stated}:
        raise BundleError(
            f"The mapper of {bundle.domain} was made for another generator or CLIP than those on "
            f"this machine: train it again with `tmsa train {bundle.domain}`."
        )
    metadata["origin"] |= wanted
    device = find_device("auto", mps=False)
    card = model_card(bundle, metadata, repository, measure_mapper(bundle, device))
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / MAPPER_FILE
    if len(stated) == len(wanted):
        shutil.copyfile(source, target)
    else:  # made before mappers named their networks
        tensors = load_file(source)
        sizes = metadata["architecture"]
        save_tensors("mapper", tensors, target, metadata["origin"], sizes, dtype=None)
    write_whole(folder / CARD, card.encode())
    return [folder / CARD, target]
