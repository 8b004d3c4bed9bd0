"""Pictures as files of the page's cache, where the browser fetches them.

Gradio would do this by itself, but writes a file anew each time the same picture is shown, and a
browser that is just fetching it then gets a broken one. Here a file is written once, then moved
into place, and never changed.
"""

from __future__ import annotations

import base64
import os
import tempfile
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

from gradio.data_classes import ImageData
from gradio.processing_utils import hash_bytes, save_base64_to_cache
from gradio.utils import get_upload_folder
from PIL import Image

from tmsa_core.errors import ImageError
from tmsa_core.metadata import encode_png

MOST_BYTES = 20 << 20  # of one picture's file
NOT_SENT = (
    "That file was not sent to this page: upload it first, and name the path that the upload "
    "answers."
)
SHOWN_SIDE = 1024  # px; larger pictures are shown reduced and downloaded whole


def cached(image: Image.Image, note: Callable[[str], object] = lambda path: None) -> str:
    """The path of the picture as PNG, with its metadata; named by its content.

    note: told the path before the file is looked for. Whoever leases it then can be sure that
    nobody else who has the same picture, and leaves just now, takes it away.
    """
    data = encode_png(image)
    path = Path(get_upload_folder()) / hash_bytes(data) / "picture.png"
    note(str(path))
    if path.exists():
        return refreshed(str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(data)
    os.replace(file.name, path)
    return str(path)


def data_url(jpeg: bytes) -> str:
    """A JPEG as an address that holds it: shown without a file and without a second request."""
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()


def refreshed(path: str) -> str:
    """The same path, its file's age back at zero, so that it is not yet cleared away."""
    os.utime(path)
    return path


def shown(image: Image.Image) -> Image.Image:
    """The picture, reduced to what fits a screen, metadata kept."""
    if max(image.size) <= SHOWN_SIDE:
        return image
    smaller = image.copy()
    smaller.thumbnail((SHOWN_SIDE, SHOWN_SIDE), Image.Resampling.LANCZOS, reducing_gap=2.0)
    return smaller


class Leases:
    """Which visitor's pages use which files, so that they go when the last of them leaves.

    Only files of the cache go: a sample portrait that a visitor used belongs to the bundle.
    """

    def __init__(self) -> None:
        self._paths: dict[str, set[str]] = {}
        self._lock = threading.Lock()

    def take(self, owner: str, *paths: str) -> None:
        """Note that a visitor uses these files."""
        cache = Path(get_upload_folder()).resolve()
        own = {path for path in paths if Path(path).resolve().is_relative_to(cache)}
        with self._lock:
            self._paths.setdefault(owner, set()).update(own)

    def keep(self, owner: str, image: Image.Image) -> str:
        """The path of a picture that a visitor uses from now on."""
        return cached(image, partial(self.take, owner))

    def leave(self, owner: str) -> None:
        """Delete the files of a visitor that nobody else uses."""
        with self._lock:
            used = self._paths.pop(owner, set())
            for path in used.difference(*self._paths.values()):
                Path(path).unlink(missing_ok=True)


def new_folder() -> Path:
    """A folder of the cache that nobody else uses."""
    return Path(tempfile.mkdtemp(dir=get_upload_folder()))


def uploaded(payload: ImageData | None) -> str | None:
    """The file that a visitor or a script sent, unread.

    Gradio would open it, drop transparency on the way, and answer a broken file with an error
    that says nothing; the editor reads it once, with all its checks. Raises ImageError for a data
    URL that cannot be decoded, for a path that was not sent, and for a file of more than
    ``MOST_BYTES``.
    """
    path = received(payload)
    if path:
        check_bytes(path)
    return path


def received(payload: ImageData | None) -> str | None:
    """``uploaded`` without the check of the size: what it refuses has left no file behind."""
    if payload is None:
        return None
    if payload.url and payload.url.startswith("data:"):
        try:
            return save_base64_to_cache(payload.url, cache_dir=get_upload_folder())
        except ValueError as error:
            raise ImageError("The picture's data URL cannot be decoded; send base64.") from error
    if payload.url and not payload.path:
        raise ImageError("The picture's url must be a data URL: upload other files.")
    return sent(payload.path) if payload.path else None


def sent(path: str) -> str:
    """A path that a page or a script handed in, if it is that of a file it uploaded.

    Raises ImageError for any other, which would be a file of this machine: Gradio checks the path
    of a picture only where the value says of itself that it is a file.
    """
    if not Path(path).resolve().is_relative_to(Path(get_upload_folder()).resolve()):
        raise ImageError(NOT_SENT)
    return path


def check_bytes(path: str) -> None:
    """Raise ImageError for a file of more than ``MOST_BYTES``."""
    if Path(path).is_file() and Path(path).stat().st_size > MOST_BYTES:
        raise ImageError(
            f"The picture has more than {MOST_BYTES >> 20} MB: save it smaller, or as a JPEG."
        )
