"""Real images for the alignment: a folder of pictures, checked before any long work."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from PIL import Image
from torch import Tensor

from tmsa_core.align import crop_whole, crop_without_face
from tmsa_core.domains import Domain
from tmsa_core.errors import ImageError, RequestError
from tmsa_core.images import load_image, to_tensor

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
FEWEST = 16
SMALLEST_SIDE = 256  # what CLIP and e4e see, unless the domain's crops are smaller


class Pictures(Protocol):
    """Aligned crops by number."""

    def __len__(self) -> int: ...

    def images(self, index: Tensor) -> Tensor:
        """(B,3,R,R) float32 in [-1, 1] of the numbers in ``index`` (B,)."""
        ...

    def shown(self, count: int) -> Tensor:
        """Numbers of up to ``count`` pictures, always the same, for sample grids."""
        ...

    def digest(self) -> str:
        """Names the set of pictures, for caches."""
        ...


@dataclass(frozen=True)
class PictureFolder:
    """The pictures of a folder as crops of a domain."""

    paths: tuple[Path, ...]
    domain: Domain

    def __len__(self) -> int:
        return len(self.paths)

    def images(self, index: Tensor) -> Tensor:
        """(N,) indices -> (N,3,R,R) in [-1,1]."""
        return torch.cat([self._crop(self.paths[i]) for i in index.tolist()])

    def shown(self, count: int) -> Tensor:
        """Indices of the first ``count`` pictures, for the sample grid."""
        return torch.arange(len(self))[:count]

    def digest(self) -> str:
        """Tells this set of pictures from others."""
        named = (f"{path.name} {path.stat().st_size}" for path in self.paths)
        return hashlib.sha256("\n".join(named).encode()).hexdigest()

    def _crop(self, path: Path) -> Tensor:
        photo, size = load_image(path), self.domain.resolution
        if self.domain.alignment == "resize":
            return to_tensor(crop_whole(photo, size, self.domain.content)[0])
        return to_tensor(crop_without_face(photo, size)[0])


def open_pictures(folder: Path, domain: Domain) -> PictureFolder:
    """Check every picture of a folder and open it.

    Raises RequestError for a folder that is missing, empty or too small, ImageError for the first
    picture that cannot be read, is too small, or is no aligned crop.
    """
    if not folder.is_dir():
        raise RequestError(f"There is no folder {folder}: give one with pictures.")
    paths = tuple(sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES))
    if len(paths) < FEWEST:
        raise RequestError(
            f"{folder} holds {len(paths)} pictures, at least {FEWEST} are needed: add more, or "
            "leave the folder out to train on synthetic images alone."
        )
    for path in paths:
        _check(path, domain)
    return PictureFolder(paths, domain)


def _check(path: Path, domain: Domain) -> None:
    """A picture's header and, where the format has them, its checksums; decodes no pixels."""
    try:
        with Image.open(path) as picture:
            width, height = picture.size
            picture.verify()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ImageError(f"{path} cannot be read as a picture: repair or remove it.") from error
    least = min(domain.resolution, SMALLEST_SIDE)
    if min(width, height) < least:
        raise ImageError(
            f"{path} has {width} x {height} pixels; the domain {domain.key} needs at least "
            f"{least} x {least}."
        )
    if domain.alignment == "face" and width != height:
        raise ImageError(
            f"{path} is {width} x {height} and not square: give aligned crops, as `tmsa align` "
            "writes them."
        )
