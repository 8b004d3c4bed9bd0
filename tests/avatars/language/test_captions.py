from __future__ import annotations

import random
import re
import time
from collections.abc import Callable

import pytest
import torch

from tmsa_core.avatars.language.captions import Caption, captions, true_of, vocabulary
from tmsa_core.avatars.language.phrases import all_phrases, mention_weights
from tmsa_core.avatars.language.sentences import NEUTRAL_TEXTS
from tmsa_core.avatars.params import ATTRIBUTES, TRAITS, Portraits, sample_portraits
from tmsa_core.avatars.visibility import visible
from tmsa_core.text.templates import TEMPLATES

COUNT = 12_000
Look = dict[str, str | float]


@pytest.fixture(scope="module")
def portraits() -> Portraits:
    return sample_portraits(COUNT, torch.Generator().manual_seed(11))


@pytest.fixture(scope="module")
def batch(portraits: Portraits) -> list[Caption]:
    return captions(portraits, random.Random(3))


@pytest.fixture(scope="module")
def texts(batch: list[Caption]) -> list[str]:
    return [unwrapped(c.text) for c in batch]


@pytest.fixture(scope="module")
def looks(portraits: Portraits) -> list[Look]:
    columns: dict[str, list[float] | list[str]] = {
        name: values.tolist() for name, values in portraits.traits.items()
    }
    for name, indices in portraits.attributes.items():
        columns[name] = [ATTRIBUTES[name].options[i] for i in indices.tolist()]
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def unwrapped(text: str) -> str:
    """The caption without its prompt template."""
    found = ""
    for template in TEMPLATES:
        before, after = template.split("{}")
        if text.startswith(before) and text.endswith(after) and len(before) > len(found):
            found = before
    if not text.endswith("."):
        return text
    return text.removeprefix(found).removesuffix(".").removesuffix(" in a video game")


def has(name: str, *options: str) -> Callable[[Look], bool]:
    return lambda look: look[name] in options


def low(name: str) -> Callable[[Look], bool]:
    return lambda look: look[name] < -0.5


def high(name: str) -> Callable[[Look], bool]:
    return lambda look: look[name] > 0.5


def both(*rules: Callable[[Look], bool]) -> Callable[[Look], bool]:
    return lambda look: all(rule(look) for rule in rules)


