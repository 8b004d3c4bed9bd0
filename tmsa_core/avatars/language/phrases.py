"""What can be said about a portrait: the words of the caption grammar, as data.

A *phrase* is a few words, the way they join a sentence, and the options of attributes under
which they are true. A *topic* is the attributes that a list of phrases is about; "grandma" is
about gender and age together. Nothing here draws or assembles anything: see ``captions``.

Lists are written as one string, parted by ``|``; ``*3`` makes a wording three times as likely.
Options are parted by blanks. A trait's options are low, middle and high.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tmsa_core.avatars.params import ATTRIBUTES

LOW, MIDDLE, HIGH = "low", "middle", "high"
TRAIT_OPTIONS = (LOW, MIDDLE, HIGH)
TRAIT_EDGE = 0.5  # beyond it, a trait is strong enough to have a name

# How often something is spoken of. Expression leads: it is the hardest to learn.
WEIGHTS: dict[str, float] = {
    "expression": 8.0,
    "eyewear": 3.4,
    "facial_hair": 3.4,
    "gender": 3.4,
    "age": 3.4,
    "hair_style": 2.4,
    "hair_colour": 2.4,
    "headwear": 2.2,
    "costume": 1.2,
    "eyes": 1.2,
    "eye_colour": 1.0,
    "earrings": 1.0,
    "lipstick": 1.0,
    "makeup": 1.0,
    "freckles": 1.0,
    "wrinkles": 1.0,
    "headwear_colour": 0.7,
    "clothes": 0.6,
    "clothes_colour": 0.6,
    "background": 0.7,
    "frame_shape": 0.5,
    "frame_colour": 0.5,
    "skin_tone": 1.2,
    "skin_undertone": 0.2,
    "face_width": 0.4,
    "face_length": 0.3,
    "jaw_width": 0.4,
    "cheeks": 0.3,
    "eye_size": 0.5,
    "eye_spacing": 0.2,
    "eye_tilt": 0.2,
    "brow_thickness": 0.4,
    "brow_height": 0.2,
    "nose_width": 0.4,
    "nose_length": 0.4,
    "mouth_width": 0.4,
    "lip_fullness": 0.4,
    "ear_size": 0.3,
    "yaw": 0.8,
}
# What somebody lacks is spoken of less often than what there is.
NOTHING: dict[str, str] = {
    "eyewear": "none",
    "facial_hair": "none",
    "headwear": "none",
    "costume": "none",
    "eyes": "open",
    "earrings": "no",
    "lipstick": "no",
    "makeup": "no",
    "freckles": "no",
    "wrinkles": "no",
}
NOTHING_SHARE = 0.4
# A colour is said of a thing, so the thing is then spoken of too.
SPOKEN_WITH = {
    "headwear_colour": "headwear",
    "frame_shape": "eyewear",
    "frame_colour": "eyewear",
}
# Attributes that one phrase can name together.
GROUPS: tuple[tuple[str, ...], ...] = (
    ("gender", "age"),
    ("hair_style", "hair_colour"),
    ("eyewear", "frame_shape", "frame_colour"),
    ("headwear", "headwear_colour"),
    ("clothes", "clothes_colour"),
)
# Proportions that the drawing may cover, so that words about them could not be learned.
TRAITS_HIDDEN_BY: dict[str, tuple[tuple[str, tuple[str, ...]], ...]] = {
    "skin_tone": (("costume", ("vampire", "clown")),),
    "skin_undertone": (("costume", ("vampire", "clown")),),
    "eye_size": (("eyewear", ("sunglasses",)), ("eyes", ("closed",))),
    "eye_spacing": (("eyewear", ("sunglasses",)),),
    "eye_tilt": (("eyewear", ("sunglasses",)),),
    "brow_thickness": (("eyewear", ("sunglasses",)), ("headwear", ("beanie", "cap", "hat"))),
    "brow_height": (("eyewear", ("sunglasses",)), ("headwear", ("beanie", "cap", "hat"))),
    "lip_fullness": (("costume", ("clown",)),),
    "mouth_width": (("costume", ("clown",)),),
    "nose_width": (("costume", ("clown",)),),
    "nose_length": (("costume", ("clown",)),),
    "ear_size": (
        ("hair_style", ("curly", "bob", "long", "wavy", "pigtails")),
        ("headwear", ("beanie", "cap", "hat")),
    ),
}

KINDS = ("adj", "noun", "pronoun", "have", "wear", "is", "post")


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words and when they are true.

    kind: "adj" stands before the noun, "noun" takes its place, "pronoun" opens a sentence,
    "have" follows "with" or "has", "wear" follows "wearing", "is" follows the noun or "is",
    "post" stands after all of these.
    allows: per attribute or trait, the options under which the words are true; every other
    attribute is free.
    """

    kind: str
    text: str
    allows: tuple[tuple[str, tuple[str, ...]], ...]


