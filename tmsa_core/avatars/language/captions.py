"""Captions of drawn portraits: true, varied, and known word for word.

A caption speaks of none to six attributes, in one of several shapes of sentence, half of the
time inside one of the 80 prompt templates that editing uses. What it says is known exactly, so
that for any other portrait it can be told whether the caption is true of it too.
"""

from __future__ import annotations

import itertools
import random
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from tmsa_core.avatars.language import phrases as words
from tmsa_core.avatars.language import sentences
from tmsa_core.avatars.language.phrases import Phrase, Topic
from tmsa_core.avatars.language.sentences import draw_shape, one, sentence
from tmsa_core.avatars.params import ATTRIBUTES, TRAITS, Portraits
from tmsa_core.avatars.visibility import visible
from tmsa_core.text.templates import TEMPLATES

MENTIONS_MAX = 6
MENTIONS_WEIGHTS = (8, 34, 24, 15, 10, 6, 3)  # of speaking of 0, 1 ... 6 attributes
TEMPLATE_SHARE = 0.5
ALL_NAMES = (*TRAITS, *ATTRIBUTES)


@dataclass(frozen=True, slots=True)
class Caption:
    """A text and what it says.

    mentioned: the traits and attributes it speaks of, in their canonical order. allows: for all
    that it narrows down, the options that remain ("smiling" leaves smile and grin; a trait's
    options are low, middle, high); anything not listed is free.
    """

    text: str
    mentioned: tuple[str, ...]
    allows: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class _Choices:
    """What can be said about one topic: per tuple of option indices of ``keys``, phrases by kind.

    The table's lists are: phrases that are no nouns, nouns and these, pronouns.
    """

    keys: tuple[str, ...]
    table: Mapping[tuple[int, ...], tuple[list[Phrase], list[Phrase], list[Phrase]]]


@dataclass(frozen=True, slots=True)
class _Table:
    """A batch of portraits as plain lists, for speed.

    options: option indices. chance: of saying what was drawn to be said; 0 if it cannot be.
    """

    options: Mapping[str, list[int]]
    chance: Mapping[str, list[float]]


def caption(
    portraits: Portraits,
    index: int,
    rng: torch.Generator | random.Random,
    mentions: int | None = None,
) -> Caption:
    """One caption of one portrait.

    mentions: how many attributes it speaks of, 0 to 6, or drawn if None; a colour counts as one
    besides the thing it is said of. Raises ValueError if out of range.
    """
    row = portraits[[range(len(portraits))[index]]]
    return captions(row, rng, mentions)[0]


def captions(
    portraits: Portraits, rng: torch.Generator | random.Random, mentions: int | None = None
) -> list[Caption]:
    """One caption for each portrait; the same generator state gives the same captions."""
    if mentions is not None and not 0 <= mentions <= MENTIONS_MAX:
        raise ValueError(f"mentions is {mentions}, it must lie between 0 and {MENTIONS_MAX}")
    source = rng if isinstance(rng, random.Random) else _python_random(rng)
    table = _tabulate(portraits)
    return [_caption(table, row, source, mentions) for row in range(len(portraits))]


def allowed_options(batch: Sequence[Caption], name: str) -> Tensor:
    """(N, options) bool: which options of an attribute or trait each caption leaves open.

    A trait's three options are low, middle and high, parted at +-0.5.
    """
    options = _options(name)
    rows = [[o in c.allows.get(name, options) for o in options] for c in batch]
    return torch.tensor(rows, dtype=torch.bool).view(len(batch), len(options))


def true_of(batch: Sequence[Caption], portraits: Portraits) -> Tensor:
    """(N, B) bool: whether caption n is true of portrait b."""
    true = torch.ones(len(batch), len(portraits), dtype=torch.bool, device=portraits.device)
    for name in {name for c in batch for name in c.allows}:
        true &= allowed_options(batch, name).to(true.device)[:, option_indices(portraits, name)]
    return true


def option_indices(portraits: Portraits, name: str) -> Tensor:
    """(B,) int64: the option of an attribute, or 0, 1, 2 for a trait that is low, middle, high."""
    if name in ATTRIBUTES:
        return portraits.attributes[name]
    trait = portraits.traits[name]
    return 1 + (trait > words.TRAIT_EDGE).long() - (trait < -words.TRAIT_EDGE).long()


@cache
def vocabulary() -> tuple[str, ...]:
    """All words and punctuation marks of the captions and the prompt templates, sorted."""
    texts = [phrase.text for _, phrase in words.all_phrases()]
    texts += [*sentences.NEUTRAL_TEXTS, *sentences.NEUTRAL_NOUNS, *sentences.NAMELESS]
    texts += [*sentences.PREFIXES, *sentences.SUBJECTS, *sentences.HAVING]
    texts.append(sentences.OTHER_WORDS)
    texts += [template.replace("{}", " ") for template in TEMPLATES]
    pieces = re.compile(r"'s|[a-z]+|[^\sa-z]+")
    return tuple(sorted({piece for text in texts for piece in pieces.findall(text)}))


def _python_random(generator: torch.Generator) -> random.Random:
    seed = torch.randint(2**62, (1,), generator=generator, device=generator.device)
    return random.Random(int(seed))


def _options(name: str) -> tuple[str, ...]:
    return ATTRIBUTES[name].options if name in ATTRIBUTES else words.TRAIT_OPTIONS


@cache
def _choices() -> dict[Topic, _Choices]:
    """Every topic's phrases, looked up by the options under which they are true."""
    by_topic: dict[Topic, list[Phrase]] = defaultdict(list)
    for topic, phrase in words.all_phrases():
        by_topic[topic].append(phrase)
    return {topic: _look_up(phrases) for topic, phrases in by_topic.items()}


