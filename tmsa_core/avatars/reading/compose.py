"""One plain description of several phrases, in the sentence shapes that CLIP was trained on."""

from __future__ import annotations

from collections.abc import Sequence

from tmsa_core.avatars.language.phrases import Phrase
from tmsa_core.avatars.reading.phrase_table import PhraseTable

NOUN = "human face"


def describe(phrases: Sequence[Phrase], table: PhraseTable) -> str:
    """Such as "old man with white hair, a beard and a red beanie, looking left".

    Args:
        phrases: What to say; of two nouns, both are said, as far as the grammar has words.
        table: The known phrases.
    """
    noun, others = _one_noun(phrases, table)
    adjectives = [p.text for p in others if p.kind == "adj"]
    things = [p.text for p in _merged([p for p in others if p.kind in ("have", "wear")], table)]
    states = [p.text for p in others if p.kind in ("is", "post")]
    words = [*dict.fromkeys(adjectives), noun]
    if things:
        words += ["with", _joined(list(dict.fromkeys(things)))]
    return " ".join([*words, *dict.fromkeys(states)])


def without_conflicts(phrases: Sequence[tuple[Phrase, bool]]) -> list[Phrase]:
    """The phrases that can be true together.

    Args:
        phrases: Each with whether it is a detail of a concept. The other words of a text override
            such details: a beardless pirate has no beard. Of two words that exclude each other
            the later one counts: "turn the frown into a smile".
    """
    kept: list[Phrase] = []
    for phrase, _ in [*reversed([p for p in phrases if not p[1]]), *(p for p in phrases if p[1])]:
        if all(_can_both_hold(phrase, other) for other in kept):
            kept.append(phrase)
    order = [phrase for phrase, _ in phrases]
    return sorted(dict.fromkeys(kept), key=order.index)


def _can_both_hold(one: Phrase, two: Phrase) -> bool:
    other = dict(two.allows)
    return all(set(options) & set(other.get(name, options)) for name, options in one.allows)


def _one_noun(phrases: Sequence[Phrase], table: PhraseTable) -> tuple[str, list[Phrase]]:
    """The noun, and the rest of the phrases without nouns."""
    noun: Phrase | None = None
    rest: list[Phrase] = []
    for phrase in phrases:
        if phrase.kind != "noun":
            rest.append(phrase)
        elif noun is None:
            noun = phrase
        elif both := table.find(_both(noun, phrase), "noun"):
            noun = both
        else:
            other = table.find(phrase.allows, "adj", "have", "wear", "post", "is")
            rest.append(other or phrase)
    return noun.text if noun else NOUN, rest


def _merged(things: Sequence[Phrase], table: PhraseTable) -> list[Phrase]:
    """The things, with "long hair" and "blond hair" as "long blond hair"."""
    merged: list[Phrase] = []
    for thing in things:
        for place, other in enumerate(merged):
            alike = dict(other.allows).keys() & dict(thing.allows).keys()
            if alike and (both := table.find(_both(other, thing), "have", "wear")):
                merged[place] = both
                break
        else:
            merged.append(thing)
    return merged


def _both(one: Phrase, two: Phrase) -> list[tuple[str, tuple[str, ...]]]:
    """What two phrases allow together."""
    allowed = dict(one.allows)
    for name, options in two.allows:
        allowed[name] = tuple(o for o in allowed.get(name, options) if o in options)
    return list(allowed.items())


def _joined(items: Sequence[str]) -> str:
    if len(items) == 1:
        return items[0]
    return ", ".join(items[:-1]) + " and " + items[-1]
