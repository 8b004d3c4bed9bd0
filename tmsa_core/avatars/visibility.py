"""Which traits and attributes of a portrait can be seen.

Sunglasses hide the eyes, and a bald head has no hair colour. Hidden traits and attributes take
part neither in training nor in evaluation.
"""

from __future__ import annotations

from torch import Tensor

from tmsa_core.avatars.params import ATTRIBUTES, TRAITS, Portraits

_CLOWN = ("costume", ("clown",))
_PALE = ("costume", ("vampire", "clown"))  # their make-up covers the skin
_OUTFIT = ("costume", ("vampire", "rock_star"))
_SUNGLASSES = ("eyewear", ("sunglasses",))
_NO_EYEWEAR = ("eyewear", ("none",))
_HAT = ("headwear", ("beanie", "cap", "hat"))
_CLOSED = ("eyes", ("closed",))
_HAIR_OVER_EARS = ("hair_style", ("curly", "bob", "long", "wavy", "pigtails"))

HIDDEN_BY: dict[str, tuple[tuple[str, tuple[str, ...]], ...]] = {
    "eye_colour": (_SUNGLASSES, _CLOSED, ("costume", ("vampire",))),
    "eyes": (_SUNGLASSES,),
    "makeup": (_SUNGLASSES, ("costume", ("clown", "rock_star"))),
    "hair_style": (_HAT,),
    "hair_colour": (("hair_style", ("bald",)),),
    "frame_shape": (_NO_EYEWEAR,),
    "frame_colour": (_NO_EYEWEAR,),
    "headwear_colour": (("headwear", ("none",)),),
    "lipstick": (_CLOWN,),
    "freckles": (_CLOWN,),
    "clothes": (_OUTFIT,),
    "clothes_colour": (_OUTFIT,),
    # Traits
    "skin_tone": (_PALE,),
    "skin_undertone": (_PALE,),
    "eye_size": (_SUNGLASSES, _CLOSED),
    "eye_spacing": (_SUNGLASSES,),
    "eye_tilt": (_SUNGLASSES,),
    "brow_thickness": (_SUNGLASSES, _HAT),
    "brow_height": (_SUNGLASSES, _HAT),
    "lip_fullness": (_CLOWN,),
    "mouth_width": (_CLOWN,),
    "nose_width": (_CLOWN,),
    "nose_length": (_CLOWN,),
    "ear_size": (_HAIR_OVER_EARS, _HAT),
}


def visible(portraits: Portraits, name: str) -> Tensor:
    """(B,) bool: True where the attribute or trait can be seen.

    Raises:
        KeyError: No attribute or trait has this name.
    """
    if name not in ATTRIBUTES and name not in TRAITS:
        raise KeyError(f"no attribute or trait is called {name!r}")
    hidden = portraits.is_("gender")  # no option: false everywhere
    for other, options in HIDDEN_BY.get(name, ()):
        hidden = hidden | portraits.is_(other, *options)
    return ~hidden