Topic = tuple[str, ...]


def all_phrases() -> Iterator[tuple[Topic, Phrase]]:
    """Every phrase of the grammar with what it is about; a likelier wording comes repeatedly."""
    yield from _people()
    yield from _expressions()
    yield from _eyes_and_glasses()
    yield from _hair()
    yield from _facial_hair()
    yield from _headwear()
    yield from _skin_and_makeup()
    yield from _clothes()
    yield from _proportions()


def _say(about: str, kind: str, texts: str, **allows: str) -> Iterator[tuple[Topic, Phrase]]:
    """One phrase for each of ``texts``, true under ``allows``."""
    options = tuple((name, tuple(value.split())) for name, value in allows.items())
    topic = tuple(about.split())
    for text in _listed(texts):
        yield topic, Phrase(kind, text, options)


def _fill(
    about: str, kind: str, patterns: str, attribute: str, words: Mapping[str, str], **allows: str
) -> Iterator[tuple[Topic, Phrase]]:
    """Phrases with a slot ``{}``, filled with each word for each option of ``attribute``."""
    for options, names in words.items():
        for name in _listed(names):
            for pattern in _listed(patterns):
                text = _fitted(pattern.replace("{}", name))
                yield from _say(about, kind, text, **allows, **{attribute: options})


def _listed(texts: str) -> list[str]:
    """ "a*2|b" -> [a, a, b]."""
    items: list[str] = []
    for item in texts.split("|"):
        text, _, times = item.partition("*")
        items += [text] * int(times or 1)
    return items


def with_article(noun: str) -> str:
    """The noun phrase after "a" or "an"."""
    return ("an " if noun[0] in "aeiou" else "a ") + noun


def _fitted(text: str) -> str:
    """The text with each "a" turned into "an" where the next word asks for it, and back."""
    return re.sub(r"\ban? (\S+)", lambda found: with_article(found[1]), text)


def _plain(patterns: str) -> str:
    """Patterns with their slot closed."""
    return _fitted(patterns.replace("{} ", ""))


def _other_than(attribute: str, *options: str) -> str:
    """All options of an attribute but these, parted by blanks."""
    return " ".join(o for o in ATTRIBUTES[attribute].options if o not in options)


def _people() -> Iterator[tuple[Topic, Phrase]]:
    grown = "adult old"
    yield from _say(
        "gender", "noun", "man*8|guy*2|gentleman|man's face|male adult", gender="male", age=grown
    )
    yield from _say(
        "gender", "noun", "woman*8|lady*3|woman's face|female adult", gender="female", age=grown
    )
    yield from _say("gender", "noun", "male*4|male person|male face*2|male human", gender="male")
    yield from _say(
        "gender", "noun", "female*4|female person|female face*2|female human", gender="female"
    )
    yield from _say("gender", "adj", "male*4|masculine", gender="male")
    yield from _say("gender", "adj", "female*4|feminine", gender="female")
    yield from _say("gender", "pronoun", "he", gender="male")
    yield from _say("gender", "pronoun", "she", gender="female")
    yield from _say(
        "gender age",
        "noun",
        "boy*6|little boy*2|young boy|small boy|male kid|male child|boy's face|schoolboy",
        gender="male",
        age="kid",
    )
    yield from _say(
        "gender age",
        "noun",
        "girl*6|little girl*2|young girl|small girl|female kid|female child|girl's face|schoolgirl",
        gender="female",
        age="kid",
    )
    yield from _say(
        "gender age",
        "noun",
        "adult man*2|grown man|middle-aged man|adult male",
        gender="male",
        age="adult",
    )
    yield from _say(
        "gender age",
        "noun",
        "adult woman*2|grown woman|middle-aged woman|adult female",
        gender="female",
        age="adult",
    )
    yield from _say(
        "gender age",
        "noun",
        "old man*4|elderly man*2|aged man|senior man|grandpa*2|"
        "grandfather*2|old gentleman|old guy|granddad|old male|elderly gentleman",
        gender="male",
        age="old",
    )
    yield from _say(
        "gender age",
        "noun",
        "old woman*4|elderly woman*2|aged woman|senior woman|"
        "grandma*2|grandmother*2|old lady*2|granny|old female|elderly lady",
        gender="female",
        age="old",
    )
    yield from _say(
        "age",
        "noun",
        "kid*5|child*5|little kid|little child|young child|youngster|"
        "toddler*2|child's face|kid's face|young kid|small child|schoolchild",
        age="kid",
    )
    yield from _say("age", "adj", "young*4|childlike|very young", age="kid")
    yield from _say(
        "age", "noun", "adult*4|grown-up*2|adult person|middle-aged person|adult face", age="adult"
    )
    yield from _say("age", "adj", "adult*3|grown-up|middle-aged*2", age="adult")
    yield from _say(
        "age",
        "noun",
        "old person*3|elderly person*2|senior*2|senior citizen|"
        "aged person|old face*2|aged face|elder|pensioner|grandparent",
        age="old",
    )
    yield from _say("age", "adj", "old*5|elderly*3|aged*2|senior|very old", age="old")


