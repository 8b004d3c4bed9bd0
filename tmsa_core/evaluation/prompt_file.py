"""Prompts from a file: what `tmsa evaluate --prompts FILE` reads.

A JSON list with an object for each prompt. name, target and without are needed; wanted (attribute
-> options that count as success) and implied only where the truth is known, in drawn portraits.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tmsa_core.avatars.params import ATTRIBUTES
from tmsa_core.errors import RequestError
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
        entries = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RequestError(f"{path} is no JSON file ({error}); write: {EXAMPLE}") from error
    if not isinstance(entries, list) or not entries:
        raise RequestError(f"{path} holds no list of prompts; write: {EXAMPLE}")
    prompts = tuple(_prompt(path, entry) for entry in entries)
    names = [prompt.name for prompt in prompts]
    if twice := {name for name in names if names.count(name) > 1}:
        raise RequestError(f"{path} has two prompts called {sorted(twice)[0]!r}; rename one.")
    return prompts


def _prompt(path: Path, entry: Any) -> Prompt:
    if not isinstance(entry, dict) or not all(
        isinstance(entry.get(k), str) and entry[k].strip() for k in NEEDED
    ):
        raise RequestError(f"{path}: {str(entry)[:60]!r} needs name, target, without: {EXAMPLE}")
    if unknown := sorted(entry.keys() - {*TEXTS, "wanted", "implied"}):
        raise RequestError(f"{path}: {entry['name']!r} has an unknown field {unknown[0]!r}.")
    wanted, implied = entry.get("wanted", {}), entry.get("implied", [])
    if not isinstance(wanted, dict) or not isinstance(implied, list):
        raise RequestError(f"{path}: wanted is an object and implied a list: {EXAMPLE}")
    for name in (*wanted, *implied):
        options = wanted.get(name, [])
        if name not in ATTRIBUTES or not isinstance(options, list):
            raise RequestError(
                f"{path}: {name!r} is no attribute with a list of options; attributes are "
                f"{', '.join(ATTRIBUTES)}."
            )
        if wrong := [o for o in options if o not in ATTRIBUTES[name].options]:
            raise RequestError(
                f"{path}: {name} has no option {wrong[0]!r}, only "
                f"{', '.join(ATTRIBUTES[name].options)}."
            )
    return Prompt(
        entry["name"],
        entry["target"],
        entry["without"],
        tuple((name, tuple(options)) for name, options in wanted.items()),
        tuple(implied),
        **({"neutral": entry["neutral"]} if "neutral" in entry else {}),
    )
