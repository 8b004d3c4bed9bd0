"""Reads any English text in the words that an avatar's text encoder knows.

The encoder knows a few hundred words and would leave out all others. The reader walks through a
text and finds, at each place, the longest wording that it knows: a phrase of the caption grammar,
an entry of the thesaurus or of the associations, or a word of the lexicon, which was built from
WordNet. It understands instructions ("make her smile", "take off the hat"): their verbs move
nothing, and what is removed is read as its opposite, or the edit moves away from it. The result
is one description in known words. A text that the encoder knows whole stays as it is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from itertools import pairwise

from tmsa_core.avatars.language.phrases import GROUPS, Phrase, options_of
from tmsa_core.avatars.reading import data_files
from tmsa_core.avatars.reading.compose import describe, without_conflicts
from tmsa_core.avatars.reading.data_files import Entry
from tmsa_core.avatars.reading.phrase_table import (
    ARTICLES,
    Key,
    PhraseTable,
    key_of,
    phrase_table,
    tokens_of,
)
from tmsa_core.avatars.reading.tokens import BREAK, Token, tokenise
from tmsa_core.avatars.reading.word_forms import Speller, forms, split_in_two, unstretched

LONGEST = 6  # words of a wording
NEAR, MISTYPED = 0.7, 0.9  # certainty of a reading marked "~", and of a mended word
RECOLOURED = 0.6  # of a thing in the nearest colour that is drawn
LEAST_CERTAINTY = 0.6  # of the lexicon; below it the trial's readings were mostly nonsense
SKIPPED = 3  # words between a thing and what is said of it: "make her hair a bit longer"
PARTICLE_REACH = 5  # words between a verb and its particle: "take the old hat off"
IMPERATIVES = ("make", "close")  # the encoder knows them from "make-up" and "close-up" alone
PRONOUNS = {
    "her": "woman",
    "she": "woman",
    "hers": "woman",
    "him": "man",
    "he": "man",
    "his": "man",
}
# fmt: off
OF_THINGS = frozenset((
    "hair", "eyes", "nose", "lips", "skin", "ears", "mouth", "chin", "jaw", "cheeks", "eyebrows",
    "background", "hat", "cap", "beanie", "glasses", "frames", "hoodie", "shirt", "clothes",
))
# fmt: on


@dataclass(frozen=True)
class Part:
    """What was made of some words of a text.

    Attributes:
        said: The words.
        read: What they are read as; empty if nothing here looks like it.
        removed: Whether the text asks to remove it.
        certainty: How sure the reading is, in [0, 1].
        lacks: What of the meaning is not drawn.
    """

    said: str
    read: str
    removed: bool = False
    certainty: float = 1.0
    lacks: str = ""


@dataclass(frozen=True)
class Reading:
    """A text in the words that the encoder knows.

    Attributes:
        text: The description that is embedded.
        against: The description from which the edit moves away; often empty.
        parts: What was made of the words, without those that move nothing.
        is_verbatim: Whether ``text`` is the user's own.
    """

    text: str
    against: str
    parts: tuple[Part, ...]
    is_verbatim: bool

    @property
    def unread(self) -> tuple[str, ...]:
        """The words that nothing here looks like."""
        return tuple(dict.fromkeys(part.said for part in self.parts if not part.read))


@dataclass(frozen=True)
class _Match:
    """Words that were found.

    Attributes:
        end: The place after them.
        phrases: What they mean; none if nothing here looks like it.
        certainty: How sure that is.
        lacks: What is not drawn.
        is_concept: Whether other words override the phrases.
    """

    end: int
    phrases: tuple[Phrase, ...]
    certainty: float = 1.0
    lacks: str = ""
    is_concept: bool = False


class Reader:
    """Reads texts for one text encoder.

    Args:
        known: The words that the encoder knows.
    """

    def __init__(self, known: Collection[str]) -> None:
        self._known = frozenset(known)
        self.table: PhraseTable = phrase_table(self._known)
        self._entries: dict[Key, Entry] = {}
        for entry in data_files.read_entries():
            self._entries.setdefault(key_of(entry.wording), entry)
        self._instructions = {
            kind: data_files.instruction_words(kind)
            for kind in ("remove", "without", "add", "nothing", "remove apart", "apart")
        }
        self._nothing = {words[0] for words in self._instructions["nothing"]} | ARTICLES
        instructed = {word for kind in self._instructions.values() for key in kind for word in key}
        self._own_words = (
            self.table.words
            | {word for key in self._entries for word in key}
            | data_files.synonyms().keys()
            | data_files.nearest_colours().keys()
        )
        self._words = self._own_words | instructed | self._nothing | {BREAK}

    @cached_property
    def _speller(self) -> Speller:
        return Speller(self._own_words)

    def read(self, text: str) -> Reading:
        """Read a cleaned text."""
        tokens = list(self._normal(tokenise(text, self._words)))
        found = list(_Walk(self, tokens).parts())
        words = [*tokens_of(text), *(token.word for token in tokens)]
        if not any(match.phrases for _, match, _ in found):
            found += self._person([word for word in words if word in PRONOUNS])
        else:
            found += self._person([w for w in (words[0], tokens[0].word) if w in ("he", "she")])
        parts = tuple(_part(said, match, removed) for said, match, removed in found)
        if self._is_known(tokens_of(text), found):
            return Reading(text, "", tuple(p for p in parts if p.read), is_verbatim=True)
        return self._reading(found, parts)

    def _is_known(self, words: Sequence[str], found: Sequence[tuple[str, _Match, bool]]) -> bool:
        """Whether the encoder knows all words, and they say what is drawn and not what to do."""
        is_instruction = any(
            word in IMPERATIVES and following != "up" for word, following in pairwise([*words, ""])
        )
        return (
            bool(words)
            and not is_instruction
            and self._known.issuperset(words)
            and all(match.certainty in (0, 1) and not match.lacks for _, match, _ in found)
            and not any(removed for _, _, removed in found)
        )

    def _reading(
        self, found: Sequence[tuple[str, _Match, bool]], parts: tuple[Part, ...]
    ) -> Reading:
        wanted: list[tuple[Phrase, bool]] = []
        against: list[Phrase] = []
        for _, match, removed in found:
            opposite = self.table.opposite(match.phrases[0]) if len(match.phrases) == 1 else None
            if not removed:
                wanted += [(phrase, match.is_concept) for phrase in match.phrases]
            elif opposite:
                wanted.append((opposite, True))
            else:
                against += match.phrases
        kept = without_conflicts(wanted)
        away = describe(against, self.table) if against else ""
        return Reading(describe(kept, self.table), away, parts, is_verbatim=False)

    def _person(self, pronouns: Sequence[str]) -> list[tuple[str, _Match, bool]]:
        """The person whom a text names by its subject, or by a pronoun if it says nothing else.

        In "make her smile" the pronoun tells whom to edit, and moves nothing.
        """
        for word in pronouns[:1]:
            if phrase := self.table.by_key.get((PRONOUNS[word],)):
                return [(word, _Match(0, (phrase,)), False)]
        return []

    def _normal(self, tokens: Sequence[Token]) -> Iterator[Token]:
        """The tokens with each word in a form that the data files or the lexicon have."""
        words = data_files.lexicon()
        for token in tokens:
            word = token.word
            if word in self._words:
                yield token
            elif (short := unstretched(word)) in self._words:
                yield replace(token, word=short)
            elif form := next((f for f in forms(word) if f in self._own_words), None):
                yield replace(token, word=form)
            elif word in words or word.isdigit():
                yield token
            elif form := next((f for f in forms(word) if f in words), None):
                yield replace(token, word=form)
            elif near := self._speller.mend(word):
                yield replace(token, word=near, certainty=MISTYPED)
            elif halves := split_in_two(word, self._words):
                yield Token(halves[0], token.was)
                yield Token(halves[1], "")
            else:
                yield token

    def find(self, key: Key) -> _Match | None:
        """What a wording means, as if it stood alone; ``end`` is the number of its words."""
        plain = tuple(data_files.synonyms().get(word, word) for word in key)
        for words in dict.fromkeys((key, plain)):
            if phrase := self.table.by_key.get(words):
                return _Match(len(key), (phrase,))
            if entry := self._entries.get(words):
                return self._resolved(entry, len(key))
        if len(key) > 1 and (match := self._coloured(plain)):
            return match
        reading, certainty = data_files.lexicon().get(" ".join(key), ("", 0.0))
        if certainty < LEAST_CERTAINTY or key in self._entries:
            return None
        match = self.find(key_of(reading)) or self._described(reading, len(key))
        return replace(match, end=len(key), certainty=certainty * match.certainty)

    def _coloured(self, key: Key) -> _Match | None:
        """A thing with a colour or shape: "black stetson"; if need be, in the nearest colour."""
        match = self.find(key[1:])
        if match is None or len(match.phrases) != 1:
            return None
        allows = dict(match.phrases[0].allows)
        nearest = data_files.nearest_colours().get(key[0], ())
        for thing, *details in GROUPS:
            for name in details if thing in allows else ():
                for word in (key[0], *nearest):
                    told = allows | {name: (word,)} if word in options_of(name) else {}
                    if told and (phrase := self.table.find(tuple(told.items()))):
                        exact = word == key[0]
                        certainty = match.certainty * (1 if exact else RECOLOURED)
                        lacks = match.lacks if exact else " ".join(key)
                        return replace(match, phrases=(phrase,), certainty=certainty, lacks=lacks)
        return None

    def _resolved(self, entry: Entry, length: int) -> _Match:
        """The first reading of an entry whose words the encoder knows."""
        for reading in entry.readings:
            known = reading.removeprefix("~")
            if key_of(known) in self._entries and key_of(known) not in self.table.by_key:
                continue  # it waits for an encoder that knows it
            match = self._described(known, length)
            if match.phrases and match.certainty == 1:
                is_near = reading.startswith("~")
                return replace(
                    match,
                    certainty=NEAR if is_near else 1.0,
                    lacks=entry.lacks if is_near or len(entry.readings) == 1 else "",
                    is_concept=entry.is_concept,
                )
        return _Match(length, (), 0.0, entry.lacks)

    def _described(self, reading: str, length: int) -> _Match:
        """The phrases of a description in known words."""
        tokens = tokenise(reading)
        if not all(token.word in self._known or token.word == BREAK for token in tokens):
            return _Match(length, (), 0.0)
        found = [match for _, match, _ in _Walk(self, tokens).parts()]
        complete = all(match.phrases for match in found)
        phrases = tuple(phrase for match in found for phrase in match.phrases)
        return _Match(length, phrases, 1.0 if complete else 0.0)

    def means_nothing(self, word: str) -> bool:
        """Whether a word that belongs to no phrase can be left out without loss."""
        return word in self._nothing or word == BREAK

    def instruction(self, words: Sequence[str], kind: str) -> int:
        """How many words at the start are an instruction of this kind."""
        for length in range(min(3, len(words)), 0, -1):
            if tuple(words[:length]) in self._instructions[kind]:
                return length
        return 0


@cache
def reader_for(known: tuple[str, ...]) -> Reader:
    """The reader for an encoder that knows these words; made once."""
    return Reader(known)


class _Walk:
    """One walk through the tokens of a text."""

    def __init__(self, reader: Reader, tokens: Sequence[Token]) -> None:
        self._reader = reader
        self._tokens = tokens
        self._words = [token.word for token in tokens]
        self._place = 0
        self._removes = ""  # "list", "one", "done": one was removed; or nothing
        self._ended: set[int] = set()  # places of particles that belong to a verb before

    def parts(self) -> Iterator[tuple[str, _Match, bool]]:
        """The words, what they mean, and whether they are to be removed."""
        while self._place < len(self._words):
            start = self._place
            match = self._longest()
            is_longer = match is None or match.end - start < self._instruction_length()
            if is_longer and self._instruct():
                continue
            if match is None:
                yield from self._unread()
                continue
            self._place = match.end
            said = " ".join(t.was for t in self._tokens[start : match.end] if t.was)
            sure = min(t.certainty for t in self._tokens[start : match.end])
            yield said, replace(match, certainty=match.certainty * sure), self._is_removed(start)

    def _is_removed(self, start: int) -> bool:
        removed = self._removes in ("list", "one")
        if self._removes == "one":
            self._removes = "done"
        elif self._removes == "done":
            self._removes = ""
        if self._words[start] in ("no", "not", "without"):  # as part of a phrase: "no hat"
            self._removes = "done"
        return removed

    def _longest(self) -> _Match | None:
        """The longest wording that starts here, or a thing and what is said of it after it."""
        start, words = self._place, self._words
        stop = next((i for i in range(start, len(words)) if words[i] == BREAK), len(words))
        best: _Match | None = None
        for length in range(min(LONGEST, stop - start), 0, -1):
            match = self._reader.find(tuple(words[start : start + length]))
            if match and match.phrases:
                best = replace(match, end=start + length)
                break
        if (best is None or best.end == start + 1) and words[start] in OF_THINGS:
            best = self._said_after(start, stop) or best
        return best

    def _said_after(self, start: int, stop: int) -> _Match | None:
        """A thing with words that follow it: "hair long and blond", "eyes are blue"."""
        thing, end, place, certainty = self._words[start], start, start + 1, 1.0
        found: list[Phrase] = []
        while place < stop and place <= end + SKIPPED + 1:
            word = self._words[place]
            pair = self._reader.find((word, thing))
            starts_another = place + 1 < stop and self._reader.find(
                tuple(self._words[place : place + 2])
            )
            if pair and pair.phrases and not starts_another:
                found += pair.phrases
                certainty, end = min(certainty, pair.certainty), place
            elif not self._reader.means_nothing(word) or (word in ("and", "of") and not found):
                break
            place += 1
        return _Match(end + 1, tuple(found), certainty) if found else None

    def _instruction_length(self) -> int:
        rest = self._words[self._place :]
        kinds = ("remove", "without", "add")
        return max(self._reader.instruction(rest, kind) for kind in kinds)

    def _instruct(self) -> bool:
        """Follow an instruction that starts here; False if there is none."""
        rest = self._words[self._place :]
        if self._place in self._ended:
            self._place += 1
            return True
        if self._words[self._place] == BREAK or rest[0] in ("or", "nor", "and"):
            self._join(rest[0])
            return True
        length = {
            kind: self._reader.instruction(rest, kind)
            for kind in ("remove", "without", "add", "remove apart")
        }
        if length["remove apart"] and self._has_particle():
            self._removes = "list"
            self._place += length["remove apart"]
            return True
        kind = max(("remove", "without", "add"), key=lambda k: length[k])
        if not length[kind]:
            return False
        twice = kind == "without" and self._removes == "one"
        self._removes = {"remove": "list", "without": "" if twice else "one", "add": ""}[kind]
        self._place += length[kind]
        return True

    def _join(self, word: str) -> None:
        """Go on after a comma or a conjunction."""
        following = self._words[self._place + 1 : self._place + 2]
        if word in ("or", "nor") and self._removes == "done":
            self._removes = "one"
        elif self._removes == "done" or (word == BREAK and self._removes == "one"):
            self._removes = self._removes if following == ["or"] else ""
        self._place += 1

    def _has_particle(self) -> bool:
        """Whether "off" or "away" follows the things that a verb names; notes its place."""
        for place in range(self._place + 1, min(self._place + PARTICLE_REACH, len(self._words))):
            if self._words[place] == BREAK:
                return False
            if self._reader.instruction(self._words[place : place + 1], "apart"):
                self._ended.add(place)
                return True
        return False

    def _unread(self) -> Iterator[tuple[str, _Match, bool]]:
        """A word that belongs to no phrase."""
        token = self._tokens[self._place]
        self._place += 1
        if not self._reader.means_nothing(token.word):
            yield token.was or token.word, _Match(self._place, (), 0.0), False


def _part(said: str, match: _Match, removed: bool) -> Part:
    read = " and ".join(phrase.text for phrase in match.phrases)
    return Part(said, read, removed, match.certainty if read else 0.0, match.lacks)