def _expressions() -> Iterator[tuple[Topic, Phrase]]:
    about, glad, low = "expression", "smile grin", "frown neutral"
    yield from _say(about, "adj", "smiling*6|happy*3|cheerful|joyful|smiley|glad", expression=glad)
    yield from _say(
        about,
        "have",
        "a smile*6|a smiling face*2|a smiling mouth|"
        "a happy expression*2|a happy face|a cheerful expression",
        expression=glad,
    )
    yield from _say(about, "is", "smiling*4|looking happy|looking cheerful", expression=glad)
    yield from _say(about, "adj", "grinning*4|laughing*3|toothy", expression="grin")
    yield from _say(
        about,
        "have",
        "a big smile*3|a grin*3|a broad grin|a wide smile|"
        "a toothy smile*2|a toothy grin|visible teeth|teeth|an open smile|"
        "a laughing face",
        expression="grin",
    )
    yield from _say(
        about,
        "is",
        "grinning*2|laughing*2|showing teeth*2|smiling with teeth|smiling broadly",
        expression="grin",
    )
    yield from _say(about, "adj", "gently smiling|slightly smiling", expression="smile")
    yield from _say(
        about,
        "have",
        "a gentle smile*2|a slight smile*2|a small smile|"
        "a closed smile|a closed-mouth smile|a soft smile",
        expression="smile",
    )
    yield from _say(
        about, "is", "smiling gently|smiling softly|smiling with closed lips", expression="smile"
    )
    yield from _say(
        about,
        "adj",
        "serious*3|expressionless|calm|neutral|unsmiling|neutral-looking",
        expression="neutral",
    )
    yield from _say(
        about,
        "have",
        "a neutral expression*4|a serious expression*2|a serious face|"
        "a straight face|a blank expression|no expression|a calm expression|"
        "a neutral face",
        expression="neutral",
    )
    yield from _say(
        about, "is", "looking serious*2|looking neutral|looking calm", expression="neutral"
    )
    yield from _say(about, "is", "not smiling*2", expression=low)
    yield from _say(about, "have", "no smile", expression=low)
    yield from _say(about, "post", "without a smile|without smiling", expression=low)
    yield from _say(
        about,
        "adj",
        "frowning*4|sad*4|unhappy*2|grumpy*2|angry*2|gloomy|upset|miserable",
        expression="frown",
    )
    yield from _say(
        about,
        "have",
        "a frown*4|a sad face*2|a sad expression*2|a sad mouth|"
        "a grumpy expression|an angry face|an angry expression|an unhappy face|"
        "a grumpy face|a downturned mouth",
        expression="frown",
    )
    yield from _say(
        about,
        "is",
        "frowning*3|looking sad*2|looking grumpy|looking angry|looking unhappy",
        expression="frown",
    )


