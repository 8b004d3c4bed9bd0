"""The grammar file: the avatar CLIP was trained on exactly these phrases and captions."""

from __future__ import annotations

import hashlib
import random

import pytest
import torch

from tmsa_core.avatars.language.captions import captions
from tmsa_core.avatars.language.phrases import (
    ALL_NAMES,
    all_phrases,
    mention_weights,
    options_of,
    parse_line,
)
from tmsa_core.avatars.params import ATTRIBUTES, TRAITS, Portraits

CHANGED = "the captions of a seed changed: retrain the avatar CLIP, then store the new fingerprint"


def fingerprint(value: object) -> str:
    return hashlib.sha256(repr(value).encode()).hexdigest()[:16]


def random_portraits(count: int) -> Portraits:
    """Portraits from Python's own random numbers, which are equal on all processors."""
    rng = random.Random(1)
    return Portraits(
        {name: torch.tensor([rng.uniform(-1, 1) for _ in range(count)]) for name in TRAITS},
        {
            name: torch.tensor([rng.randrange(len(a.options)) for _ in range(count)])
            for name, a in ATTRIBUTES.items()
        },
    )


def test_phrases_are_those_of_the_training() -> None:
    phrases = sorted(
        ((topic, p.kind, p.text, tuple(sorted(p.allows))) for topic, p in all_phrases()),
        key=lambda phrase: phrase[0],  # the order within a topic decides which one is chosen
    )
    assert fingerprint(phrases) == "bbe5da94694e352d", CHANGED


def test_captions_of_a_seed_are_those_of_the_training() -> None:
    made = captions(random_portraits(2000), random.Random(5))
    rows = [(c.text, c.mentioned, tuple(sorted(c.allows.items()))) for c in made]
    assert fingerprint(rows) == "806afbd7a53fb6d3", CHANGED


def test_every_name_of_the_grammar_exists() -> None:
    assert set(mention_weights()) <= set(ALL_NAMES)
    for topic, phrase in all_phrases():
        assert set(topic) <= set(ALL_NAMES)
        for name, options in phrase.allows:
            assert options and set(options) <= set(options_of(name))


def test_slots_repeat_a_phrase_for_each_word() -> None:
    lines = list(parse_line(["headwear"], "wear if headwear=cap", "a [headwear_colour] cap*2"))
    assert [(topic, p.text) for topic, p in lines[:3]] == [
        (("headwear",), "a cap"),
        (("headwear",), "a cap"),
        (("headwear", "headwear_colour"), "a black cap"),
    ]
    assert len(lines) == 2 + 2 * len(ATTRIBUTES["headwear_colour"].options)
    assert dict(lines[2][1].allows) == {"headwear": ("cap",), "headwear_colour": ("black",)}


@pytest.mark.parametrize(
    ("key", "wordings", "error"),
    [
        ("have if hair_style=bld", "no hair", "hair_style has no option bld"),
        ("has if hair_style=bald", "no hair", "has is none of the kinds"),
        ("have", "{eye_colour} eyes | eyes", "need the same slots"),
    ],
)
def test_mistakes_in_the_grammar_are_named(key: str, wordings: str, error: str) -> None:
    with pytest.raises(ValueError, match=error):
        list(parse_line(["hair_style"], key, wordings))
