"""Reads prompts from a file: ``tmsa evaluate --prompts FILE``.

The file is a JSON list with one object per prompt. ``name``, ``target`` and ``without`` are
required. ``wanted`` (attribute -> options that count as success) and ``implied`` are for drawn
portraits, whose attributes are known.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tmsa_core.avatars.params import ATTRIBUTES
from tmsa_core.errors import RequestError, quoted, shortened
from tmsa_core.evaluation.prompts import Prompt

NEEDED = ("name", "target", "without")
FIELDS = {*NEEDED, "neutral", "wanted", "implied"}
EXAMPLE = (
    '[{"name": "hat", "target": "human face with a hat", "without": "human face without a hat", '
    '"wanted": {"headwear": ["beanie", "cap", "hat"]}}]'
)


def read_prompts(path: Path) -> tuple[Prompt, ...]:
    """Returns the prompts of a file.

    Raises:
        RequestError: The file is missing or wrong; the message shows an example.
    """
    try:
        entries = json.loads(path.read_text(encoding="utf-8-sig"))  # some editors add a mark
    except (OSError, ValueError, RecursionError) as error:
        raise RequestError(
            f"{shortened(path)} is not a JSON file ({shortened(error)}); write: {EXAMPLE}"
        ) from error
    try:
        if not isinstance(entries, list) or not entries:
            raise ValueError(f"it has no list of prompts; write: {EXAMPLE}")
        prompts = tuple(_prompt(entry) for entry in entries)
        names = [prompt.name for prompt in prompts]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"it has two prompts called {quoted(name)}; rename one.")
    except ValueError as error:
        raise RequestError(f"{shortened(path)}: {error}") from error
    return prompts


def _prompt(entry: Any) -> Prompt:
    if not isinstance(entry, dict) or not all(_is_text(entry.get(field)) for field in NEEDED):
        raise ValueError(f"{quoted(entry)} needs name, target, without: {EXAMPLE}")
    name, target, without = (entry[field] for field in NEEDED)
    if unknown := sorted(entry.keys() - FIELDS):
        raise ValueError(f"{quoted(name)} has an unknown field {quoted(unknown[0])}.")
    neutral = entry.get("neutral", Prompt.neutral)
    if not _is_text(neutral):
        raise ValueError(f"neutral of {quoted(name)} is not a text: {EXAMPLE}")
    if target.strip() in (neutral.strip(), without.strip()):
        raise ValueError(
            f"the target of {quoted(name)} is the same as its neutral text or the one without; "
            "change one of them."
        )
    wanted, implied = entry.get("wanted", {}), entry.get("implied", [])
    if not isinstance(wanted, dict) or not isinstance(implied, list):
        raise ValueError(f"wanted is an object and implied a list: {EXAMPLE}")
    for attribute in (*wanted, *implied):
        if not isinstance(attribute, str) or attribute not in ATTRIBUTES:
            known = ", ".join(ATTRIBUTES)
            raise ValueError(f"{quoted(attribute)} is not an attribute; attributes are {known}.")
    options = tuple((attribute, _options(attribute, found)) for attribute, found in wanted.items())
    return Prompt(name, target, without, options, tuple(implied), neutral)


def _options(attribute: str, options: Any) -> tuple[str, ...]:
    known = ATTRIBUTES[attribute].options
    if not isinstance(options, list) or not options:
        raise ValueError(
            f"{attribute} needs a list of options that count as success, of {', '.join(known)}."
        )
    for option in options:
        if option not in known:
            raise ValueError(
                f"{attribute} has no option {quoted(option)}, only {', '.join(known)}."
            )
    return tuple(options)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())
