"""Lists of files in calls, also as agents send them: as addresses and data URLs."""

from __future__ import annotations

from typing import Any

import gradio as gr
from gradio.data_classes import FileData
from gradio.processing_utils import save_base64_to_cache
from gradio.utils import get_upload_folder
from gradio_client.utils import is_http_url_like

from tmsa_core.errors import ImageError


class FileList(gr.File):
    """Several files, described so that MCP clients can read the description.

    Gradio describes the items by a reference to a definition that stands elsewhere once the
    description is part of a tool's, and clients then refuse every call.
    """

    is_template = True  # for Gradio: this class has no front end of its own

    def __init__(self, **settings: Any) -> None:
        super().__init__(file_count="multiple", **settings)

    def api_info(self) -> dict[str, Any]:
        """The JSON schema of a value, complete in itself."""
        file = FileData.model_json_schema()
        file.pop("description")  # of the class, for programmers
        meta = file.pop("$defs")["FileDataMeta"]
        properties = file["properties"] | {"meta": meta}
        return {"type": "array", "items": file | {"properties": properties}}


def as_files(part: Any, value: Any) -> Any:
    """The value of a call as Gradio takes it: texts that stand for files become files.

    Args:
        part: The component that the value is for.
        value: What was sent.

    Returns:
        For a ``FileList`` the list with addresses and data URLs as file objects; any other value
        as it is.

    Raises:
        ImageError: A data URL cannot be decoded.
    """
    if not isinstance(part, FileList) or not isinstance(value, list):
        return value
    return [_as_file(item) if isinstance(item, str) else item for item in value]


def _as_file(text: str) -> Any:
    if text.startswith("data:"):
        try:
            path = save_base64_to_cache(text, cache_dir=get_upload_folder())
        except ValueError as error:
            raise ImageError("A file's data URL cannot be decoded; send base64.") from error
    elif is_http_url_like(text):
        path = text
    else:
        return text
    return {"path": path, "meta": {"_type": "gradio.FileData"}}
