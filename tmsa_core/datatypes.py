"""The values that pass between the steps of an edit. All are immutable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL.Image import Image
from torch import Tensor

ImageSource = Image | str | Path | np.ndarray | bytes  # see ``imaging.images.load_image``
# Names such as "hair, beard" or a data URL; or a mask: white where the edit may change the photo.
Region = str | Image | Path | np.ndarray | bytes
Details = tuple[Tensor, ...]
Levels = str | tuple[int, ...]  # "all", "coarse", "medium", "fine", or indices of W+ rows


@dataclass(frozen=True)
class Face:
    """One face found in an image.

    Attributes:
        box: Left, top, right and bottom in pixels of the image.
        landmarks: (68,2) float64, x then y in pixels, in dlib's order.
    """

    box: tuple[float, float, float, float]
    landmarks: Tensor


@dataclass(frozen=True)
class CropTransform:
    """The place of an aligned crop in its photo.

    Attributes:
        quad: The corners (4,2) of the crop in photo pixels: upper left, lower left, lower right,
            upper right.
        size: Side of the crop in pixels.
    """

    quad: tuple[tuple[float, float], ...]
    size: int


@dataclass(frozen=True)
class AlignedImage:
    """A photo and the crop cut out of it, not yet inverted.

    Attributes:
        photo: RGB, rotation applied.
        crop: The crop, R x R pixels.
        encoder_input: The same part in the size of the encoder's input.
        transform: The place of the crop in the photo.
        face: The chosen one of ``faces``, None if no face was searched.
        faces: All faces found, the largest first.
    """

    photo: Image
    crop: Image
    encoder_input: Image
    transform: CropTransform
    face: Face | None = None
    faces: tuple[Face, ...] = ()


@dataclass(frozen=True, eq=False)
class PreparedFace:
    """A photo, aligned and inverted: all that editing needs.

    Attributes:
        domain: Key of the domain.
        photo: RGB, rotation applied.
        crop: The aligned crop, RGB, R x R pixels.
        inversion_crop: What the generator makes of ``w_plus`` and the details.
        w_plus: (L,512) float32 on the CPU.
        inversion: "e4e", "hfgi", "sfe", or "sample" for a generated face.
        transform: The place of the crop in the photo, None for a sample.
        face: The chosen one of ``faces``, None if no face was searched.
        faces: All faces found, the largest first.
        timings: Seconds per step.
        details: What the inversion keeps besides ``w_plus``, float32 on the CPU; see
            ``editing.inversions``.
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
    details: Details = ()


@dataclass(frozen=True)
class EditRequest:
    """One edit.

    Attributes:
        neutral_text: Describes the image before the edit, or any image of the domain.
        target_text: Describes the image after the edit.
        alpha: Strength: 1 is the calibrated full edit, 0 none, negative numbers the opposite.
        levels: The W+ rows that move.
        threshold: Share in [0, 1) of the shift's smallest components that are set to zero.
        paste_back: Whether the crop is put back into its photo.
        region: Where the photo may change, see ``align.regions``; "" is everywhere.
    """

    neutral_text: str
    target_text: str
    alpha: float = 1.0
    levels: Levels = "all"
    threshold: float = 0.0
    paste_back: bool = True
    region: Region = ""


@dataclass(frozen=True, eq=False)
class EditResult:
    """The result of an edit.

    Attributes:
        image: RGB, the whole photo with the edit pasted back, or the crop without paste-back.
        crop: The edited crop, RGB, R x R pixels.
        w_plus: The edited w_plus, (L,512) float32.
        requests: The edits that were applied.
        timings: Seconds per step.
        notes: Sentences for the user, such as on words that the text encoder does not know.
    """

    image: Image
    crop: Image
    w_plus: Tensor
    requests: Sequence[EditRequest]
    timings: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
