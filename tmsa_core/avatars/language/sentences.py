"""The shapes of a caption: each function turns a few phrases into one line of text.

A shape takes phrases, at most one of them a noun, and a source of randomness. The shapes imitate
what people type: bare words, "human face with glasses", a full noun phrase, a list with commas, a
sentence. Their frequencies are the authors' choices. A list repeats its likelier items.
"""

from __future__ import annotations

import random
from collections import defaultdict
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


def pick(items: Sequence[T], rng: random.Random) -> T:
    """A random item. This is faster than ``random.choice``."""
    return items[int(rng.random() * len(items))]


def choose_shape(count: int, rng: random.Random) -> Shape:
    """A shape that suits a caption about ``count`` attributes."""
    if count == 0:
        return neutral_text
    chance = rng.random()
    if count == 1:
        if chance < 0.25:
            return bare_words
        if chance < 0.55:
            return short_prompt
        return plain_phrase if chance < 0.82 else noun_phrase
    if count == 2 and chance < 0.3:
        return short_prompt if chance < 0.15 else plain_phrase
    return noun_phrase if chance < 0.7 else comma_list if chance < 0.83 else sentence


def neutral_text(phrases: Sequence[Phrase], rng: random.Random) -> str:
    """A text about any person: "a human face"."""
    return pick(NEUTRAL_TEXTS, rng)


def bare_words(phrases: Sequence[Phrase], rng: random.Random) -> str:
    """A single phrase: "glasses", "a beard", "smiling", "old man"."""
    text = phrases[0].text
    if phrases[0].kind == "noun":
        return _maybe_with_article(text, 0.6, rng)
    return _without_article(text) if rng.random() < 0.5 else text


def short_prompt(phrases: Sequence[Phrase], rng: random.Random) -> str:
    """A typical edit prompt: "human face with glasses", "smiling face", "old man"."""
    kinds = _by_kind(phrases)
    noun = pick(kinds["noun"] or ("human face", "human face", "face", "person"), rng)
    things = kinds["have"] + kinds["wear"]
    if rng.random() < 0.3:
        things = [_without_article(thing) for thing in things]
    tail = ["with " + " and ".join(things)] if things else []
    return " ".join([*kinds["adj"], noun, *tail, *kinds["is"], *kinds["post"]])


def plain_phrase(phrases: Sequence[Phrase], rng: random.Random) -> str:
    """Like ``short_prompt`` with more nouns: "photo of a smiling character with a hat"."""
    kinds = _by_kind(phrases)
    adjectives = " ".join(kinds["adj"])
    noun = pick(kinds["noun"] or NEUTRAL_NOUNS, rng)
    text = _maybe_with_article(f"{adjectives} {noun}".strip(), 0.4, rng)
    if rng.random() < 0.2:
        text = f"{pick(PREFIXES, rng)} {text}"
    things = kinds["have"] + kinds["wear"]
    if things and rng.random() < 0.25:
        things = [_without_article(thing) for thing in things]
    if kinds["wear"] and not kinds["have"] and rng.random() < 0.4:
        text += " wearing " + " and ".join(things)
    elif things:
        text += f" {pick(HAVING, rng)} " + " and ".join(things)
    return " ".join([text, *kinds["is"], *kinds["post"]])


def noun_phrase(phrases: Sequence[Phrase], rng: random.Random) -> str:
    """Like "portrait of a little girl with pigtails and freckles, wearing a red hat"."""
    # The noun with its adjectives
    kinds = _by_kind(phrases)
    text = _noun_with_adjectives(kinds, rng)
    if rng.random() < 0.4:
        text = f"{pick(PREFIXES, rng)} {text}"

    # Features and clothes, in one list after "with" or in two lists
    haves, wears = kinds["have"], kinds["wear"]
    if wears and rng.random() < 0.4:
        haves, wears = haves + wears, []
        rng.shuffle(haves)
    tails = ["who is " + word if rng.random() < 0.3 else word for word in kinds["is"]]
    if haves:
        tails.append(f"{pick(HAVING, rng)} {_joined(haves)}")
    if wears:
        tails.append("wearing " + _joined(wears))

    # Join them with blanks or commas
    rng.shuffle(tails)
    for tail in tails:
        text += (" " if rng.random() < 0.6 or text[-1] == "," else ", ") + tail
    for tail in kinds["post"]:
        text += (" " if rng.random() < 0.5 else ", ") + tail
    return text


def comma_list(phrases: Sequence[Phrase], rng: random.Random) -> str:
    """Like "old man, glasses, smiling"."""
    bare = rng.random() < 0.7
    items = [_without_article(p.text) if bare else p.text for p in phrases if p.kind != "noun"]
    rng.shuffle(items)
    nouns = [p.text for p in phrases if p.kind == "noun"]
    if nouns or rng.random() < 0.5:
        items.insert(0, _maybe_with_article(pick(nouns or NEUTRAL_NOUNS, rng), 0.5, rng))
    return ", ".join(items)


def sentence(phrases: Sequence[Phrase], rng: random.Random) -> str:
    """Like "he has a beard and is smiling"."""
    # The clauses: "has a beard", "wears glasses", "is smiling", "on a blue background"
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

    # Subject, first clause and the others
    return f"{_subject(kinds, rng)} {clauses[0]}" + "".join(
        _conjunction(clause, rng) + clause for clause in clauses[1:]
    )


def _by_kind(phrases: Sequence[Phrase]) -> dict[str, list[str]]:
    """The wordings of each kind of phrase, see ``phrases.ini``."""
    kinds: dict[str, list[str]] = defaultdict(list)
    for phrase in phrases:
        kinds[phrase.kind].append(phrase.text)
    return kinds


def _noun_with_adjectives(kinds: dict[str, list[str]], rng: random.Random) -> str:
    """Article, adjectives and noun."""
    if not kinds["adj"] and not kinds["noun"] and rng.random() < 0.1:
        return pick(NAMELESS, rng)
    between = " " if rng.random() < 0.6 else ", "
    adjectives = between.join(kinds["adj"])
    noun = pick(kinds["noun"] or NEUTRAL_NOUNS, rng)
    return _maybe_with_article(f"{adjectives} {noun}".strip(), 0.7, rng)


def _maybe_with_article(noun: str, share: float, rng: random.Random) -> str:
    """The noun with "a" in a ``share`` of cases, rarely with "the", else alone."""
    chance = rng.random()
    if chance < share:
        return with_article(noun)
    return "the " + noun if chance > 0.95 else noun


def _without_article(text: str) -> str:
    """Turn "a beard" into "beard"."""
    return text[2:] if text.startswith("a ") else text[3:] if text.startswith("an ") else text


def _subject(kinds: dict[str, list[str]], rng: random.Random) -> str:
    """The subject of a sentence: "he", "the old man", "this person"."""
    if kinds["pronoun"]:
        return kinds["pronoun"][0]
    if kinds["noun"]:
        return ("the " if rng.random() < 0.5 else "this ") + kinds["noun"][0]
    return pick(SUBJECTS, rng)


def _conjunction(clause: str, rng: random.Random) -> str:
    """The words that join a further clause: "and" only before a verb."""
    has_verb = clause.startswith(("has ", "is ", "wears "))
    return " and " if has_verb and rng.random() < 0.6 else ", "


def _joined(items: Sequence[str]) -> str:
    """Turn [a, b, c] into "a, b and c"."""
    if len(items) < 2:
        return items[0]
    return ", ".join(items[:-1]) + " and " + items[-1]