LACK = r"(?<!no )(?<!without )(?<!without a )(?<!without any )(?<!wearing )"
grown = has("age", "adult", "old")
# What the words mean, written independently of the grammar file.
RULES: dict[str, Callable[[Look], bool]] = {
    LACK + r"\b(glasses|eyeglasses|spectacles)\b(?<!dark glasses)": has("eyewear", "glasses"),
    r"\bwearing (glasses|spectacles)\b(?<!not wearing glasses)": has("eyewear", "glasses"),
    LACK + r"\b(sunglasses|shades|dark glasses)\b": has("eyewear", "sunglasses"),
    r"\b(no|without|not wearing) (glasses|sunglasses|eyewear|spectacles)": has("eyewear", "none"),
    r"\bround (red |black |gold |golden )?(glasses|frames)": has("frame_shape", "round"),
    r"\bsquare (red |black |gold |golden )?(glasses|frames)": has("frame_shape", "square"),
    r"\b(red|red-framed|red-rimmed) (glasses|sunglasses|frames)": has("frame_colour", "red"),
    r"\bgold(en)? (glasses|sunglasses|frames)": has("frame_colour", "gold"),
    LACK + r"\bbeard\b(?<!chin beard)": has("facial_hair", "beard"),
    r"\b(bearded|full beard|bushy beard)\b": has("facial_hair", "beard"),
    r"\b(goatee|chin beard)\b": has("facial_hair", "goatee"),
    LACK + r"\b(moustache|mustache)\b": has("facial_hair", "moustache"),
    r"(?<!no )(?<!without )\bfacial hair": has("facial_hair", "moustache", "goatee", "beard"),
    r"\b(clean-shaven|beardless|no beard|no facial hair|without a? ?beard)\b": has(
        "facial_hair", "none"
    ),
    r"(?<!not )(?<!without )\b(smiling|happy|smiley)\b": has("expression", "smile", "grin"),
    r"\b(an?|with|,) smile\b(?<!without a smile)": has("expression", "smile", "grin"),
    r"\b(grinning|laughing|grin|toothy|showing teeth|big smile)\b": has("expression", "grin"),
    r"\b(gentle|slight) smile\b": has("expression", "smile"),
    r"\b(serious|neutral expression|expressionless)\b": has("expression", "neutral"),
    r"\b(not smiling|no smile|without a smile)\b": has("expression", "neutral", "frown"),
    r"\b(frown|frowning|sad|unhappy|grumpy|angry)\b": has("expression", "frown"),
    r"\b(kid|child|toddler|boy|girl|youngster|young|little (boy|girl))\b": has("age", "kid"),
    r"\b(boy|schoolboy)\b": has("gender", "male"),
    r"\b(girl|schoolgirl)\b": has("gender", "female"),
    r"\b(man|guy|gentleman)\b": both(has("gender", "male"), grown),
    r"\b(woman|lady)\b": both(has("gender", "female"), grown),
    r"\b(male|he|masculine)\b": has("gender", "male"),
    r"\b(female|she|feminine)\b": has("gender", "female"),
    r"\b(old|elderly|aged|senior|granny)\b(?<!middle-aged)": has("age", "old"),
    r"\b(grandpa|grandfather|granddad|old man)\b": both(has("age", "old"), has("gender", "male")),
    r"\b(grandma|grandmother|old lady)\b": both(has("age", "old"), has("gender", "female")),
    r"\b(adult|grown-up|middle-aged)\b(?<!male adult)(?<!female adult)": has("age", "adult"),
    r"\b(bald|hairless|no hair|shaved head)\b": has("hair_style", "bald"),
    r"\b(afro|curls|curly)\b": has("hair_style", "curly"),
    r"\bmohawk\b": has("hair_style", "mohawk"),
    r"\bpunk\b": has("hair_style", "mohawk", "spiky"),
    r"\b(pigtails)\b": has("hair_style", "pigtails"),
    r"\bponytail\b": has("hair_style", "ponytail"),
    r"\bbob\b": has("hair_style", "bob"),
    r"\b(bun|topknot)\b": has("hair_style", "bun"),
    r"\bwavy\b": has("hair_style", "wavy"),
    r"\blong (\w+ )?hair\b(?<!wavy hair)": has("hair_style", "long"),
    r"\bshort hair\b": has("hair_style", "short"),
    r"\b(blonde?|golden) (hair|bob|ponytail|bun|mohawk|pigtails)": has("hair_colour", "blond"),
    r"\b(blonde?|blond-haired)\b": has("hair_colour", "blond"),
    r"\b(red|ginger) (hair|bob|ponytail|bun|mohawk|pigtails|afro)\b": has("hair_colour", "red"),
    r"\b(redhead|ginger)\b": has("hair_colour", "red"),
    r"\b(grey|gray) hair\b": has("hair_colour", "grey"),
    r"\bwhite hair\b": has("hair_colour", "white"),
    r"\bblue hair\b": has("hair_colour", "blue"),
    r"\bdark hair\b": has("hair_colour", "black", "brown"),
    r"(eyes (are )?closed|closed eyes|eyes shut|asleep)": has("eyes", "closed"),
    r"(eyes open|open eyes)": has("eyes", "open"),
    r"\bblue(-eyed| eyes)": has("eye_colour", "blue"),
    r"\b(brown|hazel)(-eyed| eyes)": has("eye_colour", "brown"),
    r"\bgreen(-eyed| eyes)": has("eye_colour", "green"),
    r"\bbeanie\b": has("headwear", "beanie"),
    r"\b(woolly|knit|knitted|winter|wool) (hat|cap)\b": has("headwear", "beanie"),
    LACK + r"(?<!knit )\b(cap|baseball cap)\b": has("headwear", "cap"),
    r"\b(fedora|brimmed hat)\b": has("headwear", "hat"),
    r"(?<!not )\b(wearing|with) a \w* ?hat\b": has("headwear", "beanie", "cap", "hat"),
    r"\b(no hat|without a hat|bareheaded|hatless)\b": has("headwear", "none"),
    r"\bred (beanie|cap|hat|baseball cap|fedora)\b": has("headwear_colour", "red"),
    r"\bblack (beanie|cap|hat|baseball cap|fedora)\b": has("headwear_colour", "black"),
    r"\b(no|without) earrings\b": has("earrings", "no"),
    r"(wearing|with) earrings": has("earrings", "yes"),
    r"\bred lips": has("lipstick", "yes"),
    r"\b(no|without) lipstick\b": has("lipstick", "no"),
    r"\b(eye shadow|blush|heavy makeup)\b": has("makeup", "yes"),
    r"\b(no|without) make-?up\b": both(has("makeup", "no"), has("lipstick", "no")),
    r"(?<!no )(?<!without )\bfreckle": has("freckles", "yes"),
    r"\b(no|without) freckles": has("freckles", "no"),
    r"(?<!no )(?<!without )\bwrinkl": has("wrinkles", "yes"),
    r"\b(smooth skin|no wrinkles|without wrinkles)": has("wrinkles", "no"),
    r"\b(vampire|dracula)\b": has("costume", "vampire"),
    r"\b(rock star|rocker|musician)\b": has("costume", "rock_star"),
    r"\bclown\b": has("costume", "clown"),
    r"\b(no|without a) costume\b": has("costume", "none"),
    r"\bhoodie\b": has("clothes", "hoodie"),
    r"\bt-?shirt\b": has("clothes", "tshirt"),
    r"\b(collared|collar)\b": has("clothes", "collar"),
    r"\bblack (t-shirt|hoodie|clothes|top)\b": has("clothes_colour", "black"),
    r"\bblue background\b": has("background", "blue"),
    r"\b(orange) (background|wall)\b": has("background", "orange"),
    r"\b(pale|light skin|fair skin)\b": low("skin_tone"),
    r"\b(dark|brown|black) skin\b": high("skin_tone"),
    r"\b(big|large|huge) eyes\b": high("eye_size"),
    r"\bsmall eyes\b": low("eye_size"),
    r"\b(wide|broad|round) face\b": high("face_width"),
    r"\b(narrow|thin) face\b": low("face_width"),
    r"\b(big|large) nose\b": high("nose_width"),
    r"\bsmall nose\b": low("nose_width"),
    r"\blong nose\b": high("nose_length"),
    r"\bwide mouth\b": high("mouth_width"),
    r"\b(full|thick) lips\b": high("lip_fullness"),
    r"\bthin lips\b": low("lip_fullness"),
    r"\b(thick|bushy) (eye)?brows\b": high("brow_thickness"),
    r"\bthin (eye)?brows\b": low("brow_thickness"),
    r"\b(big|large) ears\b": high("ear_size"),
    r"\bsquare jaw\b": high("jaw_width"),
    r"\bpointed chin\b": low("jaw_width"),
    r"\b(looking|facing|turned) (to the )?left\b": low("yaw"),
    r"\b(looking|facing|turned) (to the )?right\b": high("yaw"),
}


