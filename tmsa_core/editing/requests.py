"""Brings the fields of edits into their one plain form, which recipes and links hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tmsa_core.align.regions import region_text
from tmsa_core.datatypes import EditRequest
from tmsa_core.validation import check_requests


def plain_requests(request: EditRequest | Sequence[EditRequest]) -> tuple[EditRequest, ...]:
    """One edit or several as a tuple, with regions as texts.

    Raises:
        RequestError: The list is empty or holds something else, or a field cannot be used.
    """
    return tuple(replace(each, region=region_text(each.region)) for each in check_requests(request))


def region_of(request: EditRequest) -> str:
    """The region of a plain edit; "" is everywhere."""
    return request.region if isinstance(request.region, str) else region_text(request.region)
