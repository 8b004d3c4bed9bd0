"""Set up the domain that the operator started the page for, while drawn portraits are shown.

The weights are downloaded and converted, a mapping network is fetched by its name or made by the
quick alignment, and the domain is loaded. Each step keeps what it has made in TMSA's cache, so a
new start goes on where an earlier one was stopped.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tmsa_core.availability import domain_status, needed_roles
from tmsa_core.bundles import complete, missing_downloads, open_bundle
from tmsa_core.domains import MAPPER, find_domain
from tmsa_core.editing.editor import Editor
from tmsa_core.editing.load import load_editor
from tmsa_core.editing.named_mapper import find_mapper
from tmsa_core.errors import BundleError, DownloadError
from tmsa_core.progress import Progress
from tmsa_core.server.editors import FALLBACK, Editors, first_editor, on_gpu, say
from tmsa_core.server.jobs import Work
from tmsa_core.server.time_left import TimeLeft, time_words

PAUSE = 60.0  # seconds before a broken download is tried again
TRIES = 30
# Guesses for the time left, until a stage has a speed of its own.
BYTES_PER_SECOND = 20e6
UNKNOWN_BYTES = 600e6  # of a download whose size only the Hub knows: CLIP
GPU_SECONDS = 300.0
CPU_SECONDS_PER_MEGAPIXEL = 2.0  # of one of the alignment's images, on two cores
WEIGHTS, ALIGNMENT, LOADING = range(3)  # stages


@dataclass(frozen=True)
class Asked:
    """What the operator started the page for.

    Attributes:
        domain: Key of the domain.
        mapper: Name of its mapping network, "" for the domain's own.
    """

    domain: str
    mapper: str = ""


def start(domain: str, mapper: str = "") -> tuple[Editor, Asked | None]:
    """Load the editor that the page starts with, without waiting for a network.

    Args:
        domain: Key of the domain that the operator asked for.
        mapper: Name of its mapping network, "" for its own.

    Returns:
        The editor, and what is still to be set up in the background; None if nothing is.

    Raises:
        RequestError: There is no such domain.
        BundleError: The drawn portraits cannot be loaded.
    """
    status = domain_status(domain)
    here = not mapper or Path(mapper).exists()
    if here and status.available and (status.can_edit or mapper):
        return first_editor(domain, mapper), None
    if domain == FALLBACK and here:
        return first_editor(domain, mapper), None
    return first_editor(FALLBACK), Asked(domain, mapper)


def setup_work(asked: Asked, editors: Editors) -> Work:
    """Make the job that sets a domain up and then adds its editor to those of the page.

    Args:
        asked: What to set up.
        editors: The page's editors.
    """

    def work(report: Progress) -> None:
        facts, bundle, device = find_domain(asked.domain), open_bundle(asked.domain), editors.device
        roles = needed_roles(facts, bundle)
        sizes = {d.name: d.bytes or UNKNOWN_BYTES for d in missing_downloads(bundle, roles)}
        times = TimeLeft(
            [1 + sum(sizes.values()) / BYTES_PER_SECOND, _alignment_seconds(asked, device), 10.0]
        )

        def tell(stage: int, share: float, message: str) -> None:
            done, left = times.update(stage, min(share, 1.0))
            report(round(1000 * done), 1000, f"{message}, {time_words(left)} left")

        received = dict.fromkeys(sizes, 0.0)

        def show_bytes(done: int, total: int, message: str) -> None:
            name = message.removeprefix("Downloading ")
            if total and name in received:
                received[name] = sizes[name] * done / total
            say(done, total, message)
            tell(WEIGHTS, sum(received.values()) / (sum(sizes.values()) or 1), message)

        if asked.mapper:  # a wrong name is told before gigabytes are fetched
            find_mapper(asked.mapper, bundle, show_bytes)
        _fetch(asked.domain, show_bytes)
        if not asked.mapper and not bundle.has(MAPPER):
            _align(
                asked.domain, device, lambda done, all_, what: tell(ALIGNMENT, done / all_, what)
            )
        tell(LOADING, 0.0, f"Loading {facts.title.lower()}")
        editors.add(load_editor(asked.domain, device, mapper=asked.mapper, on_gpu=on_gpu()))

    return work


def _fetch(domain: str, progress: Progress) -> None:
    """Download and convert what a domain lacks; a network that breaks off is waited for."""
    from huggingface_hub import is_offline_mode

    for attempt in range(1, TRIES + 1):
        try:
            bundle = open_bundle(domain)
            complete(bundle, needed_roles(find_domain(domain), bundle), progress, thorough=True)
            return
        except DownloadError as error:
            if attempt == TRIES or is_offline_mode():
                raise
            progress(0, 0, f"{str(error).rstrip('.')}; it is tried again in a minute")
            time.sleep(PAUSE)


def _align(domain: str, device: str, progress: Progress) -> None:
    from tmsa_core.training.mapper.quick import quick_align

    if on_gpu() is not None:
        raise BundleError(
            "A Space on ZeroGPU gives no minutes of GPU for an alignment, without which texts "
            f"cannot move {find_domain(domain).title.lower()}: set TMSA_MAPPER to the USER/NAME of "
            "a published mapping network."
        )
    print(f"The quick alignment of {domain} has begun.", file=sys.stderr)
    quick_align(domain, device=device, progress=progress)


def _alignment_seconds(asked: Asked, device: str) -> float:
    from tmsa_core.training.mapper.quick import PAIRS

    if asked.mapper:
        return 0.0
    if not device.startswith("cpu"):
        return GPU_SECONDS
    pixels = find_domain(asked.domain).resolution ** 2
    return PAIRS * CPU_SECONDS_PER_MEGAPIXEL * pixels / 1e6
