"""The data files of the reader: synonyms, associations, instructions and foreign words.

Contributors extend each by one line; the head of each file says how it reads.
"""

from __future__ import annotations

import lzma
import re
from collections.abc import Iterator, Mapping
from configparser import ConfigParser
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent
LEXICON = FOLDER / "lexicon.txt.xz"


@dataclass(frozen=True, slots=True)
class Entry:
    """What a line of ``thesaurus.ini`` or ``associations.ini`` says of one wording.

    Attributes:
        wording: The words that a user may write.
        readings: Descriptions in known words, the best first; "~" before one that is only near.
        lacks: What of the meaning is not drawn, such as "an eye patch"; often empty.
        is_concept: Whether the wording names a kind of person, whose details any other words of
            the text override.
    """

    wording: str
    readings: tuple[str, ...]
    lacks: str
    is_concept: bool


def read_entries() -> Iterator[Entry]:
    """The entries of the thesaurus, then those of the associations."""
    for name, is_concept in (("thesaurus", False), ("associations", True)):
        for section, lines in _ini(name).items():
            if section not in ("synonyms", "nearest colours"):
                for wordings, value in lines.items():
                    described, _, lacks = value.partition(";")
                    readings = _listed(described)
                    for wording in _listed(wordings):
                        yield Entry(wording, readings, lacks.strip(), is_concept)


@cache
def synonyms() -> Mapping[str, str]:
    """Words that stand for one known word in any phrase: "crimson" for "red"."""
    lines = _ini("thesaurus")["synonyms"].items()
    return {word: known for known, words in lines for word in words.split()}


@cache
def nearest_colours() -> Mapping[str, tuple[str, ...]]:
    """For each colour, those that come nearest where a thing is not drawn in it."""
    return {c: tuple(v.split()) for c, v in _ini("thesaurus")["nearest colours"].items()}


@cache
def instruction_words(kind: str) -> frozenset[tuple[str, ...]]:
    """The words of a section of ``instructions.ini``, each as a tuple of tokens."""
    return frozenset(tuple(words.split()) for words in _listed(_ini("instructions")[kind]["words"]))


@cache
def languages() -> Mapping[str, Mapping[str, str]]:
    """For each foreign language, its words and their English translations."""
    return {
        name: {word: english for english, words in lines.items() for word in _listed(words)}
        for name, lines in _ini("languages").items()
    }


@cache
def lexicon() -> Mapping[str, tuple[str, float]]:
    """WordNet's words, each with what is drawable of it and how sure that is, in [0, 1].

    A word with an empty reading is English, but nothing here looks like it.
    """
    found: dict[str, tuple[str, float]] = {}
    if not LEXICON.is_file():
        return found
    reading, certainty = "", 0.0
    for line in lzma.decompress(LEXICON.read_bytes()).decode().splitlines():
        if line.startswith("="):  # "=certainty reading": of the words on the lines that follow
            number, _, reading = line[1:].partition(" ")
            certainty = float(number)
        else:
            found[line] = (reading, certainty)
    return found


def _ini(name: str) -> dict[str, dict[str, str]]:
    """The sections of a data file."""
    parser = ConfigParser(delimiters=(":",), comment_prefixes=("#",), interpolation=None)
    parser.read_string((FOLDER / f"{name}.ini").read_text("utf-8"), source=f"{name}.ini")
    return {
        section: {" ".join(k.split()): " ".join(v.split()) for k, v in lines.items()}
        for section, lines in parser.items()
        if section != "DEFAULT"
    }


def _listed(texts: str) -> tuple[str, ...]:
    """Split "a | b" into ("a", "b")."""
    return tuple(part for text in re.split(r"\|", texts) if (part := text.strip()))
