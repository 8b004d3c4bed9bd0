"""The list of further edits that scripts send as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import gradio as gr

from tmsa_core.align.regions import region_text
from tmsa_core.datatypes import EditRequest
from tmsa_core.errors import RequestError, quoted
from tmsa_core.validation import MAX_LAYERS, number, parse_levels

FIELDS = {
    "neutral_text": {"type": "string"},
    "target_text": {"type": "string"},
    "alpha": {"type": "number"},
    "levels": {"type": "string"},
    "threshold": {"type": "number"},
    "region": {"type": "string"},
}
FORM = 'a list such as [{"target_text": "old human face", "alpha": 0.5}]'


def edit_list(**settings: Any) -> gr.JSON:
    """Create an input for a list of edits, with a JSON schema for scripts and agents."""
    item = {"type": "object", "properties": FIELDS, "required": ["target_text"]}
    schema = {"type": "array", "items": item, "maxItems": MAX_LAYERS - 1}
    component = gr.JSON([], **settings)
    component.api_info = lambda: schema  # type: ignore[method-assign]
    return component


def stacked(first: EditRequest, more: Any) -> list[EditRequest]:
    """Return the first edit followed by further ones.

    Args:
        first: The first edit, whose neutral text is the default of the others.
        more: The others: a list of mappings with the fields of ``FIELDS``, or such a list as JSON
            text. The defaults of the other fields are those of ``EditRequest``.

    Returns:
        The edits.

    Raises:
        RequestError: The list cannot be read, or has more than ``MAX_LAYERS - 1`` edits.
    """
    edits = _read(more)
    if len(edits) >= MAX_LAYERS:
        raise RequestError(
            f"more_edits lists {len(edits)} edits; at most {MAX_LAYERS - 1} can follow the first."
        )
    return [first, *(_edit(raw, i, first) for i, raw in enumerate(edits, start=1))]


def _read(more: Any) -> list[Any] | tuple[Any, ...]:
    if isinstance(more, str):
        try:
            more = json.loads(more) if more.strip() else []
        except (ValueError, RecursionError) as error:
            raise RequestError(f"more_edits is not JSON; send {FORM}.") from error
    if more is None:
        return []
    if not isinstance(more, (list, tuple)):
        raise RequestError(f"more_edits must be {FORM}.")
    return more


def _edit(raw: Any, index: int, first: EditRequest) -> EditRequest:
    name = f"more_edits, edit {index}"
    if not isinstance(raw, Mapping) or not raw.keys() <= FIELDS.keys():
        raise RequestError(f"{name}, must be an object with fields from {', '.join(FIELDS)}.")
    texts = [raw.get(field) for field in ("neutral_text", "target_text")]
    if not isinstance(texts[1], str) or not isinstance(texts[0], str | None):
        raise RequestError(f"{name}, needs a target_text, and its texts must be in quotes.")
    levels = raw.get("levels", "all")
    return EditRequest(
        first.neutral_text if texts[0] is None else texts[0],
        texts[1],
        number(raw.get("alpha", 1.0), "alpha"),
        parse_levels(levels),
        number(raw.get("threshold", 0.0), "threshold"),
        first.paste_back,
        text_region(raw.get("region")),
    )


def text_region(value: Any) -> str:
    """The region of a script's edit, which is a text; RequestError for everything else."""
    if value is not None and not isinstance(value, str):
        raise RequestError(
            f"region is {quoted(value)}; use a name such as 'hair', or a mask as a data URL."
        )
    return region_text(value or "")
