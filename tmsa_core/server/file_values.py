"""The files that the values of a call name, wherever in the values they stand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import gradio as gr
from gradio.blocks import Block
from gradio_client.utils import (
    decode_base64_to_binary,
    get_extension,
    is_http_url_like,
    traverse,
)

from tmsa_core.errors import ImageError, RequestError

FILE_COMPONENTS = (
    gr.Image, gr.ImageSlider, gr.Gallery, gr.File, gr.DownloadButton, gr.UploadButton,
    gr.Audio, gr.Video, gr.ImageEditor, gr.Model3D, gr.MultimodalTextbox, gr.FileExplorer,
)  # fmt: skip
NO_FILE = (
    'What /{0} was sent as a file is none: upload it first, then send {{"path": the path that the '
    'upload answered, "meta": {{"_type": "gradio.FileData"}}}}, several in a list.'
)
NO_DATA_URL = "The image's data URL cannot be decoded; send base64."


def named_files(parts: Sequence[Block], values: Sequence[Any], name: str = "") -> list[str]:
    """The paths of all files that the values of a call name; addresses on the web are left out.

    Args:
        parts: The inputs of the function that is called.
        values: The value of each input, as the call sent it.
        name: Of the function, for the message.

    Raises:
        RequestError: What stands for a file is a bare text, or has a path or metadata of a wrong
            kind.
    """
    found: list[str] = []
    for index, value in enumerate(values):
        bare = index < len(parts) and isinstance(parts[index], FILE_COMPONENTS)
        try:
            found += [path for path in _paths_in(value, bare) if not is_http_url_like(path)]
        except _NoFile as error:
            raise RequestError(NO_FILE.format(name)) from error
    return found


class _NoFile(Exception):
    """What stands for a file is none."""


def _paths_in(value: Any, bare: bool) -> Iterator[str]:
    """The paths in a value. bare: whether it is for a part that takes files alone."""
    rest = [(value, bare)]
    while rest:  # a loop, as a call may nest its values deeply
        item, bare = rest.pop()
        if isinstance(item, str) and bare:
            raise _NoFile
        if isinstance(item, dict):
            yield from _path_of(item)
            rest += [(inner, False) for inner in item.values()]
        elif isinstance(item, (list, tuple)):
            rest += [(inner, bare) for inner in item]


def _path_of(file: dict[str, Any]) -> Iterator[str]:
    path = file.get("path")
    if path is None or (path == "" and file.get("url")):
        return
    if not isinstance(path, str) or not isinstance(file.get("meta", {}), dict):
        raise _NoFile
    yield path


def with_stored_data(values: list[Any], store: Callable[[str, bytes], str]) -> list[Any]:
    """The same values with the files that are given as data URLs stored.

    Args:
        values: The values of a call.
        store: Writes the content of a file of a given name, and returns its path.

    Raises:
        ImageError: A data URL cannot be decoded.
    """

    def stored(file: dict[str, Any]) -> dict[str, Any]:
        url = file["url"]
        try:
            data, extension = decode_base64_to_binary(url)[0], get_extension(url)
        except ValueError as error:
            raise ImageError(NO_DATA_URL) from error
        name = f"file.{extension}" if extension else "file"
        meta = {"_type": "gradio.FileData"}
        return file | {"path": store(name, data), "url": None, "meta": meta}

    return traverse(values, stored, _is_data)


def _is_data(value: Any) -> bool:
    if not isinstance(value, dict) or value.get("path"):
        return False
    url = value.get("url")
    return isinstance(url, str) and url.startswith("data:")
