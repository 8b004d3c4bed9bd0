"""The words of a text, as the reader walks through them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass

from tmsa_core.avatars.reading import data_files
from tmsa_core.avatars.reading.phrase_table import ARTICLES

BREAK = ","  # stands for every mark that separates parts of a text
PIECE = re.compile(r"[^\W_]+(?:'[^\W_]+)*|[,.;:!?()\n]|\+|&")
LEAST_SHARE = 0.6  # of a text's words in the list of a language, for the text to be in it
KID, ADULT = 17, 59  # the last year of childhood, and the last before old age
_UNITS = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
_UNITS += " fifteen sixteen seventeen eighteen nineteen"
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety hundred"
NUMBERS = {word: n for n, word in enumerate(_UNITS.split())}
NUMBERS |= {word: 20 + 10 * n for n, word in enumerate(_TENS.split())}
_NUMBER = rf"(\d{{1,3}}|{'|'.join(NUMBERS)})"
YEARS = re.compile(
    rf"\b(?:age[ds]?|turn(?:ed|ing)?|about|at) (?:of )?{_NUMBER}(?: years?(?: old)?)?\b"
    rf"|\b{_NUMBER}[- ]?(?:years?|yrs?|yo|y/o)(?:[- ]?olds?)?\b"
)
LATER = re.compile(rf"\b(?:{_NUMBER}|many|few|some) years? (older|younger)\b")
DECADE = re.compile(r"\b([1-9])0'?s\b")
NEGATION = re.compile(r"n[’']?t\b")
NEGATED = re.compile(r"\b(do|does|did|is|are|was|were|has|have|should|must|would|could)n[’']?t\b")


@dataclass(frozen=True)
class Token:
    """One word, or ``BREAK``.

    Attributes:
        word: The word in the form in which it is looked up.
        was: The word in the text, in lower case; empty for the second half of a word.
        certainty: How sure ``word`` is.
    """

    word: str
    was: str
    certainty: float = 1.0


def tokenise(text: str, english: Collection[str] | None = None) -> list[Token]:
    """The words and breaks of a text, without articles.

    Args:
        text: The text.
        english: English words, by which a foreign text is told, and translated; None for a text
            that is English for sure.
    """
    plain = _with_ages(_emoji_named(text).lower().replace("’", "'"))
    plain = NEGATED.sub(r"\1 not", plain).replace("-less", " less ")
    pieces = PIECE.findall(plain.replace("'s", ""))
    tokens = []
    for piece in pieces if english is None else _translated(pieces, english):
        word = piece.replace("'", "")
        if piece in ("+", "&"):
            tokens.append(Token("and", "and"))
        elif not word[0].isalnum():
            tokens.append(Token(BREAK, BREAK))
        elif word not in ARTICLES:
            tokens.append(Token(word, word))
    return tokens


def _emoji_named(text: str) -> str:
    """The text with each emoji replaced by its Unicode name, which is English."""
    return "".join(
        f" {unicodedata.name(c, '').lower()} " if unicodedata.category(c) == "So" else c
        for c in text
    )


def _with_ages(text: str) -> str:
    """The text with ages in years and decades as words: "80 years old" as "old person"."""
    text = LATER.sub(r"\2", text)
    text = DECADE.sub(lambda found: f" {_age_word(10 * int(found[1]))} ", text)
    return YEARS.sub(
        lambda found: f" {_age_word(_number(next(g for g in found.groups() if g)))} ", text
    )


def _number(word: str) -> int:
    return NUMBERS[word] if word in NUMBERS else int(word)


def _age_word(years: int) -> str:
    return "kid" if years <= KID else "adult" if years <= ADULT else "old"


def _translated(pieces: list[str], english: Collection[str]) -> list[str]:
    """The pieces in English if most of them, and one that is not English, are in a foreign list."""
    words = [piece for piece in pieces if piece[0].isalpha()]
    for table in data_files.languages().values():
        known = [word for word in words if word in table]
        if len(known) >= LEAST_SHARE * len(words) and any(w not in english for w in known):
            return " ".join(table.get(piece, piece) for piece in pieces).split()
    return pieces