def _eyes_and_glasses() -> Iterator[tuple[Topic, Phrase]]:
    eyes = {
        "brown": "brown*3|hazel",
        "blue": "blue*3|light blue",
        "green": "green",
        "grey": "grey|gray",
    }
    yield from _fill(
        "eye_colour", "have", "{} eyes*4|eyes that are {}|{} coloured eyes", "eye_colour", eyes
    )
    yield from _fill("eye_colour", "adj", "{}-eyed", "eye_colour", eyes)
    yield from _say(
        "eyes", "have", "closed eyes*4|eyes closed*4|eyes shut*2|shut eyes", eyes="closed"
    )
    yield from _say("eyes", "is", "sleeping*2|asleep|looking asleep", eyes="closed")
    yield from _say("eyes", "adj", "sleeping", eyes="closed")
    yield from _say("eyes", "have", "open eyes*4|eyes open*4|both eyes open", eyes="open")
    yield from _say("eyes", "is", "awake", eyes="open")

    about = "eyewear"
    clear, dark = (
        "glasses*6|eyeglasses*2|spectacles*3|reading glasses|specs",
        ("sunglasses*6|shades*3|dark glasses*2|sunnies"),
    )
    yield from _say(about, "wear", clear, eyewear="glasses")
    yield from _say(about, "adj", "bespectacled", eyewear="glasses")
    yield from _say(about, "wear", dark, eyewear="sunglasses")
    yield from _say(
        about, "have", "no glasses*3|no eyewear|no sunglasses|no eyeglasses", eyewear="none"
    )
    yield from _say(
        about,
        "post",
        "without glasses*4|without eyewear|without spectacles|"
        "without sunglasses|not wearing glasses",
        eyewear="none",
    )
    yield from _say(about, "wear", "eyewear", eyewear="glasses sunglasses")

    shapes = {"round": "round*3|circular", "square": "square*3|rectangular"}
    metals = {"black": "black", "red": "red", "gold": "gold|golden"}
    things = {"glasses": "glasses*3|eyeglasses|spectacles", "sunglasses": "sunglasses*3|shades"}
    yield from _fill(
        "eyewear frame_shape",
        "wear",
        "glasses with {} frames|{} frames|{}-framed glasses",
        "frame_shape",
        shapes,
        eyewear="glasses",
    )
    yield from _fill(
        "eyewear frame_colour",
        "wear",
        "glasses with {} frames|{} frames|{}-rimmed glasses|{}-framed glasses",
        "frame_colour",
        metals,
        eyewear="glasses",
    )
    for option, names in things.items():
        for name in _listed(names):
            yield from _fill(
                "eyewear frame_shape", "wear", f"{{}} {name}", "frame_shape", shapes, eyewear=option
            )
            yield from _fill(
                "eyewear frame_colour",
                "wear",
                f"{{}} {name}",
                "frame_colour",
                metals,
                eyewear=option,
            )
            for shape, words in shapes.items():
                for word in _listed(words):
                    yield from _fill(
                        "eyewear frame_shape frame_colour",
                        "wear",
                        f"{word} {{}} {name}",
                        "frame_colour",
                        metals,
                        frame_shape=shape,
                        eyewear=option,
                    )


HAIR_COLOURS = {
    "black": "black*4|jet black",
    "brown": "brown*4|chestnut|brunette",
    "blond": "blond*3|blonde*3|golden|yellow",
    "red": "red*4|ginger*2",
    "grey": "grey*2|gray*2|silver",
    "white": "white*3|snow white",
    "blue": "blue*3|bright blue",
    "pink": "pink*3|bright pink",
    "black brown": "dark",
    "blue pink": "dyed",
}
# Wordings with a slot for the colour; without a colour the slot closes.
HAIR_STYLES = {
    "short": "short {} hair*5|{} hair cut short|a short {} haircut|short-cropped {} hair",
    "side_part": "side-parted {} hair*2|{} hair parted on the side|a {} side part*2|"
    "a {} side parting|{} hair with a side part",
    "spiky": "spiky {} hair*4|spiked {} hair|{} spikes|spiky punk {} hair",
    "curly": "curly {} hair*4|{} curls*2|a {} afro*2|a curly {} afro|frizzy {} hair",
    "bob": "a {} bob*3|a {} bob haircut|a {} bob cut|{} hair in a bob|chin-length {} hair",
    "long": "long {} hair*5|long straight {} hair|straight long {} hair",
    "wavy": "wavy {} hair*4|long wavy {} hair*2|{} hair in waves",
    "bun": "a {} bun*3|{} hair in a bun*2|a {} hair bun|{} hair tied in a bun|a {} topknot",
    "ponytail": "a {} ponytail*4|{} hair in a ponytail*2|{} hair tied in a ponytail",
    "mohawk": "a {} mohawk*5|a {} mohawk haircut|{} hair in a mohawk",
    "pigtails": "{} pigtails*4|{} hair in pigtails*2|two {} pigtails",
}