@pytest.mark.parametrize("pattern", RULES)
def test_captions_are_true(pattern: str, texts: list[str], looks: list[Look]) -> None:
    rule, search = RULES[pattern], re.compile(pattern).search
    matching = [(t, look) for t, look in zip(texts, looks, strict=True) if search(t)]
    assert matching, "no caption matches the rule"
    wrong = [text for text, look in matching if not rule(look)]
    assert not wrong, wrong[:3]


def test_common_words_are_in_the_grammar() -> None:
    said = {phrase.text for _, phrase in all_phrases()}
    assert said >= {
        "shades", "sunglasses", "spectacles", "glasses", "facial hair", "a beard", "bearded",
        "a moustache", "a mustache", "a goatee", "smiling", "happy", "grinning", "laughing",
        "a smile", "a big smile", "showing teeth", "frowning", "sad", "unhappy", "grumpy", "kid",
        "child", "boy", "girl", "little girl", "young boy", "toddler", "adult", "elderly", "old",
        "aged", "senior", "grandpa", "grandma", "grandmother", "old man", "old woman", "male",
        "man", "guy", "gentleman", "female", "woman", "lady", "blond hair", "long blue hair",
        "curly red hair", "an afro", "a bob", "a ponytail", "a bun", "a mohawk", "pigtails",
        "bald", "hairless", "a shaved head", "eyes closed", "asleep", "blue eyes", "a beanie",
        "a baseball cap", "a fedora", "a red hat", "headwear", "earrings", "lipstick", "red lips",
        "makeup", "blush", "eye shadow", "freckles", "wrinkles", "wrinkled", "vampire", "dracula",
        "rock star", "rocker", "clown", "a black t-shirt", "a hoodie", "a collared shirt",
        "on a blue background", "pale skin", "dark skin", "big eyes", "a square jaw",
        "looking left", "without glasses", "no glasses", "clean-shaven", "beardless", "no beard",
        "without a hat", "bareheaded", "no makeup", "not smiling", "serious",
        "a neutral expression", "without earrings", "no freckles", "smooth skin", "punk",
    }  # fmt: skip


