"""Lists of files in calls, also as agents send them: as addresses and data URLs."""

from __future__ import annotations

from typing import Any

import gradio as gr
from gradio.data_classes import FileData, ListFiles

from tmsa_core.server.addresses import is_address
from tmsa_core.server.events import paths_of


class FileList(gr.File):
    """Several files, described so that MCP clients can read the description.

    Gradio describes the items by a reference to a definition that stands elsewhere once the
    description is part of a tool's, and clients then refuse every call.
    """

    is_template = True  # for Gradio: this class has no front end of its own

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


def file_objects(part: Any, value: Any) -> Any:
    """The value of a call with the texts that stand for files as file objects.

    Args:
        part: The component that the value is for.
        value: The value as the call sent it.

    Returns:
        For a ``FileList`` the list with addresses and data URLs as file objects; any other value
        unchanged.
    """
    if not isinstance(part, FileList) or not isinstance(value, list):
        return value
    return [_file_object(item) if isinstance(item, str) else item for item in value]


def _file_object(text: str) -> Any:
    if text.startswith("data:") or is_address(text):
        return {"path": None, "url": text, "meta": {"_type": "gradio.FileData"}}
    return text
