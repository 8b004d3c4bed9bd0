"""Other forms of a word: endings, spelling variants and typing errors."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator

LEAST_LETTERS = 4  # of a word whose typing errors are mended: shorter ones resemble too many
# Endings and what may stand there in the base form; "$" doubles as "smiled" -> "smile", "smil".
ENDINGS = (
    ("iest", "y"), ("ier", "y"), ("ies", "y"), ("ied", "y"), ("ily", "y"),
    ("est", ""), ("est", "e"), ("er", ""), ("er", "e"), ("ed", ""), ("ed", "e"),
    ("ing", ""), ("ing", "e"), ("es", ""), ("s", ""), ("ly", ""), ("ish", ""), ("like", ""),
    ("y", ""), ("y", "e"), ("en", ""), ("n", ""),
)  # fmt: skip
ADDED = ("s", "ed", "d", "ing", "y")
# British and American spellings, in both directions.
SPELLINGS = (
    ("our", "or"), ("or", "our"), ("ise", "ize"), ("ize", "ise"), ("yse", "yze"), ("yze", "yse"),
    ("ll", "l"), ("re", "er"), ("ey", "ay"), ("ay", "ey"), ("ou", "u"), ("mou", "mu"),
    ("tache", "tash"), ("ae", "e"), ("ogue", "og"), ("que", "ck"),
)  # fmt: skip


def forms(word: str) -> Iterator[str]:
    """Words of which ``word`` may be a form, the likeliest first; most of them do not exist."""
    for ending, base in ENDINGS:
        stem = word[: -len(ending)]
        if word.endswith(ending) and len(stem) >= 3:
            yield stem + base
            if not base and len(stem) > 3 and stem[-1] == stem[-2]:  # "bigger" -> "big"
                yield stem[:-1]
    for ending in ADDED:
        yield word + ending
    for here, there in SPELLINGS:
        if here in word:
            yield word.replace(here, there)
    yield re.sub(r"(.)\1{2,}", r"\1\1", word)  # "happpy"


def unstretched(word: str) -> str:
    """The word without letters that stand three times or more: "so" for "soooo"."""
    return re.sub(r"(.)\1{2,}", r"\1", word)


class Speller:
    """Finds the word that a mistyped one was meant to be.

    Two words are neighbours if they are equal after at most one letter was left out of each: one
    letter too many, too few, wrong, or two exchanged (the deletions of SymSpell, Garbe 2012).

    Args:
        words: The right words.
    """

    def __init__(self, words: Iterable[str]) -> None:
        self._near: dict[str, list[str]] = defaultdict(list)
        for word in words:
            if len(word) >= LEAST_LETTERS:
                for shorter in _shortened(word):
                    self._near[shorter].append(word)

    def mend(self, word: str) -> str | None:
        """The nearest right word, None if there is none near."""
        if len(word) < LEAST_LETTERS or not word.isalpha():
            return None
        found = {near for shorter in _shortened(word) for near in self._near.get(shorter, ())}
        ranked = sorted((_distance(word, near), near[0] != word[0], near) for near in found)
        most = 1 if len(word) < 7 else 2
        return ranked[0][2] if ranked and ranked[0][0] <= most else None


def split_in_two(word: str, words: Collection[str]) -> tuple[str, str] | None:
    """Two right words that were written as one, such as "longhair"."""
    for place in range(3, len(word) - 2):
        if word[:place] in words and word[place:] in words:
            return word[:place], word[place:]
    return None


def _shortened(word: str) -> set[str]:
    return {word, *(word[:i] + word[i + 1 :] for i in range(len(word)))}


def _distance(one: str, two: str) -> int:
    """Letters to insert, leave out, replace or exchange (optimal string alignment)."""
    before: list[int] = []
    row = list(range(len(two) + 1))
    for i, letter in enumerate(one, 1):
        before, last, row = row, before, [i]
        for j, other in enumerate(two, 1):
            best = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == two[j - 2] and one[i - 2] == other:
                best = min(best, last[j - 2] + 1)
            row.append(best)
    return row[-1]
