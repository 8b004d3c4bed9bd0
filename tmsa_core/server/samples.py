"""The sample portraits of a domain: ours, the same for everybody, prepared once."""

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
    """Named portraits to start from; ``leases`` holds their files."""

    def __init__(self, editor: Editor, leases: Leases) -> None:
        self._editor = editor
        self._leases = leases
        self.portraits = _portraits(editor)
        self.prepared = cache(self._prepare)
        self._files: dict[str, str] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Their names, in the order shown."""
        return tuple(self.portraits)

    def file(self, name: str) -> str:
        """The portrait as a file, for the page to open like any image."""
        path = self._files.get(name)
        if path is None or not Path(path).exists():  # the system may clear its temporary files
            path = self._leases.keep("", self.portraits[name])
            self._leases.share(path)
            self._files[name] = path
        return path

    def named(self, path: str | None) -> str | None:
        """The name of the sample that a file is, None where it is none."""
        return next((name for name in self.names if self.file(name) == path), None)

    def _prepare(self, name: str, inversion: str) -> PreparedFace:
        portrait, aligned = self.portraits[name], name in DRAWN
        return self._editor.prepare(portrait, inversion=inversion, aligned=aligned)


def sample_names(domain: str) -> tuple[str, ...]:
    """The names of a domain's samples, without loading or drawing any."""
    try:
        files = _files(open_bundle(domain).folder)
    except BundleError:  # the names do not matter: an edit will say what is missing
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
