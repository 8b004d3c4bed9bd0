"""Twenty and more prompts beyond the paper's six: detailed and abstract ones, with their truth."""

from __future__ import annotations

from tmsa_core.evaluation.prompts import SIX, Prompt


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
