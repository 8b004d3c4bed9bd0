"""Cut a photo to a domain's crop, and paste an edited crop back; needs no network."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image

from tmsa_core.align.crop import align_crop, crop_whole, crop_without_face, resize_square
from tmsa_core.align.landmarks import FaceFinder
from tmsa_core.align.paste import paste_back, restore_whole
from tmsa_core.datatypes import AlignedImage, CropTransform, Face, PreparedFace
from tmsa_core.domains import Domain
from tmsa_core.imaging.images import ImageSource, load_image
from tmsa_core.validation import check_flag, choose_face


@dataclass(frozen=True)
class Aligner:
    """Aligns images of one domain; made by ``load_editor`` or ``load_aligner``.

    Attributes:
        domain: Its ``resolution`` is the side of a crop in pixels.
        finder: Finds faces; None for a domain without faces.
        encoder_side: Side in pixels of the encoder's input.
    """

    domain: Domain
    finder: FaceFinder | None
    encoder_side: int

    def align(self, image: ImageSource, face: int = 0, aligned: bool = False) -> AlignedImage:
        """Find the faces of an image and cut one out.

        Args:
            image: As in ``load_image``.
            face: Number of the face, 0 being the largest.
            aligned: The image is an aligned crop already, so no face is searched.

        Raises:
            ImageError: The image cannot be read.
            NoFaceError: No face was found.
            RequestError: There is no face of that number, or ``aligned`` is not a bool.
        """
        aligned = check_flag(aligned, "aligned")
        photo = load_image(image)
        faces = () if aligned or self.finder is None else self.finder.find(photo)
        chosen = choose_face(faces, face) if faces else None
        crop, encoder_input, transform = self._cut(photo, chosen)
        return AlignedImage(photo, crop, encoder_input, transform, chosen, faces)

    def paste_back(self, prepared: PreparedFace, crop: Image.Image) -> Image.Image:
        """Put an edited crop back into its photo, see ``align.paste``; a sample has no photo."""
        if prepared.transform is None:
            return crop
        if not self.domain.is_face:
            return restore_whole(prepared.photo, crop, self.domain.content)
        return paste_back(prepared.photo, crop, prepared.transform, prepared.inversion_crop)

    def _cut(
        self, photo: Image.Image, face: Face | None
    ) -> tuple[Image.Image, Image.Image, CropTransform]:
        """The crop, the same part as the encoder's input, and its place in the photo."""
        size, small = self.domain.resolution, self.encoder_side
        if not self.domain.is_face:
            crop, transform = crop_whole(photo, size, self.domain.content)
            encoder_size = (small, round(small * self.domain.content))
            return crop, photo.resize(encoder_size, Image.Resampling.BILINEAR), transform
        if face is None:
            crop, transform = crop_without_face(photo, size)
        else:
            crop, transform = align_crop(photo, face.landmarks, size)
        if size == small:
            return crop, crop, transform
        if face is None:
            return crop, resize_square(photo, small), transform
        return crop, align_crop(photo, face.landmarks, small)[0], transform
