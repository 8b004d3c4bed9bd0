"""Files that a call names by an address on the web: the server fetches none of them.

A server that fetches addresses can be made to ask hosts of its own network, and to wait for a host
that never answers. A caller loses little: it can upload the file, or send it as a data URL.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote, urlsplit

from gradio_client.utils import traverse

from tmsa_core.errors import ImageError

LONGEST_QUOTE = 60  # characters of a caller's value in a message
REFUSED = (
    "The image at {0} is not fetched, as this server contacts no other: upload the file itself, "
    "or send it as a data URL."
)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]+:/", re.IGNORECASE)
_UPLOADED = "/gradio_api/file="


def is_address(value: object) -> bool:
    """Whether a value is an address with a scheme, such as "https://", and no data URL."""
    return isinstance(value, str) and _SCHEME.match(value) is not None


def without_addresses(values: Any) -> Any:
    """The values of a call, in which no file is named by an address any more.

    The address of a file of this page ("https://.../gradio_api/file=PATH"), as a program gets it
    for what it uploaded, becomes the file's path; whether the caller may use that file is for the
    check of paths to say.

    Args:
        values: What a call sends: JSON values, with files as objects with "path" or "url".

    Returns:
        The same values, such files replaced.

    Raises:
        ImageError: where a file is named by any other address.
    """
    return traverse(values, _as_path, _is_named_by_address)


def _is_named_by_address(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    return is_address(value.get("path") or value.get("url"))


def _as_path(file: dict[str, Any]) -> dict[str, Any]:
    address = file.get("path") or file["url"]
    _, found, path = urlsplit(address).path.partition(_UPLOADED)
    if not found or is_address(unquote(path)):
        raise ImageError(REFUSED.format(_cut(address)))
    return file | {"path": unquote(path), "url": None, "meta": {"_type": "gradio.FileData"}}


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_QUOTE else text[:LONGEST_QUOTE] + "…"
