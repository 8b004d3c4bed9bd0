"""Prompts from a file: what `tmsa evaluate --prompts FILE` reads.

A JSON list with an object for each prompt. name, target and without are needed; wanted (attribute
-> options that count as success) and implied only where the truth is known, in drawn portraits.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tmsa_core.avatars.params import ATTRIBUTES
from tmsa_core.errors import RequestError, quoted, shortened
from tmsa_core.evaluation.prompts import Prompt

NEEDED = ("name", "target", "without")
TEXTS = (*NEEDED, "neutral")
EXAMPLE = (
    '[{"name": "hat", "target": "human face with a hat", "without": "human face without a hat", '
    '"wanted": {"headwear": ["beanie", "cap", "hat"]}}]'
)


def read_prompts(path: Path) -> tuple[Prompt, ...]:
    """The prompts of a file. Raises RequestError, which shows what a file looks like."""
    try:
        entries = json.loads(path.read_text(encoding="utf-8-sig"))  # some editors write a mark
    except (OSError, ValueError, RecursionError) as error:
        raise RequestError(
            f"{shortened(path)} is no JSON file ({shortened(error)}); write: {EXAMPLE}"
        ) from error
    if not isinstance(entries, list) or not entries:
        raise RequestError(f"{shortened(path)} holds no list of prompts; write: {EXAMPLE}")
    prompts = tuple(_prompt(path, entry) for entry in entries)
    names = [prompt.name for prompt in prompts]
    if twice := {name for name in names if names.count(name) > 1}:
        raise RequestError(
            f"{shortened(path)} has two prompts called {quoted(sorted(twice)[0])}; rename one."
        )
    return prompts


def _prompt(path: Path, entry: Any) -> Prompt:
    if not isinstance(entry, dict) or not all(
        isinstance(entry.get(k), str) and entry[k].strip() for k in NEEDED
    ):
        raise RequestError(
            f"{shortened(path)}: {quoted(entry)} needs name, target, without: {EXAMPLE}"
        )
    if unknown := sorted(entry.keys() - {*TEXTS, "wanted", "implied"}):
        raise RequestError(
            f"{shortened(path)}: {quoted(entry['name'])} has an unknown field {quoted(unknown[0])}."
        )
    neutral = entry.get("neutral", Prompt.neutral)
    if not isinstance(neutral, str) or not neutral.strip():
        raise RequestError(
            f"{shortened(path)}: neutral of {quoted(entry['name'])} is no text: {EXAMPLE}"
        )
    if entry["target"].strip() in (neutral.strip(), entry["without"].strip()):
        raise RequestError(
            f"{shortened(path)}: {quoted(entry['name'])} asks for what its neutral text, or the "
            "one without, says already; let its target differ from both."
        )
    wanted, implied = entry.get("wanted", {}), entry.get("implied", [])
    if not isinstance(wanted, dict) or not isinstance(implied, list):
        raise RequestError(f"{shortened(path)}: wanted is an object and implied a list: {EXAMPLE}")
    for name in (*wanted, *implied):
        if not isinstance(name, str) or name not in ATTRIBUTES:
            raise RequestError(
                f"{shortened(path)}: {quoted(name)} is no attribute; attributes are "
                f"{', '.join(ATTRIBUTES)}."
            )
    for name, options in wanted.items():
        if not isinstance(options, list) or not options:
            raise RequestError(
                f"{shortened(path)}: {name} needs a list of options that count as success, of "
                f"{', '.join(ATTRIBUTES[name].options)}."
            )
        if wrong := [o for o in options if o not in ATTRIBUTES[name].options]:
            raise RequestError(
                f"{shortened(path)}: {name} has no option {quoted(wrong[0])}, only "
                f"{', '.join(ATTRIBUTES[name].options)}."
            )
    return Prompt(
        entry["name"],
        entry["target"],
        entry["without"],
        tuple((name, tuple(options)) for name, options in wanted.items()),
        tuple(implied),
        neutral,
    )
