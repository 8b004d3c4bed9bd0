"""Cut a photo to a domain's crop, and paste an edited crop back; needs no network."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image
from torch import Tensor

from tmsa_core.align.crop import align_crop, crop_whole, crop_without_face, resize_square
from tmsa_core.align.landmarks import FaceFinder
from tmsa_core.align.paste import (
    paste_back,
    region_in_photo,
    restore_whole,
    restore_within,
    to_crop,
    whole_image,
)
from tmsa_core.align.regions import crop_region
from tmsa_core.datatypes import AlignedImage, CropTransform, Face, ImageSource, PreparedFace
from tmsa_core.domains import Domain
from tmsa_core.errors import NoFaceError
from tmsa_core.imaging.images import load_image
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

    def network_inputs(self, found: AlignedImage) -> tuple[Image.Image, Image.Image]:
        """The crop as inverters of full size were trained on, and the encoder's input.

        An aligned image of another size is resized bilinearly, where the crop that is shown is
        resized by Lanczos.
        """
        crop, size = found.crop, self.domain.resolution
        if self.domain.is_face and found.face is None:
            crop = resize_square(found.photo, size)
        return crop, found.encoder_input

    def paste_back(
        self, prepared: PreparedFace, crop: Image.Image, region: Tensor | None = None
    ) -> Image.Image:
        """Put an edited crop back into its photo, see ``align.paste``; a sample has no photo.

        Args:
            prepared: The face.
            crop: Its edited crop, R x R pixels.
            region: (1,R,R) in [0, 1], where the photo may change; None for everywhere.
        """
        photo, transform = prepared.photo, prepared.transform
        if transform is None:
            return crop
        if self.domain.is_face:
            drawn, before = self.domain.has_truth, prepared.inversion_crop
            return paste_back(photo, crop, transform, before, region, drawn)
        if region is not None:
            return restore_within(photo, crop, transform, region)
        return restore_whole(photo, crop, self.domain.content)

    def region(self, prepared: PreparedFace, region: str) -> Tensor:
        """A region of a face's crop, (1,R,R) in [0, 1], see ``align.regions.crop_region``."""
        size = prepared.crop.width
        place = prepared.transform or whole_image(size)
        points = self._points(prepared)
        return crop_region(region, size, points, prepared.photo.size, place)

    def region_in_photo(self, prepared: PreparedFace, region: str) -> Image.Image:
        """The same in the photo, a grey image of its size: 0 where the photo cannot change."""
        place = prepared.transform or whole_image(prepared.crop.width)
        return region_in_photo(self.region(prepared, region), prepared.photo.size, place)

    def _points(self, prepared: PreparedFace) -> Tensor | None:
        """The landmarks (68,2) in pixels of the crop; None where there is no face."""
        if self.finder is None:
            return None
        if prepared.transform is None:  # a sample is always a face, however strange
            return self.finder.place_in_crop(prepared.crop)
        if prepared.face is not None:
            return to_crop(prepared.face.landmarks, prepared.transform)
        try:
            return to_crop(self.finder.find(prepared.photo)[0].landmarks, prepared.transform)
        except NoFaceError:
            return None

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
