"""Supported domains and their fixed facts, one row per domain; weights are elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tmsa_core.errors import RequestError, quoted


@dataclass(frozen=True)
class Domain:
    """Facts of a domain.

    Attributes:
        key: Short name in commands, calls and file paths.
        title: Name that a user reads.
        resolution: Side R of a crop in pixels.
        levels: Rows L of W+.
        alignment: How a photo becomes a crop: by the landmarks of a face, or by resizing.
        neutral_text: Text that describes any image of the domain.
        presets: (label, target text) of edits that work well; the page offers them.
        calibration_targets: Target texts that calibrate a mapper; they carry no labels.
        paper_schedule: Iterations and batch size of the published training.
        content: Height of the part of a crop that holds the image, as a share of its side; the
            rest above and below is black.
        inversion: What the page starts with: "e4e", or "hfgi" where its second pass is fast.
        has_truth: Whether the attributes and a caption of every image are known, because a
            renderer draws the images.
    """

    key: str
    title: str
    resolution: int
    levels: int
    alignment: Literal["face", "resize"]
    neutral_text: str
    presets: tuple[tuple[str, str], ...]
    calibration_targets: tuple[str, ...]
    paper_schedule: tuple[int, int]
    content: float = 1.0
    inversion: str = "e4e"
    has_truth: bool = False

    @property
    def examples(self) -> tuple[tuple[str, str], ...]:
        """(neutral, target) texts of the presets."""
        return tuple((self.neutral_text, target) for _, target in self.presets)

    @property
    def is_face(self) -> bool:
        """Whether the images show faces."""
        return self.alignment == "face"


_FACE_PRESETS = (
    ("glasses", "human face with glasses"),
    ("sunglasses", "human face with sunglasses"),
    ("beard", "human face with a beard"),
    ("smile", "smiling human face"),
    ("male", "male human face"),
    ("female", "female human face"),
    ("kid", "face of a kid"),
    ("hat", "human face with a hat"),
    ("moustache", "human face with a moustache"),
    ("old", "old human face"),
    ("blond hair", "human face with blond hair"),
    ("red hair", "human face with red hair"),
    ("bald", "bald human face"),
    ("vampire", "face of a vampire"),
)
_FACE_CALIBRATION = (
    "human face with glasses",
    "human face with sunglasses",
    "human face with a beard",
    "human face with a moustache",
    "smiling human face",
    "sad human face",
    "male human face",
    "female human face",
    "face of a kid",
    "face of an old person",
    "human face with a hat",
    "human face with blond hair",
    "human face with black hair",
    "human face with long hair",
    "bald human face",
    "human face with closed eyes",
)
_CAR_CALIBRATION = (
    "a sports car",
    "a red car",
    "a black car",
    "a white car",
    "an old car",
    "a pickup truck",
    "a jeep",
    "a convertible car",
)
_CHURCH_CALIBRATION = (
    "a gothic church",
    "a wooden church",
    "a white church",
    "a church in winter",
    "a church at night",
    "a church at sunset",
    "a ruined church",
    "a church with a tall tower",
)

DOMAINS: dict[str, Domain] = {
    domain.key: domain
    for domain in (
        Domain(
            "avatar", "Drawn portraits", 128, 12, "face", "human face",
            _FACE_PRESETS, _FACE_CALIBRATION, (400_000, 8), inversion="hfgi", has_truth=True,
        ),
        Domain(
            "ffhq", "Photos of faces", 1024, 18, "face", "human face",
            _FACE_PRESETS, _FACE_CALIBRATION, (400_000, 8),
        ),
        Domain(
            "car", "Cars", 512, 16, "resize", "a car",
            (("sports car", "a sports car"),), _CAR_CALIBRATION, (300_000, 16), content=0.75,
        ),
        Domain(
            "church", "Churches", 256, 14, "resize", "a church",
            (("gothic", "a gothic church"),), _CHURCH_CALIBRATION, (600_000, 16),
        ),
    )
}  # fmt: skip
ROLES = ("generator", "e4e", "clip")  # every domain needs these to invert an image
FACE_ROLES = ("detector", "landmarks")  # dlib's built-in detector serves where a bundle has none
MAPPER = "mapper"  # an edit by text needs it too
OPTIONAL_ROLES = (
    MAPPER,
    "hfgi",
    "sfe",
    "identity",
)  # without them a domain does less, but it works
INVERSIONS = ("e4e", "hfgi", "sfe")  # the roles that invert an image; the others build on e4e


def find_domain(key: str) -> Domain:
    """Find a domain by its key.

    Raises:
        RequestError: There is no such domain; the message lists the keys.
    """
    if not isinstance(key, str) or key not in DOMAINS:
        raise RequestError(f"There is no domain {quoted(key)}; use one of {', '.join(DOMAINS)}.")
    return DOMAINS[key]