def _hair() -> Iterator[tuple[Topic, Phrase]]:
    haired = _other_than("hair_style", "bald")
    about = "hair_style"
    yield from _say(about, "adj", "bald*6|hairless|bald-headed|completely bald", hair_style="bald")
    yield from _say(about, "have", "no hair*3|a bald head*3|a shaved head*2", hair_style="bald")
    yield from _say(about, "post", "without hair*2|without any hair", hair_style="bald")
    yield from _say(about, "have", "hair|a full head of hair", hair_style=haired)
    yield from _say(about, "noun", "punk*2", hair_style="mohawk spiky")
    yield from _say(about, "have", "a punk haircut*2|a punk hairstyle", hair_style="mohawk spiky")
    adjectives = {
        "long": "long-haired*2",
        "short": "short-haired*2",
        "curly": "curly-haired*2|curly",
        "spiky": "spiky-haired",
        "wavy": "wavy-haired",
    }
    for style, words in adjectives.items():
        yield from _say(about, "adj", words, hair_style=style)
    for style, patterns in HAIR_STYLES.items():
        yield from _say(about, "have", _plain(patterns), hair_style=style)
        yield from _fill(
            "hair_style hair_colour",
            "have",
            patterns,
            "hair_colour",
            HAIR_COLOURS,
            hair_style=style,
        )
    yield from _fill(
        "hair_colour",
        "have",
        "{} hair*6|{} coloured hair|{} colored hair|hair that is {}",
        "hair_colour",
        HAIR_COLOURS,
        hair_style=haired,
    )
    yield from _fill(
        "hair_colour", "adj", "{}-haired*2", "hair_colour", HAIR_COLOURS, hair_style=haired
    )
    yield from _say(
        "hair_colour", "adj", "blond*4|blonde*4|fair-haired", hair_colour="blond", hair_style=haired
    )
    yield from _say(
        "hair_colour", "adj", "ginger*2|redheaded", hair_colour="red", hair_style=haired
    )
    yield from _say("hair_colour", "noun", "redhead*3", hair_colour="red", hair_style=haired)
    yield from _say("hair_colour", "noun", "blonde", hair_colour="blond", hair_style=haired)
    yield from _say(
        "hair_colour",
        "have",
        "colourful hair|colorful hair",
        hair_colour="blue pink",
        hair_style=haired,
    )


def _facial_hair() -> Iterator[tuple[Topic, Phrase]]:
    about = "facial_hair"
    yield from _say(
        about, "have", "a beard*6|a full beard*2|a bushy beard|a thick beard", facial_hair="beard"
    )
    yield from _say(about, "adj", "bearded*5", facial_hair="beard")
    yield from _say(about, "have", "a moustache*5|a mustache*5", facial_hair="moustache")
    yield from _say(about, "adj", "moustached|mustached|mustachioed", facial_hair="moustache")
    yield from _say(
        about, "have", "a goatee*5|a chin beard|a goatee on the chin", facial_hair="goatee"
    )
    yield from _say(about, "have", "facial hair*3", facial_hair="moustache goatee beard")
    yield from _say(about, "adj", "unshaven", facial_hair="moustache goatee beard")
    yield from _say(about, "adj", "clean-shaven*4|beardless*2|shaven", facial_hair="none")
    yield from _say(
        about,
        "have",
        "no beard*3|no facial hair*2|no moustache|no mustache|a clean-shaven face|a shaved face",
        facial_hair="none",
    )
    yield from _say(
        about,
        "post",
        "without a beard*2|without beard|without facial hair*2|"
        "without a moustache|without a mustache",
        facial_hair="none",
    )


COLOURS = {
    name: name
    for name in ("black", "red", "blue", "green", "yellow", "white", "purple", "pink", "orange")
} | {"grey": "grey|gray"}


