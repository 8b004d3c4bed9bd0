"""Answers of MCP tools that give several values."""

from __future__ import annotations

from typing import Any

import gradio as gr


def give_each_value(blocks: gr.Blocks) -> None:
    """Let tools answer each of their values as content of its own, images as images.

    Gradio 6.31 wraps the values of a call without progress reports once too often, so that agents
    would get all of them as one text and no image.

    Args:
        blocks: The page whose tools these are.
    """
    server = blocks.mcp_server_obj
    if server is None:
        return
    as_content = server.postprocess_output_data

    def each_as_content(data: Any, root_url: str) -> Any:
        wrapped = len(data) == 1 and isinstance(data[0], tuple)
        return as_content(list(data[0]) if wrapped else data, root_url)

    server.postprocess_output_data = each_as_content
