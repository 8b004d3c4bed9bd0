"""The editors of one process: every domain is loaded once, when it is first asked for."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any

from tmsa_core.align.aligner import Aligner
from tmsa_core.availability import align_roles, list_domains
from tmsa_core.bundles import open_bundle
from tmsa_core.domains import find_domain
from tmsa_core.editing.editor import Editor
from tmsa_core.editing.load import load_aligner, load_editor
from tmsa_core.errors import BundleError

SECONDS = 10  # asked for per call: an edit takes one, and short calls wait least

FALLBACK = "avatar"  # its weights come with the repository


class Editors:
    """All visitors share these, one set of networks per domain; ``first`` is loaded already."""

    def __init__(self, first: Editor) -> None:
        self.first = first
        self._loaded = {first.domain.key: first}
        self._aligners: dict[str, Aligner] = {}
        self._lock = threading.Lock()

    def get(self, domain: str = "") -> Editor:
        """The editor of a domain, "" being the first one.

        Raises RequestError for an unknown domain, BundleError where its files are not complete:
        to download them here would keep every visitor waiting, see ``ui_worlds``.
        """
        key = domain or self.first.domain.key
        if key in self._loaded:
            return self._loaded[key]
        with self._lock:
            if key not in self._loaded:
                _check_complete(key)
                self._loaded[key] = load_editor(
                    key, device=self.first.device, progress=say, on_gpu=self.first.models.on_gpu
                )
        return self._loaded[key]

    def aligner(self, domain: str = "") -> Aligner:
        """What aligns images of a domain, whether or not its networks are here.

        Raises RequestError for an unknown domain, BundleError where what finds faces is missing.
        """
        facts = find_domain(domain or self.first.domain.key)
        key = facts.key
        if key in self._loaded:
            return self._loaded[key].aligner
        with self._lock:
            if key not in self._aligners:
                bundle = open_bundle(key)
                for role in align_roles(facts, bundle):
                    bundle.path(role)  # says what is missing; nothing is downloaded here
                self._aligners[key] = load_aligner(key)
        return self._aligners[key]

    def forget(self, domain: str) -> None:
        """Load a domain anew when it is next asked for: its files have changed."""
        with self._lock:
            self._loaded.pop(domain, None)
            self._aligners.pop(domain, None)


def say(done: int, total: int, message: str) -> None:
    """Tell whoever runs the page what is found while a domain is loaded, but not each byte.

    Args:
        done: Bytes of a download that have arrived.
        total: Bytes of a download, 0 for any other message.
        message: The message.
    """
    if not total:
        print(message.rstrip(".") + ".", file=sys.stderr)


def _check_complete(domain: str) -> None:
    find_domain(domain)
    status = next(status for status in list_domains() if status.key == domain)
    if not status.available:
        raise BundleError(f"The world “{status.title}” cannot be used here yet. {status.reason}")


def first_editor(domain: str) -> Editor:
    """What a page starts with: a domain, or the avatars where its weights cannot be had.

    Why not is said on standard error. Raises RequestError for an unknown domain.
    """
    try:
        return load_editor(domain, progress=say, on_gpu=on_gpu())
    except BundleError as error:
        if domain == FALLBACK:
            raise
        print(f"{error} The page starts with drawn portraits.", file=sys.stderr)
        return load_editor(FALLBACK, progress=say, on_gpu=on_gpu())


def device_words(device: str) -> str:
    """Where the networks run, in words."""
    kinds = {"cuda": "a graphics card (CUDA)", "mps": "the Mac's graphics (MPS)", "cpu": "the CPU"}
    return kinds.get(device.split(":")[0], device)


try:
    import spaces  # installed on ZeroGPU Spaces; must come before anything that touches CUDA
except ImportError:
    spaces = None


def on_gpu() -> Callable[..., Any] | None:
    """What makes a function run on a ZeroGPU Space's GPU; None anywhere else."""
    return spaces.GPU(duration=SECONDS) if spaces else None
