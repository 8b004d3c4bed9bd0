"""Read Princeton WordNet 3.0 (Miller 1995) from its database files, as Debian packages them.

``apt-get install wordnet-base`` puts the files into ``/usr/share/wordnet``; their format is in
wndb(5WN). WordNet is only needed to build the lexicon.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tmsa_core.errors import RequestError, shortened

FOLDER = Path("/usr/share/wordnet")
PARTS = {"noun": "n", "verb": "v", "adj": "a"}
HYPERNYM, INSTANCE, SIMILAR = "@", "@i", "&"


@dataclass(frozen=True, slots=True)
class Synset:
    """One meaning.

    Attributes:
        key: Its part of speech and offset, such as "n02159955".
        topic: Number of its lexicographer file, which sorts meanings by topic (lexnames(5WN)).
        lemmas: The words that have it, in lower case, with blanks instead of underscores.
        gloss: Its definition, without the examples.
        broader: Keys of its hypernyms; of an adjective, of the adjectives that it is similar to.
        is_name: Whether it is a single person or place and not a kind.
    """

    key: str
    topic: int
    lemmas: tuple[str, ...]
    gloss: str
    broader: tuple[str, ...]
    is_name: bool


@dataclass(frozen=True)
class WordNet:
    """All meanings of nouns, verbs and adjectives.

    Attributes:
        synsets: The meanings by their keys.
        senses: The keys of each lemma's meanings, the most frequent first, nouns before verbs
            before adjectives.
        words: Every lemma, also the adverbs.
    """

    synsets: dict[str, Synset]
    senses: dict[str, tuple[str, ...]]
    words: frozenset[str]

    @cached_property
    def narrower(self) -> dict[str, tuple[str, ...]]:
        """The keys of the meanings directly below each meaning."""
        below: dict[str, list[str]] = {}
        for synset in self.synsets.values():
            for key in synset.broader:
                below.setdefault(key, []).append(synset.key)
        return {key: tuple(keys) for key, keys in below.items()}


def read_wordnet(folder: Path = FOLDER) -> WordNet:
    """Read the database.

    Raises:
        RequestError: The folder does not hold it.
    """
    if not (folder / "data.noun").is_file():
        raise RequestError(
            f"There is no WordNet in {shortened(folder)}: install it by `apt-get install "
            "wordnet-base`, or name its folder with --wordnet."
        )
    synsets: dict[str, Synset] = {}
    senses: dict[str, tuple[str, ...]] = {}
    for part, letter in PARTS.items():
        for line in _lines(folder / f"data.{part}"):
            synset = _synset(line, letter)
            synsets[synset.key] = synset
        for line in _lines(folder / f"index.{part}"):
            lemma, keys = _index_entry(line, letter)
            senses[lemma] = (*senses.get(lemma, ()), *keys)
    adverbs = {line.split()[0].replace("_", " ") for line in _lines(folder / "index.adv")}
    return WordNet(synsets, senses, frozenset(senses.keys() | adverbs))


def _lines(path: Path) -> list[str]:
    """The lines of a database file without its licence, whose lines start with blanks."""
    return [line for line in path.read_text("ascii").splitlines() if not line.startswith(" ")]


def _synset(line: str, letter: str) -> Synset:
    data, _, gloss = line.partition(" | ")
    fields = data.split()
    count = int(fields[3], 16)
    words = [word.partition("(")[0] for word in fields[4 : 4 + 2 * count : 2]]  # "(p)": position
    pointers = fields[5 + 2 * count :]
    targets = [
        (pointers[4 * i], f"{pointers[4 * i + 2].replace('s', 'a')}{pointers[4 * i + 1]}")
        for i in range(int(fields[4 + 2 * count]))
    ]
    return Synset(
        key=f"{letter}{fields[0]}",
        topic=int(fields[1]),
        lemmas=tuple(word.replace("_", " ").lower() for word in words),
        gloss=gloss.partition('; "')[0].partition(";")[0].strip(),
        broader=tuple(key for kind, key in targets if kind in (HYPERNYM, INSTANCE, SIMILAR)),
        is_name=any(kind == INSTANCE for kind, _ in targets),
    )


def _index_entry(line: str, letter: str) -> tuple[str, list[str]]:
    fields = line.split()
    count = int(fields[2])
    return fields[0].replace("_", " "), [f"{letter}{offset}" for offset in fields[-count:]]
