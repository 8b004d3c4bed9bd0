"""The shapes of a caption: from a handful of phrases to a line of text.

Each shape is a function from phrases (at most one of them a noun) and a source of randomness
to a text. The shapes imitate what people type: bare words, "human face with glasses", a full
noun phrase, a list with commas, a sentence.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import TypeVar

from tmsa_core.avatars.language.phrases import Phrase, with_article

T = TypeVar("T")
Shape = Callable[[Sequence[Phrase], random.Random], str]

NEUTRAL_TEXTS = (
    "human face", "a human face", "face", "a face", "person", "a person", "human", "a human",
    "human head", "head", "a head", "portrait", "a portrait", "somebody", "someone",
    "a portrait of a person", "a portrait of somebody", "a drawing of somebody",
    "a drawing of a person", "a drawing of a face", "a photo of a face", "a photo of a person",
    "a picture of a face", "a picture of a person", "a picture of someone", "a human being",
    "an image of a human face", "a cartoon face", "an avatar", "a character", "an individual",
    "a face of a person", "the face of a person", "this is a person", "this is a face", "people",
)  # fmt: skip
NEUTRAL_NOUNS = (
    *("person",) * 6, *("face",) * 6, *("human face",) * 9, *("human",) * 2, *("head",) * 2,
    "human head", "portrait", "character", "avatar", "human being", "individual", "cartoon face",
)  # fmt: skip
NAMELESS = ("someone", "somebody")  # take no article and no adjective
PREFIXES = (
    *("a photo of",) * 3, "photo of", *("a portrait of",) * 2, "portrait of", "a picture of",
    "picture of", "an image of", "a drawing of", "a cartoon of", "a close-up of",
    "an illustration of", "a headshot of", "this is", "the face of",
)  # fmt: skip
SUBJECTS = ("this person", "the person", "the face", "this face", *NAMELESS, "the human face",
            "a person", "a face")  # fmt: skip
HAVING = (*("with",) * 12, "having", "who has")
OTHER_WORDS = "a an the this with wearing wears has is who and , ."


def one(items: Sequence[T], rng: random.Random) -> T:
    """A random item; quicker than ``random.choice``."""
    return items[int(rng.random() * len(items))]


def draw_shape(count: int, rng: random.Random) -> Shape:
    """A shape that suits a caption about ``count`` attributes."""
    if count == 0:
        return neutral_text
    chance = rng.random()
    if count == 1:
        if chance < 0.25:
            return bare_words
        if chance < 0.55:
            return typed
        return plain_phrase if chance < 0.82 else noun_phrase
    if count == 2 and chance < 0.3:
        return typed if chance < 0.15 else plain_phrase
    return noun_phrase if chance < 0.7 else comma_list if chance < 0.83 else sentence


def neutral_text(phrases: Sequence[Phrase], rng: random.Random) -> str:
    """A text that says nothing but that there is somebody."""
    return one(NEUTRAL_TEXTS, rng)


def bare_words(phrases: Sequence[Phrase], rng: random.Random) -> str:
    """One phrase alone: "glasses", "a beard", "smiling", "old man"."""
    text = phrases[0].text
    if phrases[0].kind == "noun":
        return _determined(text, 0.6, rng)
    return _without_article(text) if rng.random() < 0.5 else text


def typed(phrases: Sequence[Phrase], rng: random.Random) -> str:
    """The usual texts of an edit: "human face with glasses", "smiling face", "old man"."""
    kinds = _by_kind(phrases)
    noun = one(kinds["noun"] or ("human face", "human face", "face", "person"), rng)
    things = kinds["have"] + kinds["wear"]
    if rng.random() < 0.3:
        things = [_without_article(thing) for thing in things]
    tail = ["with " + " and ".join(things)] if things else []
    return " ".join([*kinds["adj"], noun, *tail, *kinds["is"], *kinds["post"]])


def plain_phrase(phrases: Sequence[Phrase], rng: random.Random) -> str:
    """Like ``typed``, with more nouns: "a smiling person", "photo of a character with a hat"."""
    kinds = _by_kind(phrases)
    adjectives = " ".join(kinds["adj"])
    noun = one(kinds["noun"] or NEUTRAL_NOUNS, rng)
    text = _determined(f"{adjectives} {noun}".strip(), 0.4, rng)
    if rng.random() < 0.2:
        text = f"{one(PREFIXES, rng)} {text}"
    things = kinds["have"] + kinds["wear"]
    if things and rng.random() < 0.25:
        things = [_without_article(thing) for thing in things]
    if kinds["wear"] and not kinds["have"] and rng.random() < 0.4:
        text += " wearing " + " and ".join(things)
    elif things:
        text += f" {one(HAVING, rng)} " + " and ".join(things)
    return " ".join([text, *kinds["is"], *kinds["post"]])


def noun_phrase(phrases: Sequence[Phrase], rng: random.Random) -> str:
    """ "portrait of a little girl with pigtails and freckles, wearing a red hat"."""
    kinds = _by_kind(phrases)
    text = _head(kinds, rng)
    if rng.random() < 0.4:
        text = f"{one(PREFIXES, rng)} {text}"
    haves, wears = kinds["have"], kinds["wear"]
    if wears and rng.random() < 0.4:
        haves, wears = haves + wears, []
        rng.shuffle(haves)
    tails = [_is_tail(word, rng) for word in kinds["is"]]
    if haves:
        tails.append(f"{one(HAVING, rng)} {_joined(haves)}")
    if wears:
        tails.append("wearing " + _joined(wears))
    rng.shuffle(tails)
    for tail in tails:
        text += (" " if rng.random() < 0.6 or text[-1] == "," else ", ") + tail
    for tail in kinds["post"]:
        text += (" " if rng.random() < 0.5 else ", ") + tail
    return text


def comma_list(phrases: Sequence[Phrase], rng: random.Random) -> str:
    """ "old man, glasses, smiling"."""
    bare = rng.random() < 0.7
    items = [_without_article(p.text) if bare else p.text for p in phrases if p.kind != "noun"]
    rng.shuffle(items)
    nouns = [p.text for p in phrases if p.kind == "noun"]
    if nouns or rng.random() < 0.5:
        items.insert(0, _determined(one(nouns or NEUTRAL_NOUNS, rng), 0.5, rng))
    return ", ".join(items)


def sentence(phrases: Sequence[Phrase], rng: random.Random) -> str:
    """ "he has a beard and is smiling"."""
    kinds = _by_kind(phrases)
    states = kinds["adj"] + kinds["is"]
    clauses: list[str] = []
    if kinds["have"]:
        clauses.append("has " + _joined(kinds["have"]))
    if kinds["wear"]:
        verb = "wears " if rng.random() < 0.5 else "is wearing "
        clauses.append(verb + _joined(kinds["wear"]))
    if states:
        clauses.append("is " + _joined(states))
    rng.shuffle(clauses)
    if kinds["post"]:
        last = _joined(kinds["post"])
        clauses.append(last if clauses and rng.random() < 0.5 else "is " + last)
    if not clauses:
        return noun_phrase(phrases, rng)
    return f"{_subject(kinds, rng)} {clauses[0]}" + "".join(
        _conjunction(clause, rng) + clause for clause in clauses[1:]
    )


def _by_kind(phrases: Sequence[Phrase]) -> dict[str, list[str]]:
    kinds: dict[str, list[str]] = {
        "adj": [],
        "noun": [],
        "pronoun": [],
        "have": [],
        "wear": [],
        "is": [],
        "post": [],
    }
    for phrase in phrases:
        kinds[phrase.kind].append(phrase.text)
    return kinds


def _head(kinds: dict[str, list[str]], rng: random.Random) -> str:
    """Article, adjectives and noun."""
    if not kinds["adj"] and not kinds["noun"] and rng.random() < 0.1:
        return one(NAMELESS, rng)
    between = " " if rng.random() < 0.6 else ", "
    adjectives = between.join(kinds["adj"])
    noun = one(kinds["noun"] or NEUTRAL_NOUNS, rng)
    return _determined(f"{adjectives} {noun}".strip(), 0.7, rng)


def _determined(noun: str, share: float, rng: random.Random) -> str:
    """The noun with "a" in a ``share`` of cases, seldom "the", else bare."""
    chance = rng.random()
    if chance < share:
        return with_article(noun)
    return "the " + noun if chance > 0.95 else noun


def _without_article(text: str) -> str:
    return text[2:] if text.startswith("a ") else text[3:] if text.startswith("an ") else text


def _is_tail(word: str, rng: random.Random) -> str:
    return "who is " + word if rng.random() < 0.3 else word


def _subject(kinds: dict[str, list[str]], rng: random.Random) -> str:
    if kinds["pronoun"]:
        return kinds["pronoun"][0]
    if kinds["noun"]:
        return ("the " if rng.random() < 0.5 else "this ") + kinds["noun"][0]
    return one(SUBJECTS, rng)


def _conjunction(clause: str, rng: random.Random) -> str:
    """What goes before a further clause: "and" only where a verb follows."""
    has_verb = clause.startswith(("has ", "is ", "wears "))
    return " and " if has_verb and rng.random() < 0.6 else ", "


def _joined(items: Sequence[str]) -> str:
    """ "a, b and c"."""
    if len(items) < 2:
        return items[0]
    return ", ".join(items[:-1]) + " and " + items[-1]
