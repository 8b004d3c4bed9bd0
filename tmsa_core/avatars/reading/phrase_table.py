"""The phrases of the caption grammar, found by their words.

Only phrases that a text encoder knows whole are in the table, so a table fits the encoder that it
is made for.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cache

from tmsa_core.avatars.language.phrases import ALL_NAMES, NOTHING, Phrase, all_phrases, options_of

Key = tuple[str, ...]  # the tokens of a wording, without articles and possessives
Meaning = tuple[tuple[str, tuple[str, ...]], ...]  # the names that it restricts, in their order

# fmt: off
ARTICLES = frozenset((
    "a", "an", "the", "some", "any", "my", "your", "his", "her", "hers", "its", "our", "their",
    "this", "that", "these", "those",
))
# fmt: on
TOKEN = re.compile(r"[^\W_]+")


def tokens_of(text: str) -> list[str]:
    """The words and numbers of a text in lower case; hyphens separate, apostrophes vanish."""
    plain = text.lower().replace("’", "'")
    plain = re.sub(r"'s\b", "", plain).replace("'", "")
    return TOKEN.findall(plain)


def key_of(text: str) -> Key:
    """What identifies a wording: its tokens without articles and possessives."""
    return tuple(token for token in tokens_of(text) if token not in ARTICLES)


@dataclass(frozen=True)
class PhraseTable:
    """The phrases that one text encoder knows.

    Attributes:
        by_key: The phrase of each wording.
        by_meaning: The wordings with each meaning, the most frequent first.
        words: All words of these phrases.
    """

    by_key: Mapping[Key, Phrase]
    by_meaning: Mapping[Meaning, tuple[Phrase, ...]]
    words: frozenset[str]

    def find(self, meaning: Iterable[tuple[str, tuple[str, ...]]], *kinds: str) -> Phrase | None:
        """The most frequent wording of a meaning, of one of these kinds if any are named."""
        for phrase in self.by_meaning.get(_ordered(tuple(meaning)), ()):
            if not kinds or phrase.kind in kinds:
                return phrase
        return None

    def opposite(self, phrase: Phrase) -> Phrase | None:
        """What a portrait shows from which the phrase's thing was removed: "no glasses".

        None where the grammar has no words for it, as for hair that is not blond.
        """
        names = dict(phrase.allows)
        if "gender" in names:
            other = tuple(o for o in options_of("gender") if o not in names["gender"])
            return self.find((names | {"gender": other}).items())
        for name, allowed in phrase.allows:
            rest = tuple(o for o in options_of(name) if o not in allowed)
            nothing = NOTHING.get(name)
            if nothing in rest and (found := self._says_nothing_of(name)):
                return found
            if len(phrase.allows) == 1:
                return self.find([(name, rest)])
        return None

    def _says_nothing_of(self, name: str) -> Phrase | None:
        """The wording that a thing is missing, alone or with others: "no makeup"."""
        alone = self.find([(name, (NOTHING[name],))])
        if alone:
            return alone
        for meaning, phrases in self.by_meaning.items():
            if name in dict(meaning) and all((NOTHING.get(n),) == o for n, o in meaning):
                return phrases[0]
        return None


def phrase_table(known: Collection[str]) -> PhraseTable:
    """The table for a text encoder.

    Args:
        known: The words that the encoder knows.
    """
    known = frozenset(known)
    by_key: dict[Key, Phrase] = {}
    counts: dict[Meaning, Counter[Phrase]] = defaultdict(Counter)
    for _, phrase in all_phrases():
        key = key_of(phrase.text)
        if phrase.kind == "pronoun" or not set(key) <= known:
            continue
        by_key.setdefault(key, phrase)
        counts[_ordered(phrase.allows)][phrase] += 1
    by_meaning = {meaning: tuple(p for p, _ in c.most_common()) for meaning, c in counts.items()}
    words = frozenset(token for key in by_key for token in key)
    return PhraseTable(by_key, by_meaning, words)


@cache
def _ordered(meaning: Meaning) -> Meaning:
    """A meaning with its names and options in the order of the grammar."""
    options = dict(meaning)
    return tuple(
        (name, tuple(o for o in options_of(name) if o in options[name]))
        for name in ALL_NAMES
        if name in options
    )
