"""Settings that can be repeated: as a link's query and as the recipe inside an image."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from tmsa_core.datatypes import EditRequest
from tmsa_core.errors import RequestError, quoted
from tmsa_core.validation import MAX_LAYERS, parse_levels

MAX_CHARACTERS = 600  # of a text; the text encoder reads far fewer
STRENGTHS = (-2.0, 3.0)  # of the page's slider; scripts may go further
THRESHOLDS = (0.0, 0.95)


@dataclass(frozen=True)
class EditSettings:
    """What a visitor set, without the image. seed, sample: which portrait, if it was ours.

    domain, inversion: "" for what the page has.
    """

    edits: tuple[EditRequest, ...] = ()
    domain: str = ""
    inversion: str = ""
    seed: int | None = None
    sample: str | None = None


def to_query(setting: EditSettings) -> str:
    """The query that ``from_query`` reads, beginning with "?"; defaults are left out."""
    pairs: list[tuple[str, str]] = []
    if setting.domain:
        pairs.append(("domain", setting.domain))
    if setting.seed is not None:
        pairs.append(("seed", str(setting.seed)))
    if setting.sample is not None:
        pairs.append(("sample", setting.sample))
    if setting.inversion:
        pairs.append(("inversion", setting.inversion))
    for edit in setting.edits:
        pairs += [("neutral", edit.neutral_text), ("target", edit.target_text)]
        pairs.append(("alpha", f"{edit.alpha:g}"))
        levels = edit.levels if isinstance(edit.levels, str) else ",".join(map(str, edit.levels))
        pairs += [("levels", levels), ("threshold", f"{edit.threshold:g}")]
    if len(setting.edits) == 1:  # in a stack, the fields of one edit stand side by side
        defaults = {"levels": "all", "threshold": "0"}
        pairs = [(key, value) for key, value in pairs if defaults.get(key) != value]
    return "?" + urlencode(pairs)


def from_query(pairs: Iterable[tuple[str, str]]) -> EditSettings:
    """The setting of a link. Keys that are not ours are left alone.

    ``target``, ``alpha`` and the others may come once per edit of a stack. Raises RequestError
    for values that cannot be.
    """
    values: dict[str, list[str]] = {}
    for key, value in pairs:
        values.setdefault(key, []).append(value)
    targets = values.get("target", [])
    edits = [
        {
            "neutral_text": _nth(values, "neutral", i, "human face"),
            "target_text": target,
            "alpha": _number(_nth(values, "alpha", i, "1"), "alpha"),
            "levels": parse_levels(_nth(values, "levels", i, "all")),
            "threshold": _number(_nth(values, "threshold", i, "0"), "threshold"),
        }
        for i, target in enumerate(targets)
    ]
    return from_recipe(
        {
            "edits": edits,
            "domain": _nth(values, "domain", 0, ""),
            "inversion": _nth(values, "inversion", 0, ""),
            "seed": _seed(values["seed"][0]) if "seed" in values else None,
            "sample": _nth(values, "sample", 0, "") or None,
        }
    )


def from_recipe(recipe: Mapping[str, Any]) -> EditSettings:
    """The setting of an image's recipe. RequestError where it is not one of ours."""
    try:
        edits = tuple(_edit(raw) for raw in recipe.get("edits", ()))
        seed, sample = recipe.get("seed"), recipe.get("sample")
        return EditSettings(
            edits[:MAX_LAYERS],
            _text(recipe.get("domain", "")),
            # the code of a drawn portrait is known: there is nothing to invert
            _text(recipe.get("inversion", "e4e" if seed is None else "")),
            None if seed is None else int(seed),
            None if sample is None else _text(sample),
        )
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise RequestError("The recipe cannot be read; set the texts by hand.") from error


def within_page(edit: EditRequest) -> EditRequest:
    """The edit with its numbers brought to where the page's sliders end."""
    return replace(
        edit,
        alpha=min(max(edit.alpha, STRENGTHS[0]), STRENGTHS[1]),
        threshold=min(max(edit.threshold, THRESHOLDS[0]), THRESHOLDS[1]),
    )


def _edit(raw: Mapping[str, Any]) -> EditRequest:
    levels = raw.get("levels", "all")
    numbers = [float(raw.get("alpha", 1.0)), float(raw.get("threshold", 0.0))]
    if not all(map(math.isfinite, numbers)):
        raise ValueError("a strength or threshold that is no number")
    return EditRequest(
        neutral_text=_text(raw["neutral_text"]),
        target_text=_text(raw["target_text"]),
        alpha=numbers[0],
        levels=levels if isinstance(levels, str) else tuple(int(i) for i in levels),
        threshold=numbers[1],
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a text is a {type(value).__name__}")
    return value[:MAX_CHARACTERS]


def _nth(values: Mapping[str, list[str]], key: str, index: int, default: str) -> str:
    """The value of a key for the edit of this number; the last one where there are fewer."""
    given = values.get(key, [])
    return given[min(index, len(given) - 1)] if given else default


def _seed(text: str) -> float:
    """A seed exactly, where a float would round it."""
    return int(text) if re.fullmatch(r"\d{1,20}", text) else _number(text, "seed")


def _number(text: str, name: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise RequestError(f"The link's {name} is {quoted(text)}; it must be a number.") from None
