"""The prompts of the evaluation on drawn portraits, with the attributes that they ask for."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tmsa_core.avatars.params import option_index


@dataclass(frozen=True)
class Prompt:
    """A text edit with its truth.

    Attributes:
        name: A short name.
        target: The target text.
        without: The text of a face without the attribute; CLIP accuracy compares it with target.
        wanted: Attribute -> the options that count as success.
        implied: Other attributes that may change without counting as damage.
        neutral: The neutral text.
    """

    name: str
    target: str
    without: str
    wanted: tuple[tuple[str, tuple[str, ...]], ...]
    implied: tuple[str, ...] = ()
    neutral: str = "human face"


def _prompt(name: str, target: str, without: str, wanted: str, *implied: str) -> Prompt:
    """Returns a prompt; wanted is written "attribute=option,option attribute=option"."""
    pairs = (pair.split("=") for pair in wanted.split())
    options = tuple((attribute, tuple(names.split(","))) for attribute, names in pairs)
    return Prompt(name, target, without, options, implied)


def _face(name: str, without: str, wanted: str, *implied: str) -> Prompt:
    """Returns the prompt "human face with NAME"."""
    return _prompt(name, f"human face with {name}", f"human face {without}", wanted, *implied)


# fmt: off
SIX = (
    _prompt("beard", "human face with a beard", "clean-shaven human face",
            "facial_hair=beard,goatee"),
    _prompt("male", "male human face", "female human face", "gender=male"),
    _prompt("female", "female human face", "male human face", "gender=female"),
    _face("glasses", "without glasses", "eyewear=glasses", "frame_shape", "frame_colour"),
    _prompt("smile", "smiling human face", "human face without a smile", "expression=smile,grin"),
    _prompt("kid", "face of a kid", "face of an adult", "age=kid", "wrinkles"),
)
"""The six attributes of Tables 1 to 3 of the TMSA paper."""

DETAILED = (
    _face("sunglasses", "with glasses", "eyewear=sunglasses",
          "frame_shape", "frame_colour", "eyes"),
    _prompt("moustache", "human face with a moustache", "human face with a beard",
            "facial_hair=moustache"),
    _face("closed eyes", "with open eyes", "eyes=closed"),
    _face("blond hair", "with dark hair", "hair_colour=blond"),
    _face("black hair", "with light hair", "hair_colour=black"),
    _face("red hair", "with black hair", "hair_colour=red"),
    _face("curly hair", "with straight hair", "hair_style=curly"),
    _face("long hair", "with short hair", "hair_style=long,wavy"),
    _prompt("bald", "bald human face", "human face with hair", "hair_style=bald"),
    _prompt("hat", "human face with a hat", "human face without a hat", "headwear=hat,cap,beanie",
            "headwear_colour", "hair_style"),
    _face("lipstick", "without lipstick", "lipstick=yes"),
    _face("wrinkles", "with smooth skin", "wrinkles=yes", "age"),
    _prompt("sad", "sad human face", "smiling human face", "expression=frown"),
    _prompt("old", "old human face", "young human face", "age=old", "wrinkles"),
)

ABSTRACT = (
    _prompt("vampire", "face of a vampire", "human face", "costume=vampire",
            "clothes", "clothes_colour"),
    _prompt("rock star", "face of a rock star", "human face", "costume=rock_star",
            "clothes", "clothes_colour", "hair_style"),
    _prompt("clown", "face of a clown", "human face", "costume=clown",
            "clothes", "clothes_colour", "makeup"),
    _prompt("grandma", "face of a grandma", "face of a young man", "gender=female age=old",
            "wrinkles"),
)
# fmt: on

ALL = SIX + DETAILED + ABSTRACT


@dataclass(frozen=True)
class ZeroShot:
    """A zero-shot question to CLIP.

    Attributes:
        name: A short name.
        attribute: The attribute that it asks about.
        answers: Pairs of a text and the options for which it is right. A portrait with none of
            these options is not asked about.
    """

    name: str
    attribute: str
    answers: tuple[tuple[str, tuple[str, ...]], ...]


def _zero_shot(name: str, attribute: str, *answers: str) -> ZeroShot:
    """Returns a question; an answer is written "text: option,option"."""
    pairs = (answer.split(": ") for answer in answers)
    return ZeroShot(name, attribute, tuple((text, tuple(o.split(","))) for text, o in pairs))


_BEARD, _MOUSTACHE = "human face with a beard: beard", "human face with a moustache: moustache"
_SHAVEN, _SMILE = "clean-shaven human face: none", "smiling human face: smile,grin"
_GLASSES = "human face with glasses: glasses"
# fmt: off
ZERO_SHOT = (
    _zero_shot("glasses", "eyewear", _GLASSES, "human face without glasses: none"),
    _zero_shot("sunglasses", "eyewear", "human face with sunglasses: sunglasses", _GLASSES),
    _zero_shot("beard", "facial_hair", _BEARD, _SHAVEN),
    _zero_shot("moustache", "facial_hair", _MOUSTACHE, _SHAVEN),
    _zero_shot("beard or moustache", "facial_hair", _BEARD, _MOUSTACHE),
    _zero_shot("smile", "expression", _SMILE, "sad human face: frown"),
    _zero_shot("smile or neutral", "expression", _SMILE,
               "human face with a neutral expression: neutral"),
    _zero_shot("kid", "age", "face of a kid: kid", "face of an adult: adult",
               "face of an old person: old"),
    _zero_shot("male or female", "gender", "male human face: male", "female human face: female"),
    _zero_shot("hair colour", "hair_colour", *(
        f"human face with {colour} hair: {colour}"
        for colour in ("black", "brown", "blond", "red", "grey", "white", "blue", "pink")
    )),
    _zero_shot("hat", "headwear", "human face with a hat: beanie,cap,hat",
               "human face without a hat: none"),
)
# fmt: on


def fits(index: Tensor, attribute: str, options: tuple[str, ...]) -> Tensor:
    """Returns (B,) bool: option numbers (B,) are among the named options."""
    wanted = [option_index(attribute, option) for option in options]
    return torch.isin(index, torch.tensor(wanted, device=index.device))
