"""The colours of portraits, sRGB in [0, 1]. All values are the authors', tuned by eye."""

from __future__ import annotations

from dataclasses import dataclass

from tmsa_core.avatars.drawing.geometry import Sitter

Colour = tuple[float, float, float]

SKIN_RAMP: tuple[Colour, ...] = (  # skin_tone -1 to 1 in equal steps
    (1.00, 0.88, 0.80),
    (0.97, 0.80, 0.68),
    (0.88, 0.67, 0.51),
    (0.73, 0.50, 0.34),
    (0.54, 0.34, 0.22),
    (0.36, 0.22, 0.15),
)
HAIR: dict[str, Colour] = {
    "black": (0.10, 0.09, 0.12),
    "brown": (0.38, 0.21, 0.11),
    "blond": (0.95, 0.77, 0.36),
    "red": (0.76, 0.25, 0.07),
    "grey": (0.53, 0.55, 0.59),
    "white": (0.93, 0.93, 0.95),
    "blue": (0.13, 0.36, 0.88),
    "pink": (0.97, 0.42, 0.68),
}
IRIS: dict[str, Colour] = {
    "brown": (0.40, 0.22, 0.08),
    "blue": (0.14, 0.48, 0.90),
    "green": (0.16, 0.60, 0.26),
    "grey": (0.50, 0.56, 0.62),
}
CLOTH: dict[str, Colour] = {
    "black": (0.15, 0.16, 0.19),
    "red": (0.84, 0.17, 0.18),
    "blue": (0.16, 0.38, 0.80),
    "green": (0.13, 0.58, 0.36),
    "yellow": (0.98, 0.80, 0.20),
    "white": (0.95, 0.95, 0.96),
    "purple": (0.48, 0.25, 0.66),
}
FRAME: dict[str, Colour] = {
    "black": (0.07, 0.07, 0.09),
    "red": (0.85, 0.10, 0.12),
    "gold": (0.90, 0.68, 0.18),
}
BACKGROUND: dict[str, Colour] = {
    "blue": (0.58, 0.78, 0.95),
    "green": (0.64, 0.88, 0.66),
    "yellow": (0.99, 0.91, 0.58),
    "pink": (0.99, 0.72, 0.80),
    "purple": (0.76, 0.68, 0.95),
    "grey": (0.80, 0.82, 0.84),
    "orange": (0.99, 0.77, 0.54),
}
WHITE: Colour = (1.0, 1.0, 1.0)
BLACK: Colour = (0.0, 0.0, 0.0)
GOLD: Colour = (0.95, 0.74, 0.22)
INK: Colour = (0.10, 0.06, 0.07)


@dataclass(frozen=True)
class Palette:
    """The colours of one sitter. ``shadow`` and ``line`` are darker tones of the skin."""

    skin: Colour
    shadow: Colour
    line: Colour
    lips: Colour
    hair: Colour
    brow: Colour
    iris: Colour


def blend(a: Colour, b: Colour, share: float) -> Colour:
    """Mix a share of ``b``, 0 to 1, into ``a``."""
    return (
        a[0] + (b[0] - a[0]) * share,
        a[1] + (b[1] - a[1]) * share,
        a[2] + (b[2] - a[2]) * share,
    )


def times(a: Colour, b: Colour | float) -> Colour:
    """Multiply two colours channel by channel, or a colour by a number."""
    r, g, bl = (b, b, b) if isinstance(b, float) else b
    return (a[0] * r, a[1] * g, a[2] * bl)


def paleness(colour: Colour) -> float:
    """1.0 for a nearly white colour, else 0.0."""
    return 1.0 if min(colour) > 0.8 else 0.0


def palette_of(sitter: Sitter) -> Palette:
    """The colours that follow from a sitter's traits and attributes."""
    skin = _skin(sitter)
    hair = HAIR[sitter["hair_colour"]]
    # Brows are darker than the hair, unless the skin is so dark that they would not show.
    contrast = min(max((sum(hair) - sum(skin)) / 0.6 + 0.3, 0.0), 1.0)
    brow = blend(times(hair, 0.50), times(hair, 0.90), contrast)
    if sitter["age"] == "old":
        brow = blend(brow, (0.74, 0.74, 0.75), 0.62)
    iris = IRIS[sitter["eye_colour"]]
    if sitter["costume"] == "vampire":
        iris = (0.90, 0.06, 0.05)
    return Palette(
        skin=skin,
        shadow=times(skin, (0.70, 0.56, 0.54)),
        line=times(skin, (0.48, 0.33, 0.31)),
        lips=_lips(sitter, skin),
        hair=hair,
        brow=brow,
        iris=iris,
    )


def _skin(sitter: Sitter) -> Colour:
    """The skin from tone and undertone; vampires are pale."""
    place = (sitter.traits["skin_tone"] + 1) / 2 * (len(SKIN_RAMP) - 1)
    step = min(int(place), len(SKIN_RAMP) - 2)
    skin = blend(SKIN_RAMP[step], SKIN_RAMP[step + 1], place - step)
    warmth = sitter.traits["skin_undertone"]
    skin = times(skin, (1.0, 1 + 0.025 * warmth, 1 - 0.10 * warmth))
    if sitter["costume"] == "vampire":
        skin = blend(skin, (0.82, 0.86, 0.87), 0.80)
    return skin


def _lips(sitter: Sitter, skin: Colour) -> Colour:
    """Lipstick, or a tone of the skin."""
    if sitter["lipstick"] == "yes":
        return (0.80, 0.04, 0.14)
    if sitter["gender"] == "female":
        return blend(times(skin, (0.95, 0.62, 0.62)), (0.86, 0.34, 0.42), 0.5)
    return times(skin, (0.84, 0.64, 0.60))
