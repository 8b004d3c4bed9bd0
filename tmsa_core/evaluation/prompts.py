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
