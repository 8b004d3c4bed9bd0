"""Mapping networks on the Hub, by the name of their repository.

A branch may move, so the Hub is asked for the commit, size and SHA-256 of the file, and exactly
that file is fetched. The answer is kept: without a network the same file is used again.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from tmsa_core.errors import BundleError, DownloadError, shortened
from tmsa_core.files import write_whole
from tmsa_core.progress import Progress
from tmsa_core.weights.download import (
    TIMEOUT,
    Download,
    Place,
    failure_words,
    fetch,
    network_errors,
)

MAPPER_FILE = "mapper.safetensors"  # in the repository, and in folders
LARGEST = 1 << 30  # bytes; mappers of 18 levels have 15 to 200 MB
_NAME = re.compile(r"([\w.-]+/[\w.-]+)(?:@([\w./-]+))?")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class HubMapper:
    """A mapper's place on the Hub.

    Attributes:
        repository: "user/name".
        revision: A branch, a tag or a commit.
    """

    repository: str
    revision: str = "main"


def parse_name(name: str) -> HubMapper | None:
    """Read "USER/NAME" or "USER/NAME@REVISION"; None for any other text."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    match = _NAME.fullmatch(name)
    if match is None:
        return None
    try:
        validate_repo_id(match[1])
    except HFValidationError:
        return None
    return HubMapper(match[1], match[2] or "main")


def fetch_mapper(
    place: HubMapper, cache: Path, progress: Progress, endpoint: str | None = None
) -> tuple[Path, str]:
    """Fetch a published mapper, or find the one that was fetched before.

    Args:
        place: Where it is on the Hub.
        cache: The folder of what this machine downloaded.
        progress: Receives the bytes.
        endpoint: The Hub's address; None uses huggingface_hub's own setting.

    Returns:
        The file and its name with the commit, "user/name@commit".

    Raises:
        BundleError: The repository is private or gone, lacks the file, or cannot be reached.
    """
    folder = cache / "mappers"
    note = folder / f"{place.repository}@{place.revision}".replace("/", "--")
    known = _read_note(note, place)
    if known is None or not _COMMIT.fullmatch(place.revision):
        try:
            known = _ask_hub(place, endpoint)
        except _UnreachableError as error:
            if known is None:
                raise DownloadError(
                    f"The mapper {shortened(place.repository)} could not be fetched ({error}): try "
                    "again later, or give a folder or a file on this machine."
                ) from error
            progress(0, 0, f"{place.repository} could not be asked for ({error}): the one from "
                     "its last download is used")  # fmt: skip
    commit = known.places[0].revision
    own = folder / known.key
    try:
        own.mkdir(parents=True, exist_ok=True)
        with FileLock(own / ".lock"):
            path = fetch(known, own, progress, endpoint)
        _write_note(note, known)
    except OSError as error:
        raise DownloadError(
            f"TMSA's cache cannot be written ({error.strerror or type(error).__name__}): set "
            "TMSA_CACHE to a writable folder."
        ) from error
    return path, f"{place.repository}@{commit[:12]}"


class _UnreachableError(Exception):
    """The Hub gave no answer; the message is the reason."""


def _ask_hub(place: HubMapper, endpoint: str | None) -> Download:
    """The commit, size and SHA-256 of the file now."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    name = shortened(place.repository)
    url = hf_hub_url(place.repository, MAPPER_FILE, revision=place.revision, endpoint=endpoint)
    try:
        stated = get_hf_file_metadata(url, timeout=TIMEOUT, endpoint=endpoint)
    except OfflineModeIsEnabled as error:
        raise _UnreachableError("HF_HUB_OFFLINE forbids downloads") from error
    except (RepositoryNotFoundError, GatedRepoError) as error:
        raise BundleError(
            f"The Hub shows no repository {name}, which is private, gone or misspelt: check the "
            "name, or log in with `hf auth login`."
        ) from error
    except RevisionNotFoundError as error:
        raise BundleError(
            f"{name} has no revision {shortened(place.revision)}: leave out what follows @."
        ) from error
    except EntryNotFoundError as error:
        raise BundleError(
            f"{name} holds no {MAPPER_FILE}: name a repository that `tmsa publish` has filled."
        ) from error
    except network_errors() as error:
        raise _UnreachableError(failure_words(error)) from error
    return _checked(name, stated.etag, stated.commit_hash, stated.size, place.repository)


def _checked(
    name: str, etag: str | None, commit: str | None, size: int | None, repository: str
) -> Download:
    if not _SHA256.fullmatch(etag or "") or not _COMMIT.fullmatch(commit or ""):
        raise BundleError(
            f"The Hub states no SHA-256 of {name}'s {MAPPER_FILE}: publish it again with "
            "`tmsa publish`."
        )
    if not size or size > LARGEST:
        raise BundleError(
            f"{name}'s {MAPPER_FILE} has {size or 0:,} bytes, which no mapper has: name another "
            "repository."
        )
    places = (Place(repository, MAPPER_FILE, commit or ""),)
    return Download(MAPPER_FILE, size, etag, places, licence="")


def _write_note(note: Path, known: Download) -> None:
    content = {"commit": known.places[0].revision, "sha256": known.sha256, "bytes": known.bytes}
    write_whole(note, json.dumps(content).encode(), DownloadError)


def _read_note(note: Path, place: HubMapper) -> Download | None:
    """What the Hub last said of a place; None if nothing is known."""
    try:
        raw = json.loads(note.read_text())
        places = (Place(place.repository, MAPPER_FILE, str(raw["commit"])),)
        return Download(MAPPER_FILE, int(raw["bytes"]), str(raw["sha256"]), places, licence="")
    except (OSError, ValueError, TypeError, LookupError):
        return None
