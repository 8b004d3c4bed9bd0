"""Cells of CSV files whose text comes from strangers."""

from __future__ import annotations

_FORMULA_STARTS = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
_SPACE_STARTS = ("\t", "\r", "\n")


def safe_cell(value: object) -> object:
    """The value as a spreadsheet may read it: a text is never taken for a formula.

    A text that begins like a formula, also after spaces, gets an apostrophe in front, which
    spreadsheets read as "this is text". Everything that is no text is returned as it is.
    """
    if not isinstance(value, str):
        return value
    if value.startswith(_SPACE_STARTS) or value.lstrip().startswith(_FORMULA_STARTS):
        return "'" + value
    return value
