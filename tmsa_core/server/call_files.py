"""The files that the values of a call name, by path, data URL or address, wherever they stand.

Each call passes through ``with_stored_files`` and ``named_files`` before it runs. The server
fetches no address: it could be made to ask hosts of its own network, or to wait for a host that
never answers. A caller can upload the file, or send it as a data URL.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

import gradio as gr
from gradio.blocks import Block
from gradio.data_classes import FileData, ListFiles
from gradio_client.utils import (
    decode_base64_to_binary,
    get_extension,
    is_http_url_like,
    traverse,
)

from tmsa_core.errors import ImageError, RequestError, shortened
from tmsa_core.server.events import paths_of

FILE_COMPONENTS = (
    gr.Image, gr.ImageSlider, gr.Gallery, gr.File, gr.DownloadButton, gr.UploadButton,
    gr.Audio, gr.Video, gr.ImageEditor, gr.Model3D, gr.MultimodalTextbox, gr.FileExplorer,
)  # fmt: skip
NO_FILE = (
    'What /{0} was sent as a file is not one: upload it first, then send {{"path": the path that '
    'the upload answered, "meta": {{"_type": "gradio.FileData"}}}}, several in a list.'
)
NO_DATA_URL = "The image's data URL cannot be decoded; send base64."
NOT_FETCHED = (
    "The image at {0} is not fetched, as this server contacts no other: upload the file itself, "
    "or send it as a data URL."
)
META = {"_type": "gradio.FileData"}
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]+:/", re.IGNORECASE)
_SERVED = "/gradio_api/file="  # in the address of a file of this page


class FileList(gr.File):
    """Several files, described so that MCP clients can read the description.

    Gradio describes the items by a reference to a definition that stands elsewhere once the
    description is part of a tool's, and clients then refuse every call.
    """

    is_template = True  # tells Gradio to use the front end of gr.File

    def __init__(self, **settings: Any) -> None:
        super().__init__(file_count="multiple", **settings)

    def preprocess(self, payload: ListFiles | FileData | None) -> list[str] | None:
        """The paths of the files; Gradio's own method would leave an empty file for each."""
        return paths_of(payload)

    def api_info(self) -> dict[str, Any]:
        """The JSON schema of a value, complete in itself."""
        file = FileData.model_json_schema()
        file.pop("description")  # of the class, for programmers
        meta = file.pop("$defs")["FileDataMeta"]
        properties = file["properties"] | {"meta": meta}
        return {"type": "array", "items": file | {"properties": properties}}


def is_address(value: object) -> bool:
    """Whether a value is an address with a scheme, such as "https://", and no data URL."""
    return isinstance(value, str) and _SCHEME.match(value) is not None


def with_stored_files(
    parts: Sequence[Block], values: Sequence[Any], store: Callable[[str, bytes], str]
) -> list[Any]:
    """The values of a call, with every file named by a path.

    Data URLs are stored. The address of a file of this page (".../gradio_api/file=PATH") becomes
    its path; ``Leases.using`` then decides whether the caller may use it.

    Args:
        parts: The inputs of the function that is called.
        values: The value of each input, as the call sent it.
        store: Writes the content of a file of a given name, and returns its path.

    Returns:
        The values.

    Raises:
        ImageError: A file is named by another address, or a data URL cannot be decoded.
    """

    def stored(file: dict[str, Any]) -> dict[str, Any]:
        named = file.get("path") or file["url"]
        path = _decoded(named, store) if named.startswith("data:") else _served_path(named)
        return file | {"path": path, "url": None, "meta": META}

    objects = [
        _file_objects(value) if index < len(parts) and isinstance(parts[index], FileList) else value
        for index, value in enumerate(values)
    ]
    return traverse(objects, stored, _is_named_otherwise)


def named_files(parts: Sequence[Block], values: Sequence[Any], name: str = "") -> list[str]:
    """The paths of all files that the values of a call name; addresses are left out.

    Args:
        parts: The inputs of the function that is called.
        values: The value of each input, as the call sent it.
        name: Of the function, for the message.

    Returns:
        The paths, as the call wrote them.

    Raises:
        RequestError: The value for a file is a bare text, or has a path or metadata of a wrong
            kind.
    """
    found: list[str] = []
    for index, value in enumerate(values):
        bare = index < len(parts) and isinstance(parts[index], FILE_COMPONENTS)
        try:
            found += [path for path in _paths_in(value, bare) if not is_http_url_like(path)]
        except _NoFileError as error:
            raise RequestError(NO_FILE.format(name)) from error
    return found


class _NoFileError(Exception):
    """A value that should be a file is not one."""


def _file_objects(value: Any) -> Any:
    """The value for a ``FileList``, with file objects for data URLs and addresses.

    Agents send them as plain texts.
    """
    if not isinstance(value, list):
        return value
    return [
        {"path": None, "url": item, "meta": META}
        if isinstance(item, str) and (item.startswith("data:") or is_address(item))
        else item
        for item in value
    ]


def _is_named_otherwise(value: Any) -> bool:
    """Whether a value is a file that an address or a data URL names."""
    if not isinstance(value, dict):
        return False
    path, url = value.get("path"), value.get("url")
    is_data = not path and isinstance(url, str) and url.startswith("data:")
    return is_data or is_address(path or url)


def _decoded(url: str, store: Callable[[str, bytes], str]) -> str:
    try:
        data, extension = decode_base64_to_binary(url)[0], get_extension(url)
    except ValueError as error:
        raise ImageError(NO_DATA_URL) from error
    return store(f"file.{extension}" if extension else "file", data)


def _served_path(address: str) -> str:
    _, found, path = urlsplit(address).path.partition(_SERVED)
    if not found or is_address(unquote(path)):
        raise ImageError(NOT_FETCHED.format(shortened(address)))
    return unquote(path)


def _paths_in(value: Any, bare: bool) -> Iterator[str]:
    """The paths in a value. bare: whether it is for a part that takes files alone."""
    rest = [(value, bare)]
    while rest:  # a loop, because a call may nest its values deeply
        item, bare = rest.pop()
        if isinstance(item, str) and bare:
            raise _NoFileError
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
        raise _NoFileError
    yield path
