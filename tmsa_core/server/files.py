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
    """Return a JPEG as a data URL, which needs no file and no second request."""
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()


def shown(image: Image.Image) -> Image.Image:
    """Return the image, reduced to at most ``SHOWN_SIDE`` pixels a side, with its metadata."""
    if max(image.size) <= SHOWN_SIDE:
        return image
    smaller = image.copy()
    smaller.thumbnail((SHOWN_SIDE, SHOWN_SIDE), Image.Resampling.LANCZOS, reducing_gap=2.0)
    return smaller


def uploaded(payload: ImageData | None) -> str | None:
    """Return the path of an image that a visitor or a script sent, unread.

    Gradio would open it, drop its transparency, and answer a broken file with an unclear error.
    The editor reads it once, with all its checks. ``LenientBlocks`` has admitted it before.

    Args:
        payload: The value of an image input.

    Returns:
        The path, or None where nothing was sent.

    Raises:
        ImageError: The file has more than ``MAX_BYTES``, or an address names it.
    """
    path = received(payload)
    if path:
        check_bytes(path)
    return path


def received(payload: ImageData | None) -> str | None:
    """Return the same as ``uploaded``, without the check of the size."""
    if payload is None:
        return None
    if payload.url and not payload.path:
        raise ImageError("The image's url must be a data URL: upload other files.")
    return payload.path


def check_bytes(path: str) -> None:
    """Check that a file has at most ``MAX_BYTES``; ImageError otherwise."""
    if Path(path).is_file() and Path(path).stat().st_size > MAX_BYTES:
        raise ImageError(
            f"The image has more than {MAX_BYTES >> 20} MB: save it smaller, or as a JPEG."
        )
