"""What the editor knows about each world of images, apart from its weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tmsa_core.errors import RequestError, quoted


@dataclass(frozen=True)
class Domain:
    """Facts of a domain.

    resolution: side R of a crop; levels: rows L of W+; alignment: how a photo becomes a crop.
    examples: (neutral, target) texts that work well. content: height of the part of a crop that
    holds the image, as a share of its side; above and below it is black. inversion: what a page
    starts with; HFGI, which keeps more of an image, where its second pass is soon done.
    """

    key: str
    title: str
    resolution: int
    levels: int
    alignment: Literal["face", "resize"]
    neutral_text: str
    examples: tuple[tuple[str, str], ...]
    content: float = 1.0
    inversion: str = "e4e"


FACE_TARGETS = (
    "human face with glasses",
    "human face with sunglasses",
    "human face with a beard",
    "smiling human face",
    "male human face",
    "female human face",
    "face of a kid",
    "human face with a hat",
)


def _faces(key: str, title: str, resolution: int, levels: int, inversion: str = "e4e") -> Domain:
    examples = tuple(("human face", target) for target in FACE_TARGETS)
    return Domain(
        key, title, resolution, levels, "face", "human face", examples, inversion=inversion
    )


DOMAINS: dict[str, Domain] = {
    d.key: d
    for d in (
        _faces("avatar", "Drawn portraits", 128, 12, inversion="hfgi"),
        _faces("ffhq", "Photos of faces", 1024, 18),
        Domain("car", "Cars", 512, 16, "resize", "a car", (("a car", "a sports car"),), 0.75),
        Domain(
            "church", "Churches", 256, 14, "resize", "a church", (("a church", "a gothic church"),)
        ),
    )
}
ROLES = ("generator", "e4e", "clip")  # what every domain needs to bring an image in
FACE_ROLES = ("detector", "landmarks")  # dlib's built-in detector serves where a bundle has none
MAPPER = "mapper"  # what an edit by text needs beside them
OPTIONAL_ROLES = (MAPPER, "hfgi", "identity")  # without them a domain does less, but it works
INVERSIONS = ("e4e", "hfgi")  # the roles that bring an image in; hfgi builds on e4e


def find_domain(key: str) -> Domain:
    """The domain of a key; a RequestError lists the keys there are."""
    if not isinstance(key, str) or key not in DOMAINS:
        raise RequestError(f"There is no domain {quoted(key)}; use one of {', '.join(DOMAINS)}.")
    return DOMAINS[key]
