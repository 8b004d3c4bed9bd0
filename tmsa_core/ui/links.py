"""Settings of the Edit tab as values: read from and written to links, read from recipes."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from tmsa_core.align.regions import LONGEST, region_text
from tmsa_core.datatypes import EditRequest
from tmsa_core.errors import RequestError, quoted
from tmsa_core.validation import MAX_LAYERS, parse_levels

MAX_CHARACTERS = 600  # of a text; the text encoder reads far fewer
STRENGTHS = (-2.0, 3.0)  # range of the page's slider; scripts may use more
THRESHOLDS = (0.0, 0.95)  # range of the page's slider


@dataclass(frozen=True)
class EditSettings:
    """What a visitor set on the Edit tab, without the image.

    Attributes:
        edits: The stacked edits.
        domain: Key of the domain; "" keeps the page's own.
        inversion: Name of the inversion; "" keeps the page's own.
        seed: Seed of the random portrait, if it is one.
        sample: Name of the sample portrait, if it is one.
    """

    edits: tuple[EditRequest, ...] = ()
    domain: str = ""
    inversion: str = ""
    seed: int | None = None
    sample: str | None = None


def to_query(settings: EditSettings) -> str:
    """Write settings as a link's query, with "?" and without defaults; ``from_query`` reads it."""
    fields = {
        "domain": settings.domain,
        "seed": settings.seed,
        "sample": settings.sample,
        "inversion": settings.inversion,
    }
    pairs = [(name, str(value)) for name, value in fields.items() if value not in (None, "")]
    for edit in settings.edits:
        pairs += [("neutral", edit.neutral_text), ("target", edit.target_text)]
        pairs.append(("alpha", f"{edit.alpha:g}"))
        levels = edit.levels if isinstance(edit.levels, str) else ",".join(map(str, edit.levels))
        pairs += [("levels", levels), ("threshold", f"{edit.threshold:g}")]
        pairs.append(("region", region_text(edit.region)))
    if len(settings.edits) == 1:  # several edits need all fields, which are matched by order
        defaults = {"levels": "all", "threshold": "0", "region": ""}
        pairs = [(key, value) for key, value in pairs if defaults.get(key) != value]
    return "?" + urlencode(pairs)


def from_query(pairs: Iterable[tuple[str, str]]) -> EditSettings:
    """Read the settings of a link's query.

    The fields of an edit, such as ``target`` and ``alpha``, may occur once per edit. Unknown keys
    are ignored.

    Raises:
        RequestError: A value is invalid.
    """
    values: dict[str, list[str]] = {}
    for key, value in pairs:
        values.setdefault(key, []).append(value)
    edits = [
        {
            "neutral_text": _nth(values, "neutral", i, "human face"),
            "target_text": target,
            "alpha": _number(_nth(values, "alpha", i, "1"), "alpha"),
            "levels": parse_levels(_nth(values, "levels", i, "all")),
            "threshold": _number(_nth(values, "threshold", i, "0"), "threshold"),
            "region": _nth(values, "region", i, ""),
        }
        for i, target in enumerate(values.get("target", []))
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
    """Read the settings of an image's recipe, with at most ``MAX_LAYERS`` edits.

    Raises:
        RequestError: The recipe is invalid.
    """
    try:
        edits = tuple(_edit(raw) for raw in recipe.get("edits", ()))
        seed, sample = recipe.get("seed"), recipe.get("sample")
        # The w_plus of a random portrait is known, so there is nothing to invert.
        inversion = recipe.get("inversion", "e4e" if seed is None else "")
        return EditSettings(
            edits[:MAX_LAYERS],
            _text(recipe.get("domain", "")),
            _text(inversion),
            None if seed is None else int(seed),
            None if sample is None else _text(sample),
        )
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise RequestError("The recipe cannot be read; set the texts by hand.") from error


def within_page(edit: EditRequest) -> EditRequest:
    """Limit an edit's strength and threshold to the ranges of the page's sliders."""
    return replace(
        edit,
        alpha=min(max(edit.alpha, STRENGTHS[0]), STRENGTHS[1]),
        threshold=min(max(edit.threshold, THRESHOLDS[0]), THRESHOLDS[1]),
    )


def _edit(raw: Mapping[str, Any]) -> EditRequest:
    levels = raw.get("levels", "all")
    alpha, threshold = float(raw.get("alpha", 1.0)), float(raw.get("threshold", 0.0))
    if not (math.isfinite(alpha) and math.isfinite(threshold)):
        raise ValueError("the strength or the threshold is not finite")
    return EditRequest(
        neutral_text=_text(raw["neutral_text"]),
        target_text=_text(raw["target_text"]),
        alpha=alpha,
        levels=levels if isinstance(levels, str) else tuple(int(i) for i in levels),
        threshold=threshold,
        region=region_text(_text(raw.get("region", ""), LONGEST)),
    )


def _text(value: object, longest: int = MAX_CHARACTERS) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected a text, got {type(value).__name__}")
    return value[:longest]


def _nth(values: Mapping[str, list[str]], key: str, index: int, default: str) -> str:
    """Return the value of a key for an edit; the last value serves all further edits."""
    given = values.get(key, [])
    return given[min(index, len(given) - 1)] if given else default


def _seed(text: str) -> float:
    """Read a seed exactly; a float would round a long one."""
    return int(text) if re.fullmatch(r"\d{1,20}", text) else _number(text, "seed")


def _number(text: str, name: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise RequestError(f"The link's {name} is {quoted(text)}; it must be a number.") from None
