"""The editor: align, invert, shift, synthesise, paste back. The only file that knows the order.

An editor holds networks and caches of text embeddings, and nothing that belongs to a visitor:
what ``prepare`` returns is a value that the caller keeps.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from textwrap import shorten
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image
from torch import Tensor

from tmsa_core.align.aligner import Aligner
from tmsa_core.align.paste import paste_back, restore_whole
from tmsa_core.availability import first_inversion, inversions_here
from tmsa_core.bundles import Bundle
from tmsa_core.datatypes import AlignedImage, EditRequest, EditResult, Levels, PreparedFace
from tmsa_core.devices import report_out_of_memory
from tmsa_core.domains import INVERSIONS, Domain
from tmsa_core.editing.scores import Scorer, Scores
from tmsa_core.editing.shift import embed_text, keep_largest, level_mask, semantic_shift
from tmsa_core.errors import BundleError, RequestError, TextError, listed, quoted, shortened
from tmsa_core.imaging.images import ImageSource, load_image, to_image, to_tensor
from tmsa_core.networks.e4e import Encoder
from tmsa_core.networks.hfgi import HFGI
from tmsa_core.networks.stylegan2 import Generator
from tmsa_core.networks.tmsa import Mapper
from tmsa_core.text.templates import MAX_CHARACTERS_CLEANED, clean_text
from tmsa_core.validation import (
    check_alpha,
    check_requests,
    check_threshold,
    finite_number,
    is_whole,
)
from tmsa_core.version import VERSION

if TYPE_CHECKING:
    from tmsa_core.networks.clip import Clip

TOKEN_LIMIT = 77  # of CLIP's text encoder
TEXT_CACHE = 512
BATCH = 8  # images synthesised together
TRUNCATION = 0.7  # of portraits drawn by seed: varied, but none odd
# The methods that run networks. All else (files, faces, pasting) stays off a ZeroGPU's clock.
ON_GPU = ("_invert", "_missed", "_draw_code", "_synthesise", "_synthesise_batch", "_compute_shift",
          "_score")  # fmt: skip

Wrapper = Callable[[Callable[..., Any]], Callable[..., Any]]


class Editor:
    """Text-driven editing in one domain; made by ``load_editor``.

    on_gpu: wraps every function that runs networks, as ``spaces.GPU`` does where the GPU is there
    for the length of a call only. Arguments and results are images and tensors on the CPU.
    """

    def __init__(
        self,
        domain: Domain,
        bundle: Bundle,
        generator: Generator,
        encoder: Encoder | None,
        mapper: Mapper | None,
        aligner: Aligner,
        device: str,
        on_gpu: Wrapper | None = None,
    ) -> None:
        self.domain = domain
        self.bundle = bundle
        self.device = device
        self.on_gpu = on_gpu
        self._generator = generator
        self._encoder = encoder
        self._mapper = mapper
        self.aligner = aligner
        for name in ON_GPU if on_gpu else ():
            setattr(self, name, on_gpu(getattr(self, name)))
        self._embed = functools.lru_cache(TEXT_CACHE)(lambda text: embed_text(self._clip, text))
        self._shift = functools.lru_cache(TEXT_CACHE)(self._compute_shift)
        if on_gpu and encoder is not None:
            self.warm_up()  # a GPU that comes for a call sees only what was loaded before

    def warm_up(self) -> None:
        """Load what the first edit would load otherwise: CLIP, what scores an edit, HFGI."""
        self._scorer  # noqa: B018 - a cached property, which takes in CLIP
        if first_inversion(self.bundle) == "hfgi":
            self._hfgi  # noqa: B018 - the same

    def align(self, image: ImageSource, face: int = 0, aligned: bool = False) -> AlignedImage:
        """Find the faces in an image and cut one out; needs no network. See ``prepare``."""
        return self.aligner.align(image, face, aligned)

    def prepare(
        self,
        image: ImageSource,
        inversion: str = "e4e",
        face: int = 0,
        aligned: bool = False,
    ) -> PreparedFace:
        """Align an image and invert its crop.

        image: PIL image, path, or HWC uint8 array. inversion: one of ``inversions``; with "hfgi"
        what e4e misses of the image is kept and drawn into the inversion and every edit. face:
        which face, the largest being 0. aligned: take the image for an aligned crop and look for
        no face. Raises ImageError, NoFaceError, RequestError for a face or an inversion that is
        not there, and BundleError for an inversion whose weights can be had and are not here.
        """
        self._need_encoder()
        self._check_inversion(inversion)
        timings: dict[str, float] = {}
        with _timed(timings, "align"):
            found = self.align(image, face, aligned)
        with _timed(timings, "invert"):
            seen = to_tensor(found.seen)
            w_plus = self._invert(seen)
            residual = self._residual(seen, w_plus) if inversion == "hfgi" else None
        with _timed(timings, "synthesise"):
            inversion_crop = self._synthesise(w_plus, residual)
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
            residual,
        )

    def edit(
        self, prepared: PreparedFace, request: EditRequest | Sequence[EditRequest]
    ) -> EditResult:
        """Apply one text edit, or several stacked ones, to a prepared face.

        G(w + sum of alpha dw). Raises TextError, StrengthError and RequestError for fields that
        cannot be used.
        """
        requests = check_requests(request)
        self._check_face(prepared)
        timings: dict[str, float] = {}
        with _timed(timings, "shift"):
            w_plus = prepared.w_plus + self.total_shift(requests)
        with _timed(timings, "synthesise"):
            crop = self._synthesise(w_plus, prepared.residual)
        with _timed(timings, "paste_back"):
            image = crop
            if requests[-1].paste_back and prepared.transform is not None:
                image = self._paste_back(prepared, crop)
        return EditResult(image, crop, w_plus, requests, timings, self._notes(requests))

    def edit_many(
        self,
        faces: Sequence[PreparedFace],
        edits: Sequence[EditRequest | Sequence[EditRequest]],
    ) -> list[EditResult]:
        """``edit`` of each face by the edit beside it, images synthesised in batches.

        For sweeps, grids and folders; a third quicker than one by one on a CPU, more on a GPU. A
        image may differ from that of ``edit`` by one grey level, as sums are in another order.
        Raises what ``edit`` does.
        """
        stacks = [check_requests(edit) for edit in edits]
        if len(stacks) != len(faces):
            raise RequestError(
                f"Got {len(faces)} faces and {len(stacks)} edits: give one edit, or one list of "
                "edits, for each face."
            )
        for face in faces:
            self._check_face(face)
        results: dict[int, EditResult] = {}
        for plain in (True, False):  # with a residual and without are two ways to draw
            alike = [i for i, face in enumerate(faces) if (face.residual is None) is plain]
            for start in range(0, len(alike), BATCH):
                part = alike[start : start + BATCH]
                made = self._edit_batch([faces[i] for i in part], [stacks[i] for i in part])
                results |= dict(zip(part, made, strict=True))
        return [results[i] for i in range(len(faces))]

    def scores(self, prepared: PreparedFace, result: EditResult) -> Scores:
        """Identity kept and text met, for one result of ``edit``."""
        self._check_face(prepared)
        if not isinstance(result, EditResult):
            raise RequestError(
                f"Got a {shortened(type(result).__name__)} instead of a result: give what `edit` "
                "returns."
            )
        return self._score(prepared, result)

    def shift(self, neutral_text: str, target_text: str) -> Tensor:
        """dw, (L,512) float32: the calibrated shift from one text to the other.

        Raises TextError for empty texts and for texts that are too long.
        """
        neutral = self._clean(neutral_text, "neutral text")
        return self._shift(neutral, self._clean(target_text, "target text")).clone()

    def total_shift(self, requests: Sequence[EditRequest]) -> Tensor:
        """(L,512): the sum of alpha dw over several edits.

        Raises TextError, StrengthError and RequestError for fields that cannot be used.
        """
        total = torch.zeros(self.domain.levels, 512)
        for request in check_requests(requests):
            alpha = check_alpha(request.alpha)
            threshold = check_threshold(request.threshold)
            mask = level_mask(request.levels, self.domain.levels)
            shift = keep_largest(self.shift(request.neutral_text, request.target_text), threshold)
            total = total + alpha * mask * shift
        return total

    def sample(self, seed: int = 0, truncation: float = TRUNCATION) -> PreparedFace:
        """A portrait from the generator itself: the same seed gives the same one.

        truncation: from 0, the average face, to 1, as varied as the generator is. Raises
        RequestError for a seed or a truncation that cannot be used.
        """
        if not is_whole(seed) or not 0 <= seed < 2**63:
            raise RequestError(f"seed is {quoted(seed)}; use a whole number from 0 to {2**63 - 1}.")
        share = finite_number(truncation)
        if share is None or not 0 <= share <= 1:
            raise RequestError(f"truncation is {quoted(truncation)}; use a number from 0 to 1.")
        z = torch.randn(1, 512, generator=torch.Generator().manual_seed(int(seed)))
        w_plus = self._sample_w_plus(z, share)
        crop = self._synthesise(w_plus)
        return PreparedFace(self.domain.key, crop, crop, crop, w_plus, "sample")

    @report_out_of_memory
    def embed_image(self, crop: Image.Image) -> Tensor:
        """E_I: (512,) unit embedding of a crop."""
        with torch.inference_mode():
            return (
                self._clip.embed_images(to_tensor(load_image(crop)).to(self.device))[0]
                .cpu()
                .clone()
            )

    @report_out_of_memory
    def embed_text(self, text: str) -> Tensor:
        """E_T, averaged over the prompt bank: (512,) unit embedding of a text."""
        return self._embed(self._clean(text, "text")).cpu().clone()

    @report_out_of_memory
    def w_plus_of_text(self, text: str) -> Tensor:
        """M(E_T(text)), (L,512): the code of what a text describes (Figure 7 of the paper)."""
        with torch.inference_mode():
            embedding = self._embed(self._clean(text, "text"))
            return self._need_mapper().from_text(embedding[None])[0].float().cpu().clone()

    def draw(self, text: str, strength: float = 1.0) -> PreparedFace:
        """A portrait from a text alone: G(M(E_T(text))).

        strength: 1 is the text's own code, 0 the average face. Raises TextError, StrengthError.
        """
        average = self._need_mapper().latent_avg.float().cpu()
        code = average + check_alpha(strength) * (self.w_plus_of_text(text) - average)
        crop = self._synthesise(code)
        return PreparedFace(self.domain.key, crop, crop, crop, code, "sample")

    def unknown_words(self, text: str) -> tuple[str, ...]:
        """Words of a text that the domain's text encoder has never seen; it leaves them out.

        Of a text that is longer than an edit takes, the beginning is looked at.
        """
        if not isinstance(text, str):
            raise TextError(f"The text is {quoted(text)}: write it as a text.")
        return self._clip.tokenizer.unknown_words(text[:MAX_CHARACTERS_CLEANED])

    def recipe(
        self, requests: Sequence[EditRequest], inversion: str | None = None
    ) -> dict[str, object]:
        """What made an image: texts, strengths, domain, weights and version.

        inversion: how it was brought in, None where it was not.
        """
        edits = [
            {
                "neutral_text": r.neutral_text,
                "target_text": r.target_text,
                "alpha": check_alpha(r.alpha),  # numbers of NumPy have no place in JSON
                "levels": self._named_levels(r.levels),
                "threshold": check_threshold(r.threshold),
            }
            for r in (check_requests(requests) if requests else ())
        ]
        return {
            "software": f"TMSA {VERSION}",
            "domain": self.domain.key,
            "weights": self.bundle.fingerprint(),
            "edits": edits,
            **({"inversion": inversion} if inversion else {}),
        }

    def _named_levels(self, levels: Levels) -> str | list[int]:
        """Levels as a recipe has them. Raises RequestError for those that do not exist."""
        level_mask(levels, self.domain.levels)
        return levels if isinstance(levels, str) else [int(i) for i in levels]

    @property
    def inversions(self) -> tuple[str, ...]:
        """The inversions that ``prepare`` offers: those whose weights are here."""
        return inversions_here(self.bundle)

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

    def _check_inversion(self, name: str) -> None:
        if name in self.inversions:
            return
        if name in INVERSIONS and name in self.bundle.files:
            self.bundle.checked_path(name)  # says what is missing and how to get it
        raise RequestError(
            f"inversion is {quoted(name)}, but the {self.domain.key} bundle has weights for "
            f"{' and '.join(self.inversions)} only."
        )

    @property
    def _dtype(self) -> torch.dtype:
        return self._generator.input.input.dtype

    def _paste_back(self, face: PreparedFace, crop: Image.Image) -> Image.Image:
        """The whole photo, changed where the edited crop differs from the inversion."""
        if self.domain.alignment == "resize":
            return restore_whole(face.photo, crop, self.domain.content)
        return paste_back(face.photo, crop, face.transform, face.inversion_crop)

    @report_out_of_memory
    @torch.inference_mode()
    def _invert(self, image: Tensor) -> Tensor:
        w_plus = self._need_encoder()(image.to(self.device, self._dtype))  # (1,L,512)
        return w_plus[0].float().cpu().clone()

    @report_out_of_memory
    @torch.inference_mode()
    def _residual(self, image: Tensor, w_plus: Tensor) -> Tensor:
        codes = w_plus[None].to(self.device, self._dtype)
        residual = self._hfgi.residual(self._generator, image.to(self.device), codes)
        return residual[0].float().cpu().clone()

    @report_out_of_memory
    @torch.inference_mode()
    def _synthesise(self, w_plus: Tensor, residual: Tensor | None = None) -> Image.Image:
        """w_plus (L,512), missed (3,S,S)."""
        return to_image(self._pixels(w_plus[None], None if residual is None else residual[None]))

    @report_out_of_memory
    @torch.inference_mode()
    def _synthesise_batch(self, codes: Tensor, residual: Tensor | None) -> list[Image.Image]:
        """codes (B,L,512), missed (B,3,S,S)."""
        return [to_image(image) for image in self._pixels(codes, residual)]

    def _pixels(self, codes: Tensor, residual: Tensor | None) -> Tensor:
        """codes (B,L,512), and with HFGI what they miss (B,3,S,S) -> (B,3,R,R) on the CPU."""
        codes = codes.to(self.device, self._dtype)
        if residual is None:
            return self._generator.synthesise(codes).float().cpu()
        return self._hfgi.fuse(self._generator, residual.to(self.device), codes).float().cpu()

    @functools.cached_property
    def _clip(self) -> Clip:
        """Loaded when first asked for: importing its library takes longer than all the rest."""
        return self.bundle.load("clip", self.device)

    @functools.cached_property
    def _hfgi(self) -> HFGI:
        """Loaded when first asked for: e4e does without it."""
        return self.bundle.load("hfgi", self.device, self._dtype)

    def _edit_batch(
        self, faces: Sequence[PreparedFace], stacks: Sequence[tuple[EditRequest, ...]]
    ) -> list[EditResult]:
        timings: dict[str, float] = {}
        with _timed(timings, "shift"):
            codes = [
                face.w_plus + self.total_shift(stack)
                for face, stack in zip(faces, stacks, strict=True)
            ]
        with _timed(timings, "synthesise"):
            residual = [face.residual for face in faces if face.residual is not None]
            images = self._synthesise_batch(
                torch.stack(codes), torch.stack(residual) if residual else None
            )
        each = {stage: seconds / len(codes) for stage, seconds in timings.items()}
        results = []
        for face, stack, code, crop in zip(faces, stacks, codes, images, strict=True):
            image = crop
            if stack[-1].paste_back and face.transform is not None:
                image = self._paste_back(face, crop)
            results.append(EditResult(image, crop, code, stack, each, self._notes(stack)))
        return results

    @report_out_of_memory
    @torch.inference_mode()
    def _sample_w_plus(self, z: Tensor, truncation: float) -> Tensor:
        w = self._generator.map(z.to(self.device, self._dtype), truncation)
        return self._generator.broadcast(w)[0].float().cpu().clone()

    @report_out_of_memory
    def _score(self, prepared: PreparedFace, result: EditResult) -> Scores:
        return self._scorer.score(prepared, result)

    @functools.cached_property
    def _scorer(self) -> Scorer:
        """Loaded when first asked for: an edit needs no identity network."""
        identity = None
        if self.bundle.has("identity"):
            identity = self.bundle.load("identity", self.device)
        return Scorer(self._clip, lambda text: self._embed(clean_text(text)), identity)

    def _need_encoder(self) -> Encoder:
        if self._encoder is None:
            raise RequestError(
                "This editor was loaded for samples only: call load_editor without samples_only "
                "to bring images in."
            )
        return self._encoder

    def _need_mapper(self) -> Mapper:
        if self._mapper is None:
            self.bundle.checked_path("mapper")  # says what is wrong and which command makes it
            raise BundleError("A mapper was made in the meantime: load the domain again.")
        return self._mapper

    @report_out_of_memory
    def _compute_shift(self, neutral: str, target: str) -> Tensor:
        mapper = self._need_mapper()
        return semantic_shift(mapper, self._embed(neutral), self._embed(target)).float().cpu()

    def _clean(self, text: str, name: str) -> str:
        cleaned = clean_text(text, name)
        count = self._clip.tokenizer.token_count(cleaned)
        if count > TOKEN_LIMIT:
            raise TextError(
                f"The {name} is too long: {count} tokens, and CLIP reads at most {TOKEN_LIMIT}, so "
                "say it in fewer words."
            )
        return cleaned

    def _notes(self, requests: Sequence[EditRequest]) -> tuple[str, ...]:
        notes: list[str] = []
        for request in requests:
            texts = (request.neutral_text, request.target_text)
            cut = [end for text in texts if (end := self._clip.tokenizer.cut_off(clean_text(text)))]
            for end in cut:
                notes.append(
                    "The text is longer than the text encoder reads, which left out its end, "
                    f"“{shorten(end, 60, placeholder=' …')}”: say it in fewer words."
                )
            if not cut and not self.shift(*texts).any():
                notes.append(
                    "The two texts mean the same to the text encoder, so nothing moved: "
                    "say in the target text what should change."
                )
            if words := [word for text in texts for word in self.unknown_words(text)]:
                named = listed(dict.fromkeys(words))
                notes.append(
                    f"The text encoder has never seen these words and left them out: {named}."
                )
        return tuple(dict.fromkeys(notes))


@contextmanager
def _timed(timings: dict[str, float], stage: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    timings[stage] = time.perf_counter() - start
