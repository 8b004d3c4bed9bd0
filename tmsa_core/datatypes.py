"""The values that pass between the stages of an edit. All are immutable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from PIL.Image import Image
from torch import Tensor

Levels = str | tuple[int, ...]  # "all", "coarse", "medium", "fine", or indices of W+ rows


@dataclass(frozen=True)
class Face:
    """One face found in an image.

    box: (left, top, right, bottom) in pixels of the image. landmarks: (68, 2) float64 tensor,
    x then y in pixels, dlib's order.
    """

    box: tuple[float, float, float, float]
    landmarks: Tensor


@dataclass(frozen=True)
class CropTransform:
    """Where an aligned crop lies in its photo.

    quad: (4, 2) corners in photo pixels in the order upper left, lower left, lower right, upper
    right; the crop covers exactly this parallelogram. size: side of the crop in pixels.
    """

    quad: tuple[tuple[float, float], ...]
    size: int


@dataclass(frozen=True)
class AlignedImage:
    """A photo and what was cut out of it, not yet inverted.

    photo: RGB, rotation applied. crop: R x R. seen: the same part as the encoder looks at it, in
    its own size. transform: where the crop lies. face: the chosen one of ``faces``, None where
    none was looked for.
    """

    photo: Image
    crop: Image
    seen: Image
    transform: CropTransform
    face: Face | None = None
    faces: tuple[Face, ...] = ()


@dataclass(frozen=True, eq=False)
class PreparedFace:
    """A photo, aligned and inverted: all that editing needs.

    photo: RGB, rotation applied. crop: the aligned crop, RGB, R x R. inversion_crop: what the
    generator makes of ``w_plus``. w_plus: (L, 512) float32 on the CPU. transform and face are
    None where there is no photo around the crop (samples, already aligned images). missed:
    (3, S, S) float32, what e4e's inversion lacks of the crop, where HFGI draws it back in.
    """

    domain: str
    photo: Image
    crop: Image
    inversion_crop: Image
    w_plus: Tensor
    inversion: str
    transform: CropTransform | None = None
    face: Face | None = None
    faces: tuple[Face, ...] = ()
    timings: Mapping[str, float] = field(default_factory=dict)
    residual: Tensor | None = None


@dataclass(frozen=True)
class EditRequest:
    """One text edit: from what ``neutral_text`` says to what ``target_text`` says.

    alpha: strength; 1 is the calibrated full edit, 0 leaves the inversion as it is, negative
    numbers go the other way. levels: the W+ rows that move. threshold: share in [0, 1) of the
    shift's smallest components that are set to zero. paste_back: put the crop back into the photo.
    """

    neutral_text: str
    target_text: str
    alpha: float = 1.0
    levels: Levels = "all"
    threshold: float = 0.0
    paste_back: bool = True


@dataclass(frozen=True, eq=False)
class EditResult:
    """What an edit made.

    image: RGB, the whole photo with the edit pasted back (or the crop, without paste-back).
    crop: RGB, the edited aligned crop. w_plus: (L, 512) the edited code. timings: seconds per
    stage. notes: sentences for the user, such as words the text encoder has never seen.
    """

    image: Image
    crop: Image
    w_plus: Tensor
    requests: Sequence[EditRequest]
    timings: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
