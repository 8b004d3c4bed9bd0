"""What the avatar evaluation asks for: texts, and what is true when an edit has worked."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from tmsa_core.avatars.params import option_index


@dataclass(frozen=True)
class Prompt:
    """A text edit with its truth.

    without: what CLIP's classification holds against the target, the text of a face that lacks it.
    wanted: attribute -> the options that count as success. implied: attributes that may change
    along without being counted as damage.
    """

    name: str
    target: str
    without: str
    wanted: tuple[tuple[str, tuple[str, ...]], ...]
    implied: tuple[str, ...] = ()
    neutral: str = "human face"


SIX = (
    Prompt(
        "beard",
        "human face with a beard",
        "clean-shaven human face",
        (("facial_hair", ("beard", "goatee")),),
    ),
    Prompt("male", "male human face", "female human face", (("gender", ("male",)),)),
    Prompt("female", "female human face", "male human face", (("gender", ("female",)),)),
    Prompt(
        "glasses",
        "human face with glasses",
        "human face without glasses",
        (("eyewear", ("glasses",)),),
        ("frame_shape", "frame_colour"),
    ),
    Prompt(
        "smile",
        "smiling human face",
        "human face without a smile",
        (("expression", ("smile", "grin")),),
    ),
    Prompt("kid", "face of a kid", "face of an adult", (("age", ("kid",)),), ("wrinkles",)),
)
"""The six attributes of Tables 1 to 3 of the TMSA paper."""


@dataclass(frozen=True)
class ZeroShot:
    """A zero-shot question to CLIP: one list of texts per answer, an attribute option for each.

    answers: (texts, options) pairs; a portrait counts only if one answer's options fit it.
    """

    name: str
    attribute: str
    answers: tuple[tuple[str, tuple[str, ...]], ...]


ZERO_SHOT = (
    ZeroShot(
        "glasses",
        "eyewear",
        (("human face with glasses", ("glasses",)), ("human face without glasses", ("none",))),
    ),
    ZeroShot(
        "sunglasses",
        "eyewear",
        (
            ("human face with sunglasses", ("sunglasses",)),
            ("human face with glasses", ("glasses",)),
        ),
    ),
    ZeroShot(
        "beard",
        "facial_hair",
        (("human face with a beard", ("beard",)), ("clean-shaven human face", ("none",))),
    ),
    ZeroShot(
        "moustache",
        "facial_hair",
        (("human face with a moustache", ("moustache",)), ("clean-shaven human face", ("none",))),
    ),
    ZeroShot(
        "beard or moustache",
        "facial_hair",
        (("human face with a beard", ("beard",)), ("human face with a moustache", ("moustache",))),
    ),
    ZeroShot(
        "smile",
        "expression",
        (("smiling human face", ("smile", "grin")), ("sad human face", ("frown",))),
    ),
    ZeroShot(
        "smile or neutral",
        "expression",
        (
            ("smiling human face", ("smile", "grin")),
            ("human face with a neutral expression", ("neutral",)),
        ),
    ),
    ZeroShot(
        "kid",
        "age",
        (
            ("face of a kid", ("kid",)),
            ("face of an adult", ("adult",)),
            ("face of an old person", ("old",)),
        ),
    ),
    ZeroShot(
        "male or female",
        "gender",
        (("male human face", ("male",)), ("female human face", ("female",))),
    ),
    ZeroShot(
        "hair colour",
        "hair_colour",
        tuple(
            (f"human face with {colour} hair", (colour,))
            for colour in ("black", "brown", "blond", "red", "grey", "white", "blue", "pink")
        ),
    ),
    ZeroShot(
        "hat",
        "headwear",
        (
            ("human face with a hat", ("beanie", "cap", "hat")),
            ("human face without a hat", ("none",)),
        ),
    ),
)


def fits(index: Tensor, attribute: str, options: tuple[str, ...]) -> Tensor:
    """(B,) bool: whether option numbers (B,) are among the named options."""
    result = index == option_index(attribute, options[0])
    for option in options[1:]:
        result = result | (index == option_index(attribute, option))
    return result


def _face(name: str, target: str, without: str, attribute: str, *options: str) -> Prompt:
    return Prompt(name, f"human face with {target}", without, ((attribute, options),))


DETAILED = (
    Prompt(
        "sunglasses",
        "human face with sunglasses",
        "human face with glasses",
        (("eyewear", ("sunglasses",)),),
        ("frame_shape", "frame_colour", "eyes"),
    ),
    _face("moustache", "a moustache", "human face with a beard", "facial_hair", "moustache"),
    _face("closed eyes", "closed eyes", "human face with open eyes", "eyes", "closed"),
    _face("blond hair", "blond hair", "human face with dark hair", "hair_colour", "blond"),
    _face("black hair", "black hair", "human face with light hair", "hair_colour", "black"),
    _face("red hair", "red hair", "human face with black hair", "hair_colour", "red"),
    _face("curly hair", "curly hair", "human face with straight hair", "hair_style", "curly"),
    _face("long hair", "long hair", "human face with short hair", "hair_style", "long", "wavy"),
    Prompt("bald", "bald human face", "human face with hair", (("hair_style", ("bald",)),)),
    Prompt(
        "hat",
        "human face with a hat",
        "human face without a hat",
        (("headwear", ("hat", "cap", "beanie")),),
        ("headwear_colour", "hair_style"),
    ),
    _face("lipstick", "lipstick", "human face without lipstick", "lipstick", "yes"),
    Prompt(
        "wrinkles",
        "human face with wrinkles",
        "human face with smooth skin",
        (("wrinkles", ("yes",)),),
        ("age",),
    ),
    Prompt("sad", "sad human face", "smiling human face", (("expression", ("frown",)),)),
    Prompt("old", "old human face", "young human face", (("age", ("old",)),), ("wrinkles",)),
)


ABSTRACT = (
    Prompt(
        "vampire",
        "face of a vampire",
        "human face",
        (("costume", ("vampire",)),),
        ("clothes", "clothes_colour"),
    ),
    Prompt(
        "rock star",
        "face of a rock star",
        "human face",
        (("costume", ("rock_star",)),),
        ("clothes", "clothes_colour", "hair_style"),
    ),
    Prompt(
        "clown",
        "face of a clown",
        "human face",
        (("costume", ("clown",)),),
        ("clothes", "clothes_colour", "makeup"),
    ),
    Prompt(
        "grandma",
        "face of a grandma",
        "face of a young man",
        (("gender", ("female",)), ("age", ("old",))),
        ("wrinkles",),
    ),
)


ALL = SIX + DETAILED + ABSTRACT
