"""The parameters of rendered portraits: traits and attributes, by name.

*Traits* are continuous numbers in [-1, 1]; *attributes* are one option out of a named list. Some
of both form the identity (proportions, skin, eye colour, nose ...); the others may differ between
images of one person. All are sampled independently, except that wrinkles depend on age.

Independence is deliberate: networks entangle attributes that are correlated in the training data,
so that a text edit of one would change the other. Probabilities are the authors' choices; they
keep every option frequent enough to be learned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class Attribute:
    """A choice of one of ``options``, with probabilities ``prior`` that sum to 1."""

    options: tuple[str, ...]
    prior: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.options) != len(self.prior) or abs(sum(self.prior) - 1) > 1e-6:
            raise ValueError(f"prior {self.prior} does not fit options {self.options}")


def _uniform(*options: str) -> Attribute:
    """An attribute with equally likely options."""
    return Attribute(options, tuple(1 / len(options) for _ in options))


def _switch(probability: float) -> Attribute:
    """An attribute that is "yes" with this probability, else "no"."""
    return Attribute(("no", "yes"), (1 - probability, probability))


IDENTITY_TRAITS: tuple[str, ...] = (
    "skin_tone",  # -1 very light ... 1 very dark
    "skin_undertone",  # -1 cool, pink ... 1 warm, golden
    "face_width",
    "face_length",
    "jaw_width",  # -1 pointed chin ... 1 square jaw
    "cheeks",  # -1 hollow ... 1 full
    "eye_size",
    "eye_spacing",
    "eye_tilt",  # -1 outer corners down ... 1 up
    "brow_thickness",
    "brow_height",
    "brow_angle",
    "nose_width",
    "nose_length",
    "mouth_width",
    "mouth_height",  # position between nose and chin
    "lip_fullness",
    "ear_size",
)
POSE_TRAITS: tuple[str, ...] = ("yaw",)  # -1 turned to the left of the image ... 1 to the right
TRAITS: tuple[str, ...] = IDENTITY_TRAITS + POSE_TRAITS

IDENTITY_ATTRIBUTES: dict[str, Attribute] = {
    "eye_colour": _uniform("brown", "blue", "green", "grey"),
}
ATTRIBUTES: dict[str, Attribute] = IDENTITY_ATTRIBUTES | {
    "gender": _uniform("female", "male"),
    "age": Attribute(("kid", "adult", "old"), (0.3, 0.4, 0.3)),
    "hair_style": _uniform(
        "bald",
        "short",
        "side_part",
        "spiky",
        "curly",
        "bob",
        "long",
        "wavy",
        "bun",
        "ponytail",
        "mohawk",
        "pigtails",
    ),
    "hair_colour": _uniform("black", "brown", "blond", "red", "grey", "white", "blue", "pink"),
    "expression": Attribute(("frown", "neutral", "smile", "grin"), (0.22, 0.28, 0.25, 0.25)),
    "eyes": Attribute(("open", "closed"), (0.85, 0.15)),
    "facial_hair": Attribute(("none", "moustache", "goatee", "beard"), (0.52, 0.16, 0.12, 0.20)),
    "eyewear": Attribute(("none", "glasses", "sunglasses"), (0.52, 0.26, 0.22)),
    "frame_shape": _uniform("round", "square"),
    "frame_colour": Attribute(("black", "red", "gold"), (0.5, 0.25, 0.25)),
    "headwear": Attribute(("none", "beanie", "cap", "hat"), (0.64, 0.12, 0.12, 0.12)),
    "headwear_colour": _uniform("black", "red", "blue", "green", "yellow", "white"),
    "earrings": _switch(0.25),
    "lipstick": _switch(0.30),
    "makeup": _switch(0.25),  # eye shadow and blush
    "freckles": _switch(0.20),
    "wrinkles": _switch(0.30),  # depends on age: see WRINKLES_BY_AGE
    "costume": Attribute(("none", "vampire", "rock_star", "clown"), (0.82, 0.06, 0.06, 0.06)),
    "clothes": _uniform("tshirt", "collar", "hoodie"),
    "clothes_colour": _uniform("black", "red", "blue", "green", "yellow", "white", "purple"),
    "background": _uniform("blue", "green", "yellow", "pink", "purple", "grey", "orange"),
}
WRINKLES_BY_AGE: dict[str, float] = {"kid": 0.0, "adult": 0.15, "old": 0.8}

LATENT_DIMS = len(TRAITS) + sum(len(a.options) for a in ATTRIBUTES.values())


@dataclass(frozen=True)
class Portraits:
    """A batch of B portraits.

    Attributes:
        traits: For every name of ``TRAITS``, (B,) float32 in [-1, 1].
        attributes: For every name of ``ATTRIBUTES``, (B,) int64, the index of the option.
    """

    traits: Mapping[str, Tensor]
    attributes: Mapping[str, Tensor]

    def __len__(self) -> int:
        return len(next(iter(self.traits.values())))

    def __getitem__(self, index: slice | Sequence[int] | Tensor) -> Portraits:
        return Portraits(
            {k: v[index] for k, v in self.traits.items()},
            {k: v[index] for k, v in self.attributes.items()},
        )

    @property
    def device(self) -> torch.device:
        """The device of all values."""
        return self.traits[TRAITS[0]].device

    def to(self, device: torch.device | str) -> Portraits:
        """The same portraits on another device."""
        return Portraits(
            {k: v.to(device) for k, v in self.traits.items()},
            {k: v.to(device) for k, v in self.attributes.items()},
        )

    def is_(self, attribute: str, *options: str) -> Tensor:
        """(B,) bool: True where ``attribute`` has one of the named options."""
        wanted = [option_index(attribute, option) for option in options]
        return torch.isin(self.attributes[attribute], torch.tensor(wanted, device=self.device))

    def with_(self, **changes: str | float | Tensor) -> Portraits:
        """The same portraits with some traits or attributes changed.

        Args:
            changes: By name, a value or (B,) tensor for a trait, an option's name or (B,) tensor
                of indices for an attribute.

        Raises:
            KeyError: No trait, attribute or option has this name.
        """
        traits, attributes = dict(self.traits), dict(self.attributes)
        for name, value in changes.items():
            if name in attributes and isinstance(value, str):
                attributes[name] = torch.full_like(attributes[name], option_index(name, value))
            elif name in attributes and isinstance(value, Tensor):
                attributes[name] = value
            elif name in traits and not isinstance(value, str):
                traits[name] = torch.zeros_like(traits[name]) + value
            else:
                raise KeyError(f"no trait or attribute {name!r} takes the value {value!r}")
        return replace(self, traits=traits, attributes=attributes)

    def to_matrix(self) -> Tensor:
        """(B, traits + attributes) float32, which ``from_matrix`` reads."""
        columns = [self.traits[k] for k in TRAITS]
        columns += [self.attributes[k].float() for k in ATTRIBUTES]
        return torch.stack(columns, dim=1)

    @staticmethod
    def from_matrix(matrix: Tensor) -> Portraits:
        """Portraits from (B, traits + attributes) float32, as written by ``to_matrix``."""
        columns = matrix.unbind(dim=1)
        split = len(TRAITS)
        return Portraits(
            dict(zip(TRAITS, columns[:split], strict=True)),
            {k: v.long() for k, v in zip(ATTRIBUTES, columns[split:], strict=True)},
        )

    @staticmethod
    def cat(parts: Sequence[Portraits]) -> Portraits:
        """Concatenate batches."""
        return Portraits.from_matrix(torch.cat([p.to_matrix() for p in parts]))


def option_index(attribute: str, option: str) -> int:
    """Index of a named option.

    Raises:
        KeyError: The attribute has no such option.
    """
    options = ATTRIBUTES[attribute].options
    if option not in options:
        raise KeyError(f"{attribute} has no option {option!r}, only {', '.join(options)}")
    return options.index(option)


def portraits_from_latent(z: Tensor) -> Portraits:
    """Portraits as a fixed function of Gaussian noise.

    z is first scaled to unit root mean square, like StyleGAN2's pixel norm, so that the mapping
    network sees exactly the values that decide the portrait. A trait is the normal distribution
    function of its entry. An attribute has one entry per option, and the largest sum of Gumbel
    noise and log prior wins, which samples the prior exactly (the Gumbel-max trick).

    Args:
        z: (B, D) float32 with D >= ``LATENT_DIMS``.

    Returns:
        B portraits.
    """
    z = z * torch.rsqrt(z.square().mean(dim=1, keepdim=True) + 1e-8)
    uniform = torch.special.ndtr(z.double()).clamp(1e-12, 1 - 1e-12)
    traits = {name: (2 * uniform[:, i] - 1).float() for i, name in enumerate(TRAITS)}
    attributes: dict[str, Tensor] = {}
    start = len(TRAITS)
    for name, attribute in ATTRIBUTES.items():
        stop = start + len(attribute.options)
        gumbel = -torch.log(-torch.log(uniform[:, start:stop]))
        prior = _prior(name, attributes, z.device)
        attributes[name] = (gumbel + torch.log(prior + 1e-30)).argmax(dim=1)
        start = stop
    return Portraits(traits, attributes)


def _prior(name: str, sampled: Mapping[str, Tensor], device: torch.device) -> Tensor:
    """(1 or B, options) float64: the prior of an attribute, given those sampled before it."""
    if name == "wrinkles":
        by_age = torch.tensor([WRINKLES_BY_AGE[o] for o in ATTRIBUTES["age"].options])
        wrinkled = by_age.to(device)[sampled["age"]]
        return torch.stack([1 - wrinkled, wrinkled], dim=1).double()
    return torch.tensor([ATTRIBUTES[name].prior], device=device, dtype=torch.float64)


def sample_portraits(count: int, generator: torch.Generator) -> Portraits:
    """``count`` random portraits; the same generator state gives the same people."""
    z = torch.randn(count, max(512, LATENT_DIMS), generator=generator, device=generator.device)
    return portraits_from_latent(z)


def same_person(person: Portraits, look: Portraits) -> Portraits:
    """Identities of ``person`` with the other attributes and pose of ``look``, B portraits each."""
    return Portraits(
        {k: (person if k in IDENTITY_TRAITS else look).traits[k] for k in TRAITS},
        {k: (person if k in IDENTITY_ATTRIBUTES else look).attributes[k] for k in ATTRIBUTES},
    )
