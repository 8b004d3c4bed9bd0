"""Cuts an image to a domain's crop: around a face, or the whole image. Needs no network."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image

from tmsa_core.align.crop import align_crop, crop_whole, crop_without_face, resize_square
from tmsa_core.align.landmarks import FaceFinder
from tmsa_core.datatypes import AlignedImage, CropTransform, Face
from tmsa_core.domains import Domain
from tmsa_core.imaging.images import ImageSource, load_image
from tmsa_core.validation import choose_face


@dataclass(frozen=True)
class Aligner:
    """What aligning an image takes; made by ``load_aligner``.

    Attributes:
        domain: Its ``resolution`` is the side of a crop in pixels.
        finder: Finds faces; None where the domain has none.
        encoder_side: Side in pixels at which the encoder looks at a crop.
    """

    domain: Domain
    finder: FaceFinder | None
    encoder_side: int

    def align(self, image: ImageSource, face: int = 0, aligned: bool = False) -> AlignedImage:
        """Find the faces in an image and cut one out.

        Args:
            image: As in ``load_image``.
            face: Which face, the largest being 0.
            aligned: Take the image for an aligned crop and look for no face.

        Returns:
            The image, its crop, and where the crop lies.

        Raises:
            ImageError: Where the image cannot be read.
            NoFaceError: Where it holds no face.
            RequestError: Where there is no face of that number.
        """
        photo = load_image(image)
        faces = () if aligned or self.finder is None else self.finder.find(photo)
        chosen = choose_face(faces, face) if faces else None
        crop, seen, transform = self._cut(photo, chosen)
        return AlignedImage(photo, crop, seen, transform, chosen, faces)

    def _cut(
        self, photo: Image.Image, face: Face | None
    ) -> tuple[Image.Image, Image.Image, CropTransform]:
        """The crop, the same as the encoder sees it, and where it lies in the photo."""
        size, small = self.domain.resolution, self.encoder_side
        if self.domain.alignment == "resize":
            crop, transform = crop_whole(photo, size, self.domain.content)
            seen = (small, round(small * self.domain.content))
            return crop, photo.resize(seen, Image.Resampling.BILINEAR), transform
        if face is None:
            crop, transform = crop_without_face(photo, size)
        else:
            crop, transform = align_crop(photo, face.landmarks, size)
        if size == small:
            return crop, crop, transform
        if face is None:
            return crop, resize_square(photo, small), transform
        return crop, align_crop(photo, face.landmarks, small)[0], transform
