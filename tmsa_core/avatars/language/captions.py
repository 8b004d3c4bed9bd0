"""Captions of rendered portraits: true, varied, and known word for word.

A caption mentions none to six attributes in one of several sentence shapes, half of the time
inside one of the 80 prompt templates that editing uses. It also records its meaning, so that its
truth for any other portrait is known.
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

from tmsa_core.avatars.language import phrases as grammar
from tmsa_core.avatars.language import sentences
from tmsa_core.avatars.language.phrases import ALL_NAMES, Phrase, Topic, options_of
from tmsa_core.avatars.language.sentences import choose_shape, pick, sentence
from tmsa_core.avatars.params import ATTRIBUTES, Portraits
from tmsa_core.avatars.visibility import visible
from tmsa_core.text.templates import TEMPLATES

MENTIONS_MAX = 6
# The authors' choices: most edits name one or two attributes, and most prompts use a template.
MENTIONS_WEIGHTS = (8, 34, 24, 15, 10, 6, 3)  # relative frequency of 0, 1 ... 6 attributes
TEMPLATE_SHARE = 0.5
PRONOUN_SHARE = 0.6  # "he has a beard" rather than "the man has a beard"
GENDER_WITH_AGE_SHARE = 0.7  # "grandma" rather than "female" and "old"


@dataclass(frozen=True, slots=True)
class Caption:
    """A text and its meaning.

    Attributes:
        text: The caption.
        mentioned: The traits and attributes it mentions, in the order of ``ALL_NAMES``.
        allows: For every trait and attribute that it restricts, the options that remain:
            "smiling" leaves smile and grin. A trait's options are low, middle and high.
    """

    text: str
    mentioned: tuple[str, ...]
    allows: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class _Choices:
    """The phrases about one topic.

    Attributes:
        keys: The traits and attributes that decide which of them are true.
        table: For the option index of every key: the phrases without nouns and pronouns, the
            phrases with nouns, the pronouns.
    """

    keys: tuple[str, ...]
    table: Mapping[tuple[int, ...], tuple[list[Phrase], list[Phrase], list[Phrase]]]


@dataclass(frozen=True, slots=True)
class _Table:
    """A batch of portraits as plain lists, for speed.

    Attributes:
        options: Option index of each portrait, by trait or attribute.
        chance: Probability that a portrait's trait or attribute is mentioned once it was chosen;
            0 if it cannot be seen or has no phrase.
    """

    options: Mapping[str, list[int]]
    chance: Mapping[str, list[float]]


def captions(
    portraits: Portraits, rng: torch.Generator | random.Random, mentions: int | None = None
) -> list[Caption]:
    """One caption for each portrait; the same generator state gives the same captions.

    Args:
        portraits: The portraits to describe.
        rng: Source of randomness; a torch generator gives one seed.
        mentions: How many attributes each caption mentions, 0 to 6, or random if None. A colour
            counts in addition to the thing that has it.

    Raises:
        ValueError: ``mentions`` is out of range.
    """
    if mentions is not None and not 0 <= mentions <= MENTIONS_MAX:
        raise ValueError(f"mentions is {mentions}, it must lie between 0 and {MENTIONS_MAX}")
    if isinstance(rng, torch.Generator):
        rng = random.Random(int(torch.randint(2**62, (1,), generator=rng, device=rng.device)))
    table = _tabulate(portraits)
    return [_caption(table, row, rng, mentions) for row in range(len(portraits))]


def allowed_options(batch: Sequence[Caption], name: str) -> Tensor:
    """(N, options) bool: the options of an attribute or trait that each of N captions allows."""
    options = options_of(name)
    rows = [[o in c.allows.get(name, options) for o in options] for c in batch]
    return torch.tensor(rows, dtype=torch.bool).view(len(batch), len(options))


def true_of(batch: Sequence[Caption], portraits: Portraits) -> Tensor:
    """(N, B) bool: True where caption n is true of portrait b."""
    true = torch.ones(len(batch), len(portraits), dtype=torch.bool, device=portraits.device)
    for name in {name for c in batch for name in c.allows}:
        true &= allowed_options(batch, name).to(true.device)[:, option_indices(portraits, name)]
    return true


def option_indices(portraits: Portraits, name: str) -> Tensor:
    """(B,) int64: the option of an attribute, or 0, 1, 2 for a low, middle or high trait."""
    if name in ATTRIBUTES:
        return portraits.attributes[name]
    trait = portraits.traits[name]
    return 1 + (trait > grammar.TRAIT_EDGE).long() - (trait < -grammar.TRAIT_EDGE).long()


@cache
def vocabulary() -> tuple[str, ...]:
    """All words and punctuation marks of the captions and the prompt templates, sorted."""
    texts = [phrase.text for _, phrase in grammar.all_phrases()]
    texts += [*sentences.NEUTRAL_TEXTS, *sentences.NEUTRAL_NOUNS, *sentences.NAMELESS]
    texts += [*sentences.PREFIXES, *sentences.SUBJECTS, *sentences.HAVING]
    texts.append(sentences.OTHER_WORDS)
    texts += [template.replace("{}", " ") for template in TEMPLATES]
    pieces = re.compile(r"'s|[a-z]+|[^\sa-z]+")
    return tuple(sorted({piece for text in texts for piece in pieces.findall(text)}))


@cache
def _choices() -> dict[Topic, _Choices]:
    """The phrases of every topic."""
    by_topic: dict[Topic, list[Phrase]] = defaultdict(list)
    for topic, phrase in grammar.all_phrases():
        by_topic[topic].append(phrase)
    return {topic: _by_options(phrases) for topic, phrases in by_topic.items()}


def _by_options(phrases: Sequence[Phrase]) -> _Choices:
    """Sort the phrases of one topic by the options under which they are true."""
    keys = tuple(dict.fromkeys(name for p in phrases for name, _ in p.allows))
    table: dict[tuple[int, ...], tuple[list[Phrase], list[Phrase], list[Phrase]]]
    table = defaultdict(lambda: ([], [], []))
    for phrase in phrases:
        allows = dict(phrase.allows)
        wanted = [
            [options_of(key).index(o) for o in allows.get(key, options_of(key))] for key in keys
        ]
        for indices in itertools.product(*wanted):
            others, with_nouns, pronouns = table[indices]
            if phrase.kind == "pronoun":
                pronouns.append(phrase)
                continue
            with_nouns.append(phrase)
            if phrase.kind != "noun":
                others.append(phrase)
    return _Choices(keys, dict(table))


def _tabulate(portraits: Portraits) -> _Table:
    """Option indices and chances of all portraits."""
    choices = _choices()
    options = {name: option_indices(portraits, name).tolist() for name in ALL_NAMES}
    chance = {name: _chance(portraits, name).tolist() for name in grammar.mention_weights()}
    for name, values in chance.items():
        topic = choices.get((name,))
        if topic is None:  # the colour of a thing has phrases only together with the thing
            continue
        keys = zip(*(options[k] for k in topic.keys), strict=True)
        chance[name] = [c * (key in topic.table) for c, key in zip(values, keys, strict=True)]
    return _Table(options, chance)


def _chance(portraits: Portraits, name: str) -> Tensor:
    """(B,) float32: 0 where it cannot be seen, less than 1 where the portrait lacks the thing."""
    seen = visible(portraits, name)
    if name not in ATTRIBUTES:  # an average trait has no phrases
        seen &= option_indices(portraits, name) != grammar.TRAIT_OPTIONS.index(grammar.MIDDLE)
    chance = seen.float()
    if name in grammar.NOTHING:
        lacking = portraits.is_(name, grammar.NOTHING[name])
        chance = torch.where(lacking, chance * grammar.NOTHING_SHARE, chance)
    return chance


def _caption(table: _Table, row: int, rng: random.Random, mentions: int | None) -> Caption:
    """A caption of one portrait, a row of the table."""
    # What to mention and how
    count = mentions
    if count is None:
        count = rng.choices(range(MENTIONS_MAX + 1), MENTIONS_WEIGHTS)[0]
    chosen = _choose_names(table, row, rng, count)
    shape = choose_shape(count, rng)
    said = _choose_phrases(table, row, rng, chosen, pronoun=shape is sentence)
    text = shape([phrase for _, phrase in said], rng)
    if rng.random() < TEMPLATE_SHARE:
        text = pick(TEMPLATES, rng).replace("{}", text)

    # What the text means: every phrase restricts the options further
    allows: dict[str, tuple[str, ...]] = {}
    for _, phrase in said:
        for name, options in phrase.allows:
            known = allows.get(name)
            allows[name] = tuple(o for o in options if o in known) if known else options
    about = {name for topic, _ in said for name in topic}
    about.update(name for name, options in allows.items() if len(options) == 1)
    return Caption(text, tuple(name for name in ALL_NAMES if name in about), allows)


def _choose_names(table: _Table, row: int, rng: random.Random, count: int) -> set[str]:
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
    """The names and their cumulative weights."""
    weights = grammar.mention_weights()
    return list(weights), list(itertools.accumulate(weights.values()))


def _choose_phrases(
    table: _Table, row: int, rng: random.Random, chosen: set[str], pronoun: bool
) -> list[tuple[Topic, Phrase]]:
    """A phrase for everything chosen, with at most one noun among them."""
    said: list[tuple[Topic, Phrase]] = []
    has_noun = False
    for topic in _topics(chosen, rng):
        choices = _choices()[topic]
        key = tuple(table.options[k][row] for k in choices.keys)
        others, with_nouns, pronouns = choices.table[key]
        if pronoun and pronouns and not has_noun and rng.random() < PRONOUN_SHARE:
            phrase = pick(pronouns, rng)
        else:
            phrase = pick(others if has_noun else with_nouns, rng)
        said.append((topic, phrase))
        has_noun = has_noun or phrase.kind in ("noun", "pronoun")
    return said


def _topics(chosen: set[str], rng: random.Random) -> list[Topic]:
    """The chosen names as topics in random order; a thing and its colour are one topic."""
    left = chosen | {grammar.SPOKEN_WITH[n] for n in chosen if n in grammar.SPOKEN_WITH}
    topics: list[Topic] = []
    for group in grammar.GROUPS:
        together = tuple(name for name in group if name in left)
        if len(together) < 2 or together not in _choices():
            continue
        if group[0] != "gender" or rng.random() < GENDER_WITH_AGE_SHARE:
            topics.append(together)
            left.difference_update(together)
    topics += [(name,) for name in sorted(left)]
    rng.shuffle(topics)
    # The words for both gender and age are nouns, so they go first.
    topics.sort(key=lambda topic: topic != ("gender", "age"))
    return topics