def _colours_of(attribute: str) -> dict[str, str]:
    return {option: COLOURS[option] for option in ATTRIBUTES[attribute].options}


def _headwear() -> Iterator[tuple[Topic, Phrase]]:
    kinds = {
        "beanie": "a {} beanie*5|a {} woolly hat*2|a {} knit cap*2|a {} knitted hat|"
        "a {} winter hat|a {} wool hat",
        "cap": "a {} cap*4|a {} baseball cap*4|a {} peaked cap",
        "hat": "a {} brimmed hat*3|a {} fedora*3|a {} wide-brimmed hat|a {} hat with a brim",
        "beanie cap hat": "a {} hat*5|{} headwear",
    }
    for options, patterns in kinds.items():
        yield from _say("headwear", "wear", _plain(patterns), headwear=options)
        yield from _fill(
            "headwear headwear_colour",
            "wear",
            patterns,
            "headwear_colour",
            _colours_of("headwear_colour"),
            headwear=options,
        )
    yield from _say("headwear", "have", "no hat*3|no headwear|a bare head", headwear="none")
    yield from _say("headwear", "adj", "bareheaded*2|hatless", headwear="none")
    yield from _say(
        "headwear",
        "post",
        "without a hat*3|without headwear|without a cap|not wearing a hat",
        headwear="none",
    )


def _skin_and_makeup() -> Iterator[tuple[Topic, Phrase]]:
    yield from _say("earrings", "wear", "earrings*6|ear rings|round earrings", earrings="yes")
    yield from _say("earrings", "have", "no earrings*2", earrings="no")
    yield from _say("earrings", "post", "without earrings*3", earrings="no")
    yield from _say("lipstick", "wear", "lipstick*5|red lipstick*3", lipstick="yes")
    yield from _say("lipstick", "have", "red lips*3|painted lips", lipstick="yes")
    yield from _say("lipstick", "have", "no lipstick*2|natural lips", lipstick="no")
    yield from _say("lipstick", "post", "without lipstick*3", lipstick="no")
    yield from _say(
        "makeup",
        "wear",
        "makeup*5|make-up*2|heavy makeup|eye shadow*2|eyeshadow|blush*2",
        makeup="yes",
    )
    yield from _say("makeup", "have", "eye makeup|rosy cheeks|a made-up face", makeup="yes")
    yield from _say(
        "makeup", "have", "no makeup*2|no make-up|a natural face", makeup="no", lipstick="no"
    )
    yield from _say(
        "makeup", "post", "without makeup*2|without make-up", makeup="no", lipstick="no"
    )
    yield from _say(
        "freckles", "have", "freckles*5|a freckled face|freckles on the cheeks", freckles="yes"
    )
    yield from _say("freckles", "adj", "freckled*4|freckly", freckles="yes")
    yield from _say("freckles", "have", "no freckles*2", freckles="no")
    yield from _say("freckles", "post", "without freckles*3", freckles="no")
    yield from _say(
        "wrinkles",
        "have",
        "wrinkles*5|wrinkled skin*2|a wrinkled face|wrinkles on the face|lines on the face",
        wrinkles="yes",
    )
    yield from _say("wrinkles", "adj", "wrinkled*3|wrinkly*2", wrinkles="yes")
    yield from _say("wrinkles", "have", "smooth skin*3|no wrinkles*2|a smooth face", wrinkles="no")
    yield from _say("wrinkles", "post", "without wrinkles*2", wrinkles="no")


