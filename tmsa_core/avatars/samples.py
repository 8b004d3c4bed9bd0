"""The sample portraits of the user interface: plain looks that leave room for edits."""

from __future__ import annotations

from pathlib import Path

import torch

from tmsa_core.avatars.params import Portraits, sample_portraits
from tmsa_core.avatars.render import render

SIDE = 512  # pixels
PLAIN: dict[str, str | float] = {
    "eyewear": "none",
    "facial_hair": "none",
    "headwear": "none",
    "costume": "none",
    "eyes": "open",
    "makeup": "no",
    "lipstick": "no",
    "freckles": "no",
    "wrinkles": "no",
    "earrings": "no",
    "yaw": 0.0,
}
LOOKS: dict[str, dict[str, str | float]] = {
    "ada": {"gender": "female", "age": "adult", "hair_style": "wavy", "hair_colour": "brown",
            "expression": "neutral", "skin_tone": -0.5, "background": "blue"},
    "bruno": {"gender": "male", "age": "adult", "hair_style": "short", "hair_colour": "black",
              "expression": "neutral", "skin_tone": 0.2, "background": "orange"},
    "chidi": {"gender": "male", "age": "adult", "hair_style": "curly", "hair_colour": "black",
              "expression": "smile", "skin_tone": 0.8, "background": "green"},
    "dolores": {"gender": "female", "age": "old", "hair_style": "bun", "hair_colour": "grey",
                "expression": "smile", "skin_tone": -0.2, "wrinkles": "yes",
                "background": "purple"},
    "emil": {"gender": "male", "age": "old", "hair_style": "side_part", "hair_colour": "white",
             "expression": "frown", "skin_tone": -0.7, "wrinkles": "yes", "background": "grey"},
    "fatou": {"gender": "female", "age": "adult", "hair_style": "bob", "hair_colour": "black",
              "expression": "frown", "skin_tone": 0.6, "background": "yellow"},
    "greta": {"gender": "female", "age": "kid", "hair_style": "pigtails", "hair_colour": "blond",
              "expression": "grin", "skin_tone": -0.8, "background": "pink"},
    "hiro": {"gender": "male", "age": "kid", "hair_style": "spiky", "hair_colour": "brown",
             "expression": "neutral", "skin_tone": -0.3, "background": "blue"},
}  # fmt: skip


def sample_people() -> Portraits:
    """Eight portraits with different identities and the looks of ``LOOKS``."""
    people = sample_portraits(len(LOOKS), torch.Generator().manual_seed(20))
    return Portraits.cat(
        [people[i : i + 1].with_(**(PLAIN | look)) for i, look in enumerate(LOOKS.values())]
    )


def write_samples(folder: Path) -> None:
    """Draw the sample portraits as PNG files into ``folder``, which is created."""
    from tmsa_core.imaging.images import to_image

    folder.mkdir(parents=True, exist_ok=True)
    for name, image in zip(LOOKS, render(sample_people(), SIDE).images, strict=True):
        to_image(image).save(folder / f"{name}.png", optimize=True)
