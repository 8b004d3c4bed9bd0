"""Blocks that plain HTTP calls find as easy as Gradio's own clients do.

A client fills in what a call leaves out and brings every value into the form that Gradio wants. A
``curl`` with a list of values does neither, and would be answered in Gradio's own terms.
"""

from __future__ import annotations

from typing import Any

import gradio as gr
from gradio.blocks import BlockFunction
from gradio.state_holder import SessionState
from pydantic import ValidationError

from tmsa_core.errors import RequestError
from tmsa_core.ui_parts import spoken

NO_FILE = (
    'What /{0} was sent as a file is none: upload it first, then send {{"path": the path that the '
    'upload answered, "meta": {{"_type": "gradio.FileData"}}}}, several in a list.'
)


class ForgivingBlocks(gr.Blocks):
    """Blocks that fill in the values a call leaves out, and say in a sentence what is wrong."""

    async def preprocess_data(
        self,
        block_fn: BlockFunction,
        inputs: list[Any],
        state: SessionState | None,
        explicit_call: bool = False,
    ) -> list[Any]:
        """The values of a call as its function takes them; those left out are the parts' own."""
        left_out = block_fn.inputs[len(inputs) :]
        values = [*inputs, *(getattr(part, "value", None) for part in left_out)]
        try:
            return await super().preprocess_data(block_fn, values, state, explicit_call)
        except ValidationError as error:  # only files have a form that Gradio insists on
            raise spoken(RequestError(NO_FILE.format(block_fn.api_name))) from error
