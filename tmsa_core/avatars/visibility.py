"""Which attributes of a portrait can be seen at all.

Sunglasses hide the eyes, a bald head has no hair colour: what cannot be seen is neither taught
nor scored.
"""

from __future__ import annotations

from torch import Tensor

from tmsa_core.avatars.params import ATTRIBUTES, Portraits

HIDDEN_BY: dict[str, tuple[tuple[str, tuple[str, ...]], ...]] = {
    "eye_colour": (
        ("eyewear", ("sunglasses",)),
        ("eyes", ("closed",)),
        ("costume", ("vampire",)),
    ),
    "eyes": (("eyewear", ("sunglasses",)),),
    "makeup": (("eyewear", ("sunglasses",)), ("costume", ("clown", "rock_star"))),
    "hair_style": (("headwear", ("beanie", "cap", "hat")),),
    "hair_colour": (("hair_style", ("bald",)),),
    "frame_shape": (("eyewear", ("none",)),),
    "frame_colour": (("eyewear", ("none",)),),
    "headwear_colour": (("headwear", ("none",)),),
    "lipstick": (("costume", ("clown",)),),
    "freckles": (("costume", ("clown",)),),
    "clothes": (("costume", ("vampire", "rock_star")),),
    "clothes_colour": (("costume", ("vampire", "rock_star")),),
}


def visible(portraits: Portraits, attribute: str) -> Tensor:
    """(B,) bool: whether the attribute can be read off each portrait."""
    if attribute not in ATTRIBUTES:
        raise KeyError(f"no attribute is called {attribute!r}")
    hidden = portraits.is_(attribute)  # no option: nowhere true
    for other, options in HIDDEN_BY.get(attribute, ()):
        hidden = hidden | portraits.is_(other, *options)
    return ~hidden