def test_common_prompt_shapes_occur(texts: list[str]) -> None:
    assert set(texts) >= {
        "human face", "face", "a portrait of a person", "human face with glasses", "glasses",
        "smiling", "male", "sunglasses", "kid", "human face with a beard",
    }  # fmt: skip
    for pattern in (
        r"^(he|she) (has|is|wears) ",
        r"^[^,]+, [^,]+, [^,]+$",
        r"^portrait of a ",
        r"^this person has ",
        r" who is ",
        r"^a smiling ",
        r" wearing .* and ",
    ):
        assert any(re.search(pattern, text) for text in texts), pattern


def test_every_attribute_is_mentioned_some_more_than_others(batch: list[Caption]) -> None:
    said = [c for c in batch if c.mentioned]
    share = {n: sum(n in c.mentioned for c in said) / len(said) for n in mention_weights()}
    assert 0.85 < len(said) / len(batch) < 0.97
    assert share["expression"] >= 0.35
    assert min(share[n] for n in ("eyewear", "facial_hair", "gender", "age")) > 0.12
    assert min(share[n] for n in ("hair_style", "hair_colour", "headwear")) > 0.06
    assert min(share[n] for n in ATTRIBUTES) > 0.01
    assert min(share.values()) > 0.001


def test_half_of_the_captions_use_a_template(batch: list[Caption], texts: list[str]) -> None:
    share = sum(c.text != text for c, text in zip(batch, texts, strict=True)) / len(batch)
    assert 0.45 < share < 0.55
    used = sum(any(c.text.startswith(t.split("{}")[0]) for c in batch) for t in TEMPLATES)
    assert used == 80


@pytest.mark.parametrize("count", range(7))
def test_captions_mention_the_requested_number_of_attributes(
    portraits: Portraits, count: int
) -> None:
    some = captions(portraits[:400], random.Random(0), mentions=count)
    assert min(len(c.mentioned) for c in some) >= count
    assert sum(len(c.mentioned) for c in some) / 400 < count + 1
    if count == 0:
        assert {unwrapped(c.text) for c in some} <= set(NEUTRAL_TEXTS)
        assert not any(c.allows for c in some)