def _look_up(phrases: Sequence[Phrase]) -> _Choices:
    keys = tuple(dict.fromkeys(name for p in phrases for name, _ in p.allows))
    table: dict[tuple[int, ...], tuple[list[Phrase], list[Phrase], list[Phrase]]]
    table = defaultdict(lambda: ([], [], []))
    for phrase in phrases:
        allows = dict(phrase.allows)
        wanted = [[_options(key).index(o) for o in allows.get(key, _options(key))] for key in keys]
        for indices in itertools.product(*wanted):
            others, all_but_pronouns, pronouns = table[indices]
            if phrase.kind == "pronoun":
                pronouns.append(phrase)
                continue
            all_but_pronouns.append(phrase)
            if phrase.kind != "noun":
                others.append(phrase)
    return _Choices(keys, dict(table))


def _tabulate(portraits: Portraits) -> _Table:
    choices = _choices()
    options = {name: option_indices(portraits, name).tolist() for name in ALL_NAMES}
    chance = {name: _chance(portraits, name).tolist() for name in words.WEIGHTS}
    for name, rows in chance.items():
        topic = choices.get((name,))
        if topic is None:  # a colour of something: said together with it
            continue
        keys = zip(*(options[k] for k in topic.keys), strict=True)
        chance[name] = [c * (key in topic.table) for c, key in zip(rows, keys, strict=True)]
    return _Table(options, chance)


def _chance(portraits: Portraits, name: str) -> Tensor:
    """(B,) float32: 0 where it cannot be seen, less than 1 where there is little to say."""
    chance = _sayable(portraits, name).float()
    if name in words.NOTHING:
        lacking = portraits.is_(name, words.NOTHING[name])
        chance = torch.where(lacking, chance * words.NOTHING_SHARE, chance)
    return chance


def _sayable(portraits: Portraits, name: str) -> Tensor:
    """(B,) bool: whether a trait or attribute can be seen and has a name."""
    if name in ATTRIBUTES:
        return visible(portraits, name)
    seen = option_indices(portraits, name) != words.TRAIT_OPTIONS.index(words.MIDDLE)
    for other, hiding in words.TRAITS_HIDDEN_BY.get(name, ()):
        seen &= ~portraits.is_(other, *hiding)
    return seen


def _caption(table: _Table, row: int, rng: random.Random, mentions: int | None) -> Caption:
    count = mentions
    if count is None:
        count = rng.choices(range(MENTIONS_MAX + 1), MENTIONS_WEIGHTS)[0]
    chosen = _draw_names(table, row, rng, count)
    shape = draw_shape(count, rng)
    said = _draw_phrases(table, row, rng, chosen, pronoun=shape is sentence)
    text = shape([phrase for _, phrase in said], rng)
    if rng.random() < TEMPLATE_SHARE:
        text = one(TEMPLATES, rng).replace("{}", text)
    allows: dict[str, tuple[str, ...]] = {}
    for _, phrase in said:
        for name, options in phrase.allows:
            known = allows.get(name)
            allows[name] = tuple(o for o in options if o in known) if known else options
    about = {name for topic, _ in said for name in topic}
    about.update(name for name, options in allows.items() if len(options) == 1)
    return Caption(text, tuple(name for name in ALL_NAMES if name in about), allows)


def _draw_names(table: _Table, row: int, rng: random.Random, count: int) -> set[str]:
    """``count`` different attributes that can be said of the portrait, by their weights."""
    names, weights = _weights()
    chosen: set[str] = set()
    while len(chosen) < count:
        for name in rng.choices(names, cum_weights=weights, k=count + 2):
            if len(chosen) < count and rng.random() < table.chance[name][row]:
                chosen.add(name)
    return chosen


@cache
def _weights() -> tuple[list[str], list[float]]:
    return list(words.WEIGHTS), list(itertools.accumulate(words.WEIGHTS.values()))


def _draw_phrases(
    table: _Table, row: int, rng: random.Random, chosen: set[str], pronoun: bool
) -> list[tuple[Topic, Phrase]]:
    """A phrase for everything chosen, with at most one noun among them."""
    choices = _choices()
    said: list[tuple[Topic, Phrase]] = []
    has_noun = False
    for topic in _topics(chosen, rng):
        entry = choices[topic]
        key = tuple(table.options[k][row] for k in entry.keys)
        others, with_nouns, pronouns = entry.table[key]
        if pronoun and pronouns and not has_noun and rng.random() < 0.6:
            phrase = one(pronouns, rng)
        else:
            phrase = one(others if has_noun else with_nouns, rng)
        said.append((topic, phrase))
        has_noun = has_noun or phrase.kind in ("noun", "pronoun")
    return said


def _topics(chosen: set[str], rng: random.Random) -> list[Topic]:
    """What is chosen, as topics in random order; things and their colours in one phrase."""
    left = chosen | {words.SPOKEN_WITH[name] for name in chosen if name in words.SPOKEN_WITH}
    topics: list[Topic] = []
    choices = _choices()
    for group in words.GROUPS:
        together = tuple(name for name in group if name in left)
        if (
            len(together) > 1
            and together in choices
            and (group[0] != "gender" or rng.random() < 0.7)
        ):
            topics.append(together)
            left.difference_update(together)
    topics += [(name,) for name in sorted(left)]
    rng.shuffle(topics)
    # The words for both gender and age are nouns, so they go first.
    topics.sort(key=lambda topic: topic != ("gender", "age"))
    return topics
