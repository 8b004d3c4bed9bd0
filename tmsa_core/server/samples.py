"""The sample portraits of a domain: the same for all visitors, prepared once."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

from PIL.Image import Image

from tmsa_core.bundles import open_bundle
from tmsa_core.datatypes import PreparedFace
from tmsa_core.editing.editor import Editor
from tmsa_core.errors import BundleError, ImageError
from tmsa_core.imaging.images import load_image
from tmsa_core.server.file_leases import Leases

MAX_SAMPLES = 8
DRAWN = {f"portrait-{seed}": seed for seed in range(1, MAX_SAMPLES + 1)}  # where there are no files


class Samples:
    """Named portraits that a visitor can start from.

    Args:
        editor: Of their domain.
        leases: Holds their files.
    """

    def __init__(self, editor: Editor, leases: Leases) -> None:
        self._editor = editor
        self._leases = leases
        self.portraits = _portraits(editor)
        self.prepared = cache(self._prepare)
        self._files: dict[str, str] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """The names, in the order of the page."""
        return tuple(self.portraits)

    def file(self, name: str) -> str:
        """Return the path of a portrait's file, which the page opens like any image."""
        path = self._files.get(name)
        if path is None or not Path(path).exists():  # the system may clear its temporary files
            path = self._leases.keep("", self.portraits[name])
            self._leases.share(path)
            self._files[name] = path
        return path

    def named(self, path: str | None) -> str | None:
        """Return the name of the sample at a path; None for any other file."""
        return next((name for name in self.names if self.file(name) == path), None)

    def _prepare(self, name: str, inversion: str) -> PreparedFace:
        portrait, aligned = self.portraits[name], name in DRAWN
        return self._editor.prepare(portrait, inversion=inversion, aligned=aligned)


def sample_names(domain: str) -> tuple[str, ...]:
    """Return the names of a domain's samples, without loading or drawing them."""
    try:
        files = _files(open_bundle(domain).folder)
    except BundleError:  # the names do not matter: an edit will raise this error
        files = []
    return tuple(file.stem for file in files) or tuple(DRAWN)


def _files(folder: Path) -> list[Path]:
    return sorted((folder / "samples").glob("*.png"))[:MAX_SAMPLES]


def _portraits(editor: Editor) -> dict[str, Image]:
    """The images in the bundle's ``samples`` folder, or else some from the generator."""
    found = {}
    for file in _files(editor.bundle.folder):
        try:
            found[file.stem] = load_image(file)
        except ImageError as error:
            print(f"The sample {file} is left out: {error}", file=sys.stderr)
    return found or {name: editor.sample(seed).crop for name, seed in DRAWN.items()}
