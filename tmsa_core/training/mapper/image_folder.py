"""Real images for the alignment: a folder of images, checked before any long work."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor
from tqdm import tqdm

from tmsa_core.align.crop import crop_whole, crop_without_face
from tmsa_core.domains import Domain
from tmsa_core.errors import ImageError, RequestError
from tmsa_core.imaging.images import MAX_PIXELS, load_image, to_tensor

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
MIN_IMAGES = 16
MIN_SIDE = 256  # pixels that CLIP and e4e read, unless the domain's crops are smaller


class Images(Protocol):
    """Aligned crops by number."""

    def __len__(self) -> int: ...

    def images(self, index: Tensor) -> Tensor:
        """The images with the numbers ``index`` (B,): (B,3,R,R) float32 in [-1, 1]."""
        ...

    def shown(self, count: int) -> Tensor:
        """Numbers of up to ``count`` images, always the same, for sample grids."""
        ...

    def digest(self) -> str:
        """A key for caches: differs for different images."""
        ...


@dataclass(frozen=True)
class ImageFolder:
    """The images of a folder as crops of a domain.

    Attributes:
        paths: The files.
        hashes: Their SHA-256.
        domain: The domain.
    """

    paths: tuple[Path, ...]
    hashes: tuple[str, ...]
    domain: Domain

    def __len__(self) -> int:
        return len(self.paths)

    def images(self, index: Tensor) -> Tensor:
        """The images with the numbers ``index`` (B,): (B,3,R,R) float32 in [-1, 1]."""
        return torch.cat([self._crop(self.paths[i]) for i in index.tolist()])

    def shown(self, count: int) -> Tensor:
        """Numbers of the first ``count`` images."""
        return torch.arange(len(self))[:count]

    def digest(self) -> str:
        """Hash of all files."""
        return hashlib.sha256("\n".join(self.hashes).encode()).hexdigest()

    def _crop(self, path: Path) -> Tensor:
        """(1,3,R,R) in [-1, 1]."""
        photo, size = load_image(path), self.domain.resolution
        if self.domain.alignment == "resize":
            return to_tensor(crop_whole(photo, size, self.domain.content)[0])
        return to_tensor(crop_without_face(photo, size)[0])


def open_images(folder: Path, domain: Domain) -> ImageFolder:
    """Open a folder after checking all of its images.

    Raises:
        RequestError: If the folder is missing or has too few images.
        ImageError: For the first image that cannot be read, is too small or is not an aligned crop.
    """
    if not folder.is_dir():
        raise RequestError(f"There is no folder {folder}: give a folder of images.")
    paths = tuple(sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES))
    if len(paths) < MIN_IMAGES:
        raise RequestError(
            f"{folder} holds {len(paths)} images, at least {MIN_IMAGES} are needed: add more, or "
            "omit the folder to train on synthetic images only."
        )
    return ImageFolder(paths, _check_all(paths, domain), domain)


def _check_all(paths: Sequence[Path], domain: Domain) -> tuple[str, ...]:
    """The SHA-256 of every image; the first that cannot be used stops the check."""
    with ThreadPoolExecutor() as pool:
        checks = [pool.submit(_check, path, domain) for path in paths]
        try:
            return tuple(c.result() for c in tqdm(checks, "images checked", unit="image", delay=2))
        finally:
            pool.shutdown(cancel_futures=True)


def _check(path: Path, domain: Domain) -> str:
    """The SHA-256 of an image, after decoding it: many formats have no checksums."""
    try:
        data = path.read_bytes()
        width, height = load_image(data).size
    except (OSError, ImageError) as error:
        raise ImageError(
            f"{path} cannot be read as an image of at most {MAX_PIXELS // 1_000_000} megapixels: "
            "repair or remove it."
        ) from error
    side = min(domain.resolution, MIN_SIDE)
    if min(width, height) < side:
        raise ImageError(
            f"{path} has {width} x {height} pixels; the domain {domain.key} needs at least "
            f"{side} x {side}."
        )
    if domain.alignment == "face" and width != height:
        raise ImageError(
            f"{path} is {width} x {height} and not square: give aligned crops, as `tmsa align` "
            "writes them."
        )
    return hashlib.sha256(data).hexdigest()
