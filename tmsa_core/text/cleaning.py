"""Clean the texts that users write."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from tmsa_core.errors import TextError, shortened

INVISIBLE = ("Cc", "Cs", "Co", "Cn")  # Unicode categories: control, surrogate, private, unassigned
MAX_RAW_CHARACTERS = 10_000  # of a text before cleaning
MAX_CHARACTERS_CLEANED = 2_000  # in NFKC form: far more than the 77 tokens that CLIP reads
# Unicode's default ignorable code points: soft hyphens, joiners, marks of direction, variation
# selectors, fillers and tags. They are invisible and split a word into meaningless tokens.
IGNORABLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_JOINER, _AS_EMOJI, _KEYCAP = "\u200d", "\ufe0f", "\u20e3"
_TAGS = ("\U000e0020", "\U000e007f")  # first and last; they name regions in flag emojis


def clean_text(text: str | None, name: str = "text") -> str:
    """Convert a text to Unicode's NFKC form, without invisible characters, with single spaces.

    Characters that join an emoji of several parts stay.

    Args:
        text: The text.
        name: How the error calls it, such as "target text".

    Raises:
        TextError: The text is not a string, is empty after cleaning, or is too long.
    """
    if text is not None and not isinstance(text, str):
        raise TextError(f"The {name} is a {shortened(type(text).__name__)}: write it as a text.")
    given = text or ""
    _check_length(len(given), MAX_RAW_CHARACTERS, name)
    normal = " ".join(unicodedata.normalize("NFKC", given).split())
    _check_length(len(normal), MAX_CHARACTERS_CLEANED, name)  # one character may have become 18
    cleaned = " ".join(_visible(normal).split())
    if not cleaned:
        raise TextError(f'The {name} is empty: write a few words, such as "face with glasses".')
    return cleaned


def _check_length(count: int, most: int, name: str) -> None:
    if count > most:
        raise TextError(
            f"The {name} is too long: {count} characters, more than {most}, so say it in fewer "
            "words."
        )


def _visible(text: str) -> str:
    kept: list[str] = []
    for place, character in enumerate(text):
        if unicodedata.category(character) in INVISIBLE:
            continue
        following = text[place + 1 : place + 2]
        if not IGNORABLE.match(character) or _in_emoji(character, kept[-1:], following):
            kept.append(character)
    return "".join(kept)


def _in_emoji(character: str, before: Sequence[str], following: str) -> bool:
    """Whether an ignorable character belongs to an emoji, judged by its neighbours."""
    if not before:
        return False
    emoji = unicodedata.category(before[0]) == "So"
    if character == _AS_EMOJI:
        return emoji or following == _KEYCAP
    if character == _JOINER:
        modified = before[0] == _AS_EMOJI or unicodedata.category(before[0]) == "Sk"
        after = bool(following) and unicodedata.category(following) == "So"
        return (emoji or modified) and after
    if _TAGS[0] <= character <= _TAGS[1]:
        return emoji or _TAGS[0] <= before[0] <= _TAGS[1]
    return False
