"""The caption grammar: phrases and the portraits of which they are true.

The wordings and their format are in ``phrases.ini``; this module reads that file.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from configparser import ConfigParser
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tmsa_core.avatars.params import ATTRIBUTES, TRAITS

LOW, MIDDLE, HIGH = "low", "middle", "high"
TRAIT_OPTIONS = (LOW, MIDDLE, HIGH)
TRAIT_EDGE = 0.5  # a trait is low below -0.5 and high above 0.5
ALL_NAMES = (*TRAITS, *ATTRIBUTES)
KINDS = ("adj", "noun", "pronoun", "have", "wear", "is", "post")

# Options that say what a portrait lacks. Captions mention them with this share of the weight.
NOTHING = {
    **dict.fromkeys(("eyewear", "facial_hair", "headwear", "costume"), "none"),
    **dict.fromkeys(("earrings", "lipstick", "makeup", "freckles", "wrinkles"), "no"),
    "eyes": "open",
}
NOTHING_SHARE = 0.4
# Properties of a thing: a caption that mentions one of these mentions the thing too.
SPOKEN_WITH = {
    "headwear_colour": "headwear",
    "frame_shape": "eyewear",
    "frame_colour": "eyewear",
}
# Attributes that one phrase can name together.
GROUPS: tuple[tuple[str, ...], ...] = (
    ("gender", "age"),
    ("hair_style", "hair_colour"),
    ("eyewear", "frame_shape", "frame_colour"),
    ("headwear", "headwear_colour"),
    ("clothes", "clothes_colour"),
)

CONDITION = re.compile(r"(\w+)(!?=)(\S+)")
SLOT = re.compile(r"\{(\w+)\}")
OPTIONAL_SLOT = re.compile(r"\[(\w+)\] ")
Topic = tuple[str, ...]  # the names of what a phrase is about, in the order of ALL_NAMES


@dataclass(frozen=True, slots=True)
class Phrase:
    """A wording and the portraits of which it is true.

    Attributes:
        kind: Its place in a sentence, see ``phrases.ini``.
        text: The words.
        allows: The options of attributes and traits under which the words are true; those that
            are not listed may have any option.
    """

    kind: str
    text: str
    allows: tuple[tuple[str, tuple[str, ...]], ...]


def options_of(name: str) -> tuple[str, ...]:
    """The options of an attribute; low, middle and high for a trait."""
    return ATTRIBUTES[name].options if name in ATTRIBUTES else TRAIT_OPTIONS


def mention_weights() -> dict[str, float]:
    """How often captions mention each trait and attribute, relative to each other."""
    return {name: float(weight) for name, weight in _grammar()["weights"].items()}


def all_phrases() -> Iterator[tuple[Topic, Phrase]]:
    """Every phrase with its topic, in the order of the file; likelier wordings come repeatedly."""
    grammar = _grammar()
    for section in grammar.sections():
        if section != "weights" and not SLOT.match(section):
            for key, wordings in grammar[section].items():
                yield from parse_line(section.split(), key, wordings)


def parse_line(about: Sequence[str], key: str, wordings: str) -> Iterator[tuple[Topic, Phrase]]:
    """The phrases of one line of the grammar.

    Args:
        about: Names of the line's section.
        key: The line up to the colon: the kind and the conditions.
        wordings: The rest of the line.

    Raises:
        ValueError: The kind or an option is unknown, or the wordings have different slots.
    """
    kind, _, conditions = key.partition(" if ")
    if kind not in KINDS:
        raise ValueError(f"{kind} is none of the kinds {', '.join(KINDS)}")
    allows = {name: _options(name, *rest) for name, *rest in CONDITION.findall(conditions)}
    patterns = _listed(wordings)
    if OPTIONAL_SLOT.search(wordings):
        yield from _filled(about, kind, [OPTIONAL_SLOT.sub("", p) for p in patterns], allows)
        patterns = [OPTIONAL_SLOT.sub(r"{\1} ", p) for p in patterns]
    yield from _filled(about, kind, patterns, allows)


def with_article(noun: str) -> str:
    """The noun phrase after "a" or "an"."""
    return ("an " if noun[0] in "aeiou" else "a ") + noun


@cache
def _grammar() -> ConfigParser:
    """The sections of ``phrases.ini``."""
    parser = ConfigParser(delimiters=(":",), comment_prefixes=("#",), interpolation=None)
    parser.read_string(Path(__file__).with_name("phrases.ini").read_text("utf-8"))
    return parser


def _filled(
    about: Iterable[str], kind: str, patterns: Sequence[str], allows: dict[str, tuple[str, ...]]
) -> Iterator[tuple[Topic, Phrase]]:
    """The phrases of patterns for every combination of words in their slots."""
    slots = _in_order(SLOT.findall(patterns[0]))
    if any(_in_order(SLOT.findall(pattern)) != slots for pattern in patterns):
        raise ValueError(f"all wordings of one line need the same slots: {patterns}")
    topic = _in_order([*about, *slots])
    for choice in itertools.product(*(_slot_words(slot) for slot in slots)):
        words = {slot: word for slot, (_, word) in zip(slots, choice, strict=True)}
        true = {slot: options for slot, (options, _) in zip(slots, choice, strict=True)}
        for pattern in patterns:
            text = _fit_articles(pattern.format(**words))
            yield topic, Phrase(kind, text, tuple((allows | true).items()))


def _slot_words(slot: str) -> list[tuple[tuple[str, ...], str]]:
    """The words that fill a slot, each with the options that it names."""
    section = f"{{{slot}}}"
    if not _grammar().has_section(section):
        return [((option,), option) for option in options_of(slot)]
    rows = _grammar()[section].items()
    return [(tuple(key.split(",")), word) for key, words in rows for word in _listed(words)]


def _options(name: str, sign: str, listed: str) -> tuple[str, ...]:
    """The options that fulfil a condition: those listed after "=", all others after "!="."""
    named = tuple(listed.split(","))
    if unknown := set(named) - set(options_of(name)):
        raise ValueError(f"{name} has no option {', '.join(sorted(unknown))}")
    return named if sign == "=" else tuple(o for o in options_of(name) if o not in named)


def _listed(texts: str) -> list[str]:
    """Turn "a*2 | b" into [a, a, b]."""
    items: list[str] = []
    for item in texts.split("|"):
        text, _, times = " ".join(item.split()).partition("*")
        items += [text] * int(times or 1)
    return items


def _in_order(names: Iterable[str]) -> Topic:
    """Different names in the order of ``ALL_NAMES``."""
    return tuple(sorted(set(names), key=ALL_NAMES.index))


def _fit_articles(text: str) -> str:
    """The text with each "a" turned into "an" where the next word asks for it, and back."""
    return re.sub(r"\ban? (\S+)", lambda found: with_article(found[1]), text)
