"""Texts, numbers and other values that nobody should send, and some that are right."""

from __future__ import annotations

import math
from random import Random
from typing import Any

TEXTS = (
    "human face",
    "human face with sunglasses",
    "old human face",
    "",
    "   ",
    "\x00",
    "a\x00b\x1b[31m\x7f",
    "\ud800 half a pair",
    "\u202eecaf namuh\u202c\u2066",
    "<img src=x onerror=alert(1)><form action=//x>",
    "=cmd|' /C calc'!A0",
    "{0.__class__} %s %n ${x}",
    "../../../etc/passwd",
    "\U0001f469\u200d\U0001f680" * 40,
    "\u0130\u00df\ufb03\u1e9e",
    "-1",
    "null",
    "[1, 2",
)
FLOODS = ("\ufdfa", "a", "e\u0301", "\u202e", "<", "\U0001f600", "face ", "\u0e33", "[")
NUMBERS: tuple[Any, ...] = (
    0, 1, -1, 0.5, 2, 7, 0.1, -0.0, 3.0000001, 99, 1e9, -1e308, 1e-320, 2**31, 2**63, 2**64,
    10**400, -(10**400), math.nan, math.inf, -math.inf, True, "1", "1e400", "NaN", "Infinity",
    "0x10", "1_0", "\u0663", " 2 ", "1,5", "9" * 5000,
)  # fmt: skip


def text(rng: Random) -> str:
    """A text: short, or a flood of up to 300,000 letters, or random letters of all planes."""
    choice = rng.random()
    if choice < 0.6:
        return rng.choice(TEXTS)
    if choice < 0.8:
        return rng.choice(FLOODS) * rng.choice((50, 700, 5_000, 300_000))
    return "".join(chr(rng.randrange(0x110000)) for _ in range(rng.randrange(1, 200)))


def short_text(rng: Random, most: int = 2_000) -> str:
    """A text of at most so many letters, for file names, addresses and command lines."""
    return text(rng)[:most]


def nested(depth: int) -> Any:
    """Lists inside lists."""
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


def junk(rng: Random) -> Any:
    """A value that JSON can hold, of any kind."""
    return rng.choice(
        (
            None, True, False, [], {}, [[]], [None], {"": ""}, {"path": 5}, {"__type__": "update"},
            {"a": [1, {"b": None}]}, nested(50), [0] * 1000, text(rng), rng.choice(NUMBERS),
            {text(rng)[:50]: rng.choice(NUMBERS)},
        )
    )  # fmt: skip


def edits(rng: Random) -> Any:
    """What may be sent as a list of further edits."""
    good = {"target_text": rng.choice(TEXTS), "alpha": rng.choice(NUMBERS)}
    wrong = {rng.choice(("target_text", "levels", "alpha", "threshold", "x")): junk(rng)}
    return rng.choice(
        ([good], [good | wrong], [good] * 20, [wrong], [junk(rng)], junk(rng), "[" * 100_000)
    )


def recipe(rng: Random) -> Any:
    """What may stand in an image as its recipe."""
    edit: dict[str, Any] = {"neutral_text": "human face", "target_text": text(rng)}
    edit |= {rng.choice(("alpha", "levels", "threshold", "target_text")): junk(rng)}
    whole = {"domain": "avatar", "edits": [edit], "seed": rng.choice(NUMBERS)}
    return rng.choice((whole, whole | {"edits": junk(rng)}, whole | {"domain": junk(rng)}))