def test_mentions_out_of_range_are_refused(portraits: Portraits) -> None:
    for count in (-1, 7):
        with pytest.raises(ValueError, match="between 0 and 6"):
            captions(portraits[:1], random.Random(0), mentions=count)


def test_the_same_seed_gives_the_same_captions(portraits: Portraits) -> None:
    few = portraits[:200]
    assert captions(few, random.Random(4)) == captions(few, random.Random(4))
    assert captions(few, random.Random(4)) != captions(few, random.Random(5))
    one, other = (torch.Generator().manual_seed(4) for _ in range(2))
    first = captions(few, one)
    assert first == captions(few, other)
    assert first != captions(few, one), "a generator moves on"


def test_hidden_attributes_are_not_mentioned(portraits: Portraits, batch: list[Caption]) -> None:
    for name in ("eye_colour", "eyes", "hair_style", "hair_colour", "frame_colour", "clothes"):
        seen = visible(portraits, name).tolist()
        assert not any(name in c.mentioned and not ok for c, ok in zip(batch, seen, strict=True)), (
            name
        )


def test_true_of_agrees_with_the_allowed_options(portraits: Portraits) -> None:
    few = portraits[:300]
    made = captions(few, random.Random(8))
    true = true_of(made, few)
    assert true.shape == (300, 300)
    assert true.diagonal().all()
    for c, row in zip(made, true, strict=True):
        expected = torch.ones(300, dtype=torch.bool)
        for name, options in c.allows.items():
            if name in TRAITS:
                t = few.traits[name]
                parts = {"low": t < -0.5, "middle": t.abs() <= 0.5, "high": t > 0.5}
                expected &= torch.stack([parts[o] for o in options]).any(dim=0)
            else:
                expected &= few.is_(name, *options)
        assert torch.equal(row, expected)


def test_a_grin_is_a_smile_but_a_smile_is_not_a_grin(portraits: Portraits) -> None:
    few = portraits[:3000]
    grins = captions(few.with_(expression="grin"), random.Random(0), mentions=1)
    smiles = captions(few.with_(expression="smile"), random.Random(0), mentions=1)
    by_text = {
        unwrapped(c.text): c.allows["expression"]
        for c in [*grins, *smiles]
        if "expression" in c.mentioned
    }
    assert by_text["smiling"] == ("smile", "grin")
    assert by_text["grinning"] == ("grin",)


def test_changing_a_mentioned_attribute_makes_the_caption_false(portraits: Portraits) -> None:
    few = portraits[:200].with_(eyewear="glasses")
    made = [c for c in captions(few, random.Random(1)) if "eyewear" in c.mentioned]
    assert len(made) > 10
    pinned = [c for c in made if len(c.allows["eyewear"]) == 1]
    assert true_of(pinned, few.with_(eyewear="none")).sum() == 0
    assert true_of(pinned, few.with_(eyewear="sunglasses")).sum() == 0


def test_the_vocabulary_is_sorted_and_complete(batch: list[Caption]) -> None:
    words = vocabulary()
    assert list(words) == sorted(set(words))
    pieces = re.compile(r"'s|[a-z]+|[^\sa-z]+")
    made = {piece for c in batch for piece in pieces.findall(c.text)}
    made |= {piece for t in TEMPLATES for piece in pieces.findall(t.replace("{}", " "))}
    assert made <= set(words)
    assert len(made) > 0.9 * len(words), "words that are never used are never learned"


def test_articles_fit_the_next_word(texts: list[str]) -> None:
    assert not [t for t in texts if re.search(r"\ba [aeiou]|\ban [^aeiou]", t)]
    assert not [t for t in texts if re.search(r"\s{2}|\s,|^\s|\s$|,,|,$|\{|\}|_", t)]


def test_captions_are_quick(portraits: Portraits) -> None:
    start = time.process_time()  # hardly changed by other work on the machine
    captions(portraits[:5000], random.Random(0))
    assert 5000 / (time.process_time() - start) > 2000
