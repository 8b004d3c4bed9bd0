"""The editors of one process: each domain is loaded once, when it is first used."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any

from tmsa_core.align.aligner import Aligner
from tmsa_core.availability import DomainStatus, align_roles, domain_status
from tmsa_core.bundles import open_bundle
from tmsa_core.domains import DOMAINS, find_domain
from tmsa_core.editing.editor import Editor
from tmsa_core.editing.load import load_aligner, load_editor
from tmsa_core.errors import BundleError

try:
    import spaces  # installed on ZeroGPU Spaces; must come before anything that touches CUDA
except ImportError:
    spaces = None

SECONDS = 10  # of GPU time per call on ZeroGPU: an edit takes one, and short calls wait least

FALLBACK = "avatar"  # its weights come with the repository


class Editors:
    """The editors that all visitors share, one per domain.

    Args:
        first: The editor of the domain that the page starts with.
    """

    def __init__(self, first: Editor) -> None:
        self.first = first
        self._loaded = {first.domain.key: first}
        self._aligners: dict[str, Aligner] = {}
        self._lock = threading.Lock()

    def get(self, domain: str = "") -> Editor:
        """Return the editor of a domain and load it if needed.

        Args:
            domain: Its key; "" for that of the first editor.

        Returns:
            The editor.

        Raises:
            RequestError: There is no such domain.
            BundleError: Files are missing. They are not downloaded here, because every visitor
                would have to wait; ``ui.domain_panel`` offers the download.
        """
        key = domain or self.first.domain.key
        if key in self._loaded:
            return self._loaded[key]
        with self._lock:
            if key not in self._loaded:
                _check_complete(key)
                self._loaded[key] = load_editor(
                    key, device=self.device, progress=say, on_gpu=self.first.models.on_gpu
                )
        return self._loaded[key]

    def aligner(self, domain: str = "") -> Aligner:
        """Return the aligner of a domain, which needs none of the domain's networks.

        Args:
            domain: Its key; "" for that of the first editor.

        Returns:
            The aligner.

        Raises:
            RequestError: There is no such domain.
            BundleError: The files that find faces are missing.
        """
        facts = find_domain(domain or self.first.domain.key)
        key = facts.key
        if key in self._loaded:
            return self._loaded[key].aligner
        with self._lock:
            if key not in self._aligners:
                bundle = open_bundle(key)
                for role in align_roles(facts, bundle):
                    bundle.path(role)  # BundleError for a missing file; nothing is downloaded
                self._aligners[key] = load_aligner(key)
        return self._aligners[key]

    def add(self, editor: Editor) -> None:
        """Use an editor for its domain from now on, in place of an earlier one."""
        with self._lock:
            self._loaded[editor.domain.key] = editor

    def status(self, domain: str) -> DomainStatus:
        """The status of a domain, with the mapping network that was chosen for it.

        Raises:
            RequestError: There is no such domain.
        """
        loaded = self._loaded.get(domain)
        return domain_status(domain, loaded.bundle if loaded else None)

    def statuses(self) -> list[DomainStatus]:
        """The status of every domain."""
        return [self.status(key) for key in DOMAINS]

    @property
    def device(self) -> str:
        """Where the networks of all domains run."""
        return self.first.device

    def forget(self, domain: str) -> None:
        """Load a domain again at its next use, because its files have changed."""
        with self._lock:
            self._loaded.pop(domain, None)
            self._aligners.pop(domain, None)


def say(done: int, total: int, message: str) -> None:
    """Print progress on standard error for the operator, except the bytes of a download.

    Args:
        done: Bytes of a download that have arrived.
        total: Bytes of a download, 0 for any other message.
        message: The message.
    """
    if not total:
        print(message.rstrip(".") + ".", file=sys.stderr)


def _check_complete(domain: str) -> None:
    status = domain_status(domain)
    if not status.available:
        raise BundleError(f"The domain “{status.title}” cannot be used here yet. {status.reason}")


def first_editor(domain: str, mapper: str = "") -> Editor:
    """Load the editor that a page starts with.

    Args:
        domain: The key of its domain.
        mapper: Name of its mapping network, "" for the domain's own.

    Returns:
        The editor. Where the mapping network cannot be used, it has the domain's own; where the
        domain cannot be loaded, it is that of ``FALLBACK``; standard error then holds the reason.

    Raises:
        RequestError: There is no such domain.
        BundleError: The fallback cannot be loaded either.
    """
    try:
        return load_editor(domain, progress=say, on_gpu=on_gpu(), mapper=mapper)
    except BundleError as error:
        if mapper:
            print(f"{error} The page starts without it.", file=sys.stderr)
            return first_editor(domain)
        if domain == FALLBACK:
            raise
        print(f"{error} The page starts with drawn portraits.", file=sys.stderr)
        return first_editor(FALLBACK)


def device_words(device: str) -> str:
    """Describe a device, such as "cuda:0", for visitors."""
    kinds = {"cuda": "a graphics card (CUDA)", "mps": "the Mac's graphics (MPS)", "cpu": "the CPU"}
    return kinds.get(device.split(":", maxsplit=1)[0], device)


def on_gpu() -> Callable[..., Any] | None:
    """Return the wrapper that runs a function on a ZeroGPU Space's GPU; None anywhere else."""
    return spaces.GPU(duration=SECONDS) if spaces else None