def _clothes() -> Iterator[tuple[Topic, Phrase]]:
    costumes = {
        "vampire": "vampire*6|dracula*2|count dracula",
        "rock_star": "rock star*4|rockstar*2|rocker*2|rock musician|musician",
        "clown": "clown*6|circus clown",
    }
    for option, names in costumes.items():
        yield from _say("costume", "noun", names, costume=option)
        yield from _say(
            "costume",
            "post",
            "|".join(f"dressed as a {n}|dressed like a {n}" for n in dict.fromkeys(_listed(names))),
            costume=option,
        )
        yield from _say(
            "costume", "wear", f"a {option.replace('_', ' ')} costume*3", costume=option
        )
    yield from _say(
        "costume",
        "post",
        "without a costume*2|without any costume|in everyday clothes",
        costume="none",
    )
    yield from _say("costume", "wear", "no costume|ordinary clothes|normal clothes", costume="none")

    kinds = {
        "tshirt": "a {} t-shirt*4|a {} tshirt|a {} tee",
        "collar": "a {} collared shirt*3|a {} shirt with a collar*2|a {} dress shirt",
        "hoodie": "a {} hoodie*4|a {} hooded sweater|a {} hooded sweatshirt",
    }
    colours = _colours_of("clothes_colour")
    for option, patterns in kinds.items():
        yield from _say("clothes", "wear", _plain(patterns), clothes=option)
        yield from _fill(
            "clothes clothes_colour", "wear", patterns, "clothes_colour", colours, clothes=option
        )
    yield from _fill(
        "clothes_colour", "wear", "{} clothes*3|a {} top*2|{} clothing", "clothes_colour", colours
    )
    yield from _fill("clothes_colour", "post", "dressed in {}", "clothes_colour", colours)
    yield from _fill(
        "background",
        "post",
        "on a {} background*4|in front of a {} background|"
        "against a {} background*2|in front of a {} wall",
        "background",
        _colours_of("background"),
    )
    yield from _fill(
        "background", "have", "a {} background*3", "background", _colours_of("background")
    )


def _proportions() -> Iterator[tuple[Topic, Phrase]]:
    named = {
        "skin_tone": (
            "pale skin*3|light skin*3|fair skin*2|white skin",
            "dark skin*4|brown skin*2|black skin",
        ),
        "skin_undertone": ("pinkish skin|cool skin tone", "golden skin tone|warm skin tone"),
        "face_width": ("a narrow face*3|a thin face*3|a slim face", "a wide face*3|a broad face*2"),
        "face_length": ("a short face*2", "a long face*2"),
        "jaw_width": (
            "a pointed chin*3|a narrow jaw*2|a narrow chin",
            "a square jaw*3|a wide jaw|a strong jaw|a broad chin",
        ),
        "cheeks": ("hollow cheeks*2|sunken cheeks", "full cheeks*2|chubby cheeks*2|round cheeks"),
        "eye_size": ("small eyes*4|little eyes", "big eyes*4|large eyes*3|huge eyes"),
        "eye_spacing": ("close-set eyes*2|eyes close together", "wide-set eyes*2|eyes far apart"),
        "eye_tilt": ("droopy eyes|downturned eyes*2", "upturned eyes*2|cat eyes"),
        "brow_thickness": (
            "thin eyebrows*4|thin brows|fine eyebrows",
            "thick eyebrows*4|bushy eyebrows*2|thick brows",
        ),
        "brow_height": ("low eyebrows*2", "high eyebrows*2|raised eyebrows"),
        "nose_length": ("a short nose*3", "a long nose*4"),
        "mouth_width": ("a small mouth*3|a narrow mouth*2", "a wide mouth*4|a big mouth*2"),
        "lip_fullness": ("thin lips*4|narrow lips", "full lips*4|thick lips*2|plump lips|big lips"),
        "ear_size": ("small ears*4|little ears", "big ears*4|large ears*2"),
    }
    for trait, (low, high) in named.items():
        yield from _say(trait, "have", low, **{trait: LOW})
        yield from _say(trait, "have", high, **{trait: HIGH})
    yield from _say(
        "skin_tone", "adj", "pale*2|light-skinned*2|fair-skinned|pale-skinned", skin_tone=LOW
    )
    yield from _say("skin_tone", "adj", "dark-skinned*3|brown-skinned", skin_tone=HIGH)
    yield from _say(
        "face_width", "have", "a round face*3", face_width=HIGH, face_length="low middle"
    )
    yield from _say("nose_width", "have", "a narrow nose*2|a thin nose*2", nose_width=LOW)
    yield from _say(
        "nose_width", "have", "a small nose*3", nose_width=LOW, nose_length="low middle"
    )
    yield from _say("nose_width", "have", "a wide nose*2|a broad nose*2", nose_width=HIGH)
    yield from _say(
        "nose_width",
        "have",
        "a big nose*3|a large nose*2",
        nose_width=HIGH,
        nose_length="middle high",
    )
    yield from _say(
        "yaw", "is", "looking left*3|looking to the left*2|turned to the left|facing left", yaw=LOW
    )
    yield from _say(
        "yaw",
        "is",
        "looking right*3|looking to the right*2|turned to the right|facing right",
        yaw=HIGH,
    )
