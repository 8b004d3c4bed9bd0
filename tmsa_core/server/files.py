"""Images as the page receives and shows them."""

from __future__ import annotations

import base64
from pathlib import Path

from gradio.data_classes import ImageData
from PIL import Image

from tmsa_core.errors import ImageError
from tmsa_core.server import limits

MAX_BYTES = limits.IMAGE_BYTES
SHOWN_SIDE = 1024  # px; larger images are shown reduced and downloaded whole


def data_url(jpeg: bytes) -> str:
    """A JPEG as an address that holds it: shown without a file and without a second request."""
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()


def shown(image: Image.Image) -> Image.Image:
    """The image, reduced to what fits a screen, metadata kept."""
    if max(image.size) <= SHOWN_SIDE:
        return image
    smaller = image.copy()
    smaller.thumbnail((SHOWN_SIDE, SHOWN_SIDE), Image.Resampling.LANCZOS, reducing_gap=2.0)
    return smaller


def uploaded(payload: ImageData | None) -> str | None:
    """The file that a visitor or a script sent, unread.

    Gradio would open it, drop transparency on the way, and answer a broken file with an error
    that says nothing; the editor reads it once, with all its checks. ``LenientBlocks`` has
    admitted the file before. Raises ImageError for a file of more than ``MAX_BYTES``.
    """
    path = received(payload)
    if path:
        check_bytes(path)
    return path


def received(payload: ImageData | None) -> str | None:
    """``uploaded`` without the check of the size."""
    if payload is None:
        return None
    if payload.url and not payload.path:
        raise ImageError("The image's url must be a data URL: upload other files.")
    return payload.path


def check_bytes(path: str) -> None:
    """Raise ImageError for a file of more than ``MAX_BYTES``."""
    if Path(path).is_file() and Path(path).stat().st_size > MAX_BYTES:
        raise ImageError(
            f"The image has more than {MAX_BYTES >> 20} MB: save it smaller, or as a JPEG."
        )
