"""The editor: the steps of the method in their order.

    prepare   photo --align--> crop --invert (e4e, HFGI or SFE)--> w_plus (L,512), details

    edit      two prompts --shift (CLIP, mapping network)--> sum of alpha * shift (L,512)
              w_plus + sum, details --synthesise--> edited crop --paste back--> whole photo

The details are what HFGI or SFE keeps of the crop besides the code, see ``inversions.py``.

An editor keeps networks and caches of prompts, and nothing of a user: ``prepare`` returns a value
that the caller keeps.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from PIL import Image
from torch import Tensor

from tmsa_core.align.aligner import Aligner
from tmsa_core.align.regions import region_text
from tmsa_core.availability import inversions_here
from tmsa_core.datatypes import (
    AlignedImage,
    Details,
    EditRequest,
    EditResult,
    ImageSource,
    Levels,
    PreparedFace,
    Region,
)
from tmsa_core.domains import INVERSIONS, Domain
from tmsa_core.editing import prompts
from tmsa_core.editing.models import Models
from tmsa_core.editing.requests import plain_requests, region_of
from tmsa_core.editing.scores import Scores
from tmsa_core.editing.shift import keep_largest, level_mask, level_rows
from tmsa_core.errors import RequestError, quoted, shortened
from tmsa_core.imaging.images import load_image, to_tensor
from tmsa_core.validation import (
    check_alpha,
    check_threshold,
    finite_number,
    is_whole,
)
from tmsa_core.version import VERSION

BATCH = 8  # crops that are synthesised together, which bounds the memory
TRUNCATION = 0.7  # of samples: varied faces, and few with artefacts


class Editor:
    """Text-driven editing in one domain; made by ``load_editor``.

    Args:
        domain: The domain, with the resolution and levels of its generator.
        models: Its networks.
        aligner: Cuts crops and pastes them back.
    """

    def __init__(self, domain: Domain, models: Models, aligner: Aligner) -> None:
        self.domain = domain
        self.models = models
        self.aligner = aligner
        self.bundle = models.bundle
        self.device = models.device

    def warm_up(self) -> None:
        """Load now what the first edit would load: CLIP, identity network and inversion."""
        self.models.warm_up()

    def align(self, image: ImageSource, face: int = 0, aligned: bool = False) -> AlignedImage:
        """Find the faces of an image and cut one out, as ``prepare`` does; needs no network."""
        return self.aligner.align(image, face, aligned)

    def prepare(
        self,
        image: ImageSource,
        inversion: str = "e4e",
        face: int = 0,
        aligned: bool = False,
    ) -> PreparedFace:
        """Align an image and invert its crop.

        Args:
            image: PIL image, path, encoded bytes, or uint8 array (H,W,3).
            inversion: One of ``inversions``. "hfgi" and "sfe" keep details that e4e's code loses,
                in the inversion and in every edit.
            face: Number of the face, 0 being the largest.
            aligned: The image is an aligned crop already, so no face is searched.

        Raises:
            ImageError: The image cannot be read.
            NoFaceError: No face was found.
            RequestError: There is no such face or inversion.
            BundleError: The weights of the inversion are missing, but can be had.
        """
        self.check_inversion(inversion)
        timings: dict[str, float] = {}
        with _timed(timings, "align"):
            found = self.align(image, face, aligned)
        with _timed(timings, "invert"):
            crop, encoder_input = self.aligner.network_inputs(found)
            w_plus, details = self.models.invert(
                inversion, to_tensor(crop), to_tensor(encoder_input)
            )
        with _timed(timings, "synthesise"):
            inversion_crop = self._synthesise(inversion, w_plus, details)
        return PreparedFace(
            self.domain.key,
            found.photo,
            found.crop,
            inversion_crop,
            w_plus,
            inversion,
            found.transform,
            found.face,
            found.faces,
            timings,
            details,
        )

    def edit(
        self, prepared: PreparedFace, request: EditRequest | Sequence[EditRequest]
    ) -> EditResult:
        """Apply one text edit, or several stacked ones, to a prepared face.

        Raises:
            TextError: A prompt cannot be used.
            StrengthError: An alpha cannot be used.
            RequestError: Another field cannot be used.
        """
        return self.edit_many([prepared], [request])[0]

    def edit_many(
        self,
        faces: Sequence[PreparedFace],
        edits: Sequence[EditRequest | Sequence[EditRequest]],
    ) -> list[EditResult]:
        """``edit`` each face by the edit at the same place, several crops at a time.

        For the strips and grids of the page and of the HTTP API: a third quicker than one by one
        on a CPU, more on a GPU. ``run_batch`` edits one image at a time, so that a failure
        concerns one image only. Sums in another order may change a crop by one grey level.

        Raises:
            TmsaError: As in ``edit``; RequestError if the lengths differ.
        """
        stacks = [plain_requests(edit) for edit in edits]
        if len(stacks) != len(faces):
            raise RequestError(
                f"Got {len(faces)} faces and {len(stacks)} edits: give one edit, or one list of "
                "edits, for each face."
            )
        for face in faces:
            self._check_face(face)
        local = [i for i, stack in enumerate(stacks) if any(map(region_of, stack))]
        results = {i: self._edit_within(faces[i], stacks[i]) for i in local}
        for inversion in dict.fromkeys(face.inversion for face in faces):  # one kind per batch
            alike = [
                i
                for i, face in enumerate(faces)
                if i not in results and face.inversion == inversion
            ]
            for start in range(0, len(alike), BATCH):
                part = alike[start : start + BATCH]
                batch = self._edit_batch([faces[i] for i in part], [stacks[i] for i in part])
                results |= dict(zip(part, batch, strict=True))
        return [results[i] for i in range(len(faces))]

    def _edit_batch(
        self, faces: Sequence[PreparedFace], stacks: Sequence[tuple[EditRequest, ...]]
    ) -> list[EditResult]:
        """Edit faces of one inversion."""
        pairs = list(zip(faces, stacks, strict=True))
        timings: dict[str, float] = {}
        with _timed(timings, "shift"):
            shifts = [self.total_shift(stack) for stack in stacks]  # B x (L,512)
        with _timed(timings, "synthesise"):
            codes = torch.stack([face.w_plus for face in faces]), torch.stack(shifts)
            details = tuple(map(torch.stack, zip(*(f.details for f in faces), strict=True)))
            crops = self.models.synthesise(faces[0].inversion, *codes, details)
        w_plus = [face.w_plus + shift for face, shift in zip(faces, shifts, strict=True)]
        with _timed(timings, "paste_back"):
            images = [
                self.aligner.paste_back(face, crop) if stack[-1].paste_back else crop
                for (face, stack), crop in zip(pairs, crops, strict=True)
            ]
        timings = {step: seconds / len(faces) for step, seconds in timings.items()}
        return [
            EditResult(image, crop, w, stack, timings, self._notes(stack))
            for image, crop, w, stack in zip(images, crops, w_plus, stacks, strict=True)
        ]

    def _edit_within(self, face: PreparedFace, stack: tuple[EditRequest, ...]) -> EditResult:
        """Edit a face, some edits in regions only: each region follows a code of its own."""
        timings: dict[str, float] = {}
        with _timed(timings, "shift"):
            everywhere = [each for each in stack if not region_of(each)]
            base = self.total_shift(everywhere) if everywhere else torch.zeros_like(face.w_plus)
            shifts, masks = [], []
            for region in dict.fromkeys(filter(None, map(region_of, stack))):
                shifts.append(self.total_shift([r for r in stack if region_of(r) == region]))
                masks.append(self.aligner.region(face, region))  # (1,R,R)
        with _timed(timings, "synthesise"):
            moves, where = torch.stack([base, *(base + x for x in shifts)]), torch.stack(masks)
            known = None if everywhere else face.inversion_crop
            crop = self.models.synthesise_within(face, moves, where, known)
        with _timed(timings, "paste_back"):
            changing = None if everywhere else where.amax(dim=0)
            pasted = stack[-1].paste_back
            image = self.aligner.paste_back(face, crop, changing) if pasted else crop
        w_plus = face.w_plus + base + torch.stack(shifts).sum(dim=0)
        return EditResult(image, crop, w_plus, stack, timings, self._notes(stack))

    def region_in_photo(self, prepared: PreparedFace, region: Region) -> Image.Image:
        """Where an edit with this region may change the photo: 0 where it stays as it is.

        Args:
            prepared: The face.
            region: As in ``EditRequest``.

        Returns:
            A grey image of the photo's size.

        Raises:
            RequestError: The region is unknown, or there is no face that it is a part of.
        """
        self._check_face(prepared)
        text = region_text(region)
        if not text:
            return Image.new("L", prepared.photo.size, 255)
        return self.aligner.region_in_photo(prepared, text)

    def scores(self, prepared: PreparedFace, result: EditResult) -> Scores:
        """Identity kept and text match of one result of ``edit``."""
        self._check_face(prepared)
        if not isinstance(result, EditResult):
            raise RequestError(
                f"Got a {shortened(type(result).__name__)} instead of a result: give what `edit` "
                "returns."
            )
        return self.models.score(prepared, result)

    def shift(self, neutral_text: str, target_text: str) -> Tensor:
        """The calibrated shift (L,512) float32 from one text to the other.

        Raises:
            TextError: A text is empty or too long.
        """
        neutral = self._clean(neutral_text, "neutral text")
        return self.models.shift(neutral, self._clean(target_text, "target text")).clone()

    def total_shift(self, requests: Sequence[EditRequest]) -> Tensor:
        """The sum of alpha * shift over several edits, (L,512) float32.

        Raises:
            TmsaError: As in ``edit``.
        """
        total = torch.zeros(self.domain.levels, 512)
        for request in plain_requests(requests):
            alpha = check_alpha(request.alpha)
            threshold = check_threshold(request.threshold)
            mask = level_mask(request.levels, self.domain.levels)
            shift = keep_largest(self.shift(request.neutral_text, request.target_text), threshold)
            total = total + alpha * mask * shift
        return total

    def sample(self, seed: int = 0, truncation: float = TRUNCATION) -> PreparedFace:
        """Generate a face at random; the same seed gives the same one.

        Args:
            seed: Whole number from 0 to 2**63 - 1.
            truncation: From 0, the average face, to 1, the full variety of the generator.

        Raises:
            RequestError: The seed or the truncation cannot be used.
        """
        if not is_whole(seed) or not 0 <= seed < 2**63:
            raise RequestError(f"seed is {quoted(seed)}; use a whole number from 0 to {2**63 - 1}.")
        share = finite_number(truncation)
        if share is None or not 0 <= share <= 1:
            raise RequestError(f"truncation is {quoted(truncation)}; use a number from 0 to 1.")
        z = torch.randn(1, 512, generator=torch.Generator().manual_seed(int(seed)))
        return self._generated(self.models.sample_w_plus(z, share))

    def embed_image(self, crop: Image.Image) -> Tensor:
        """E_I: the unit embedding (512,) of a crop."""
        return self.models.embed_image(to_tensor(load_image(crop))).clone()

    def embed_text(self, text: str) -> Tensor:
        """E_T: the unit embedding (512,) of a text, averaged over the templates."""
        return self.models.embed_text(self._clean(text, "text")).clone()

    def w_plus_of_text(self, text: str) -> Tensor:
        """M(E_T(text)): the w_plus (L,512) of what a text describes (Figure 7 of the paper)."""
        return self.models.w_plus_of_text(self._clean(text, "text")).clone()

    def draw(self, text: str, strength: float = 1.0) -> PreparedFace:
        """Generate a face from a text alone: G(M(E_T(text))).

        Args:
            text: What the face shows.
            strength: 1 is the text's own w_plus, 0 the average face.

        Raises:
            TextError: The text cannot be used.
            StrengthError: The strength cannot be used.
        """
        average = self.models.require_mapper().latent_avg.float().cpu()  # (L,512)
        shift = check_alpha(strength) * (self.w_plus_of_text(text) - average)
        return self._generated(average + shift)

    def unknown_words(self, text: str) -> tuple[str, ...]:
        """Words of a text that nothing in this domain looks like, and that are left out."""
        return prompts.unknown_words(text, self.models.read)

    def recipe(
        self, requests: Sequence[EditRequest], inversion: str | None = None
    ) -> dict[str, object]:
        """What made an image, for its metadata: prompts, strengths, domain, weights and version.

        A mapping network that was chosen by name is stated too.

        Args:
            requests: The edits.
            inversion: How the image was inverted, None for a sample.
        """
        edits = [
            {
                "neutral_text": r.neutral_text,
                "target_text": r.target_text,
                "alpha": check_alpha(r.alpha),  # as a float: JSON knows no numbers of NumPy
                "levels": self._named_levels(r.levels),
                "threshold": check_threshold(r.threshold),
                **({"region": r.region} if r.region else {}),
            }
            for r in (plain_requests(requests) if requests else ())
        ]
        return {
            "software": f"TMSA {VERSION}",
            "domain": self.domain.key,
            "weights": self.bundle.fingerprint(),
            **({"mapper": self.bundle.mapper_name} if self.bundle.mapper_name else {}),
            "edits": edits,
            **({"inversion": inversion} if inversion else {}),
        }

    def _named_levels(self, levels: Levels) -> str | list[int]:
        rows = level_rows(levels, self.domain.levels)  # which checks names too
        return levels if isinstance(levels, str) else rows

    @property
    def inversions(self) -> tuple[str, ...]:
        """The inversions whose weights are on this machine."""
        return inversions_here(self.bundle)

    def check_inversion(self, name: str) -> None:
        """Check that an inversion can be used.

        Raises:
            RequestError: There is no such inversion.
            BundleError: Its weights are missing or damaged.
        """
        if isinstance(name, str) and name in ("e4e", *self.inversions):
            return  # an editor without e4e says so when it inverts
        if isinstance(name, str) and name in INVERSIONS and name in self.bundle.files:
            problem = self.bundle.problem(name, thorough=True)
            if problem is not None:
                raise problem
        raise RequestError(
            f"inversion is {quoted(name)}, but the {self.domain.key} bundle has weights for "
            f"{', '.join(self.inversions)} only."
        )

    def _check_face(self, prepared: PreparedFace) -> None:
        if not isinstance(prepared, PreparedFace):
            raise RequestError(
                f"Got a {shortened(type(prepared).__name__)} instead of a prepared face: give "
                "`prepare` the image, and edit what it returns."
            )
        if prepared.domain != self.domain.key:
            raise RequestError(
                f"This face was prepared for {prepared.domain}, not {self.domain.key}: "
                "prepare the image again."
            )

    def _synthesise(self, inversion: str, w_plus: Tensor, details: Details = ()) -> Image.Image:
        """One unedited crop of w_plus (L,512) and details."""
        codes, batch = w_plus[None], tuple(value[None] for value in details)
        return self.models.synthesise(inversion, codes, torch.zeros_like(codes), batch)[0]

    def _generated(self, w_plus: Tensor) -> PreparedFace:
        """A face of w_plus (L,512) that no photo shows."""
        crop = self._synthesise("sample", w_plus)
        return PreparedFace(self.domain.key, crop, crop, crop, w_plus, "sample")

    def _clean(self, text: str, name: str) -> str:
        return prompts.check_prompt(text, name, self.models.load_clip().tokenizer)

    def _notes(self, requests: Sequence[EditRequest]) -> tuple[str, ...]:
        tokenizer = self.models.load_clip().tokenizer
        return prompts.edit_notes(requests, tokenizer, self.shift, self.models.read)


@contextmanager
def _timed(timings: dict[str, float], step: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    timings[step] = time.perf_counter() - start
