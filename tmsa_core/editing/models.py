"""The networks of one domain: where they run, in which precision, and when each is loaded.

Every method that runs a network takes and returns images and tensors on the CPU.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar

import torch
from PIL import Image
from torch import Tensor

from tmsa_core.availability import first_inversion
from tmsa_core.bundles import Bundle
from tmsa_core.datatypes import Details, EditResult, PreparedFace
from tmsa_core.devices import report_out_of_memory
from tmsa_core.editing.inversions import Inversion, make_inversion
from tmsa_core.editing.scores import Scores, score_edit
from tmsa_core.editing.shift import embed_text, read_text, semantic_shift
from tmsa_core.errors import BundleError
from tmsa_core.imaging.images import to_image, to_tensor
from tmsa_core.networks.e4e import Encoder
from tmsa_core.networks.identity import IdentityNet
from tmsa_core.networks.stylegan2 import Generator, mix_regions
from tmsa_core.networks.tmsa import Mapper

if TYPE_CHECKING:
    from tmsa_core.avatars.reading.reader import Reading
    from tmsa_core.networks.clip import Clip

CACHE_SIZE = 512  # text embeddings, and shifts, that are kept: 2 KB and at most 36 KB each

P = ParamSpec("P")
R = TypeVar("R")
K = TypeVar("K")


class Wrapper(Protocol):
    """Makes a function run on a GPU that is there for the length of a call only."""

    def __call__(self, function: Callable[P, R], /) -> Callable[P, R]:
        """Return a function with the same arguments and the same result."""


class Models:
    """The networks of one domain, and the functions that run them.

    Args:
        bundle: Loads CLIP, the identity network, HFGI and SFE when they are first needed.
        generator: StyleGAN2; its precision is that of e4e, HFGI and SFE too.
        encoder: e4e, None where only samples are needed.
        mapper: The mapping network, None where the bundle has none.
        device: Device of all networks, such as "cpu" or "cuda".
        on_gpu: Wraps each function that runs a network, as ``spaces.GPU`` does.
    """

    def __init__(
        self,
        bundle: Bundle,
        generator: Generator,
        encoder: Encoder | None,
        mapper: Mapper | None,
        device: str,
        on_gpu: Wrapper | None = None,
    ) -> None:
        self.bundle = bundle
        self.generator = generator
        self.encoder = encoder
        self.mapper = mapper
        self.device = device
        self.dtype = generator.input.input.dtype
        self.on_gpu = on_gpu
        self._loaded: dict[str, Any] = {}
        self._loading = threading.Lock()
        self._embeddings: dict[str, Tensor] = {}
        self._shifts: dict[tuple[str, str], Tensor] = {}

        self.invert = self._as_call(self._invert)
        self.sample_w_plus = self._as_call(self._sample_w_plus)
        self.synthesise = self._as_call(self._synthesise)
        self.synthesise_within = self._as_call(self._synthesise_within)
        self.embed_image = self._as_call(self._embed_image)
        self.embed_text = self._as_call(self._embed_text)
        self.w_plus_of_text = self._as_call(self._w_plus_of_text)
        self.compute_shift = self._as_call(self._compute_shift)
        self.score = self._as_call(self._score)
        if on_gpu and encoder is not None:
            self.warm_up()  # the process with the GPU sees only what was loaded before the call

    def _as_call(self, function: Callable[P, R]) -> Callable[P, R]:
        """The function without gradients, with our error for full memory, and on the GPU."""
        call = report_out_of_memory(torch.inference_mode()(function))
        return self.on_gpu(call) if self.on_gpu else call

    def warm_up(self) -> None:
        """Load now what the first edit would load: CLIP, identity network and inversion."""
        self.load_clip()
        self.load_identity()
        self._inversion(first_inversion(self.bundle))

    def load_clip(self) -> Clip:
        """CLIP; loaded at its first use, because importing its library takes longest."""
        return self._load("clip", torch.float32)

    def load_identity(self) -> IdentityNet | None:
        """The identity network; loaded at its first use, None where the bundle has none."""
        return self._load("identity", torch.float32) if self.bundle.has("identity") else None

    def _load(self, role: str, dtype: torch.dtype) -> Any:
        if role not in self._loaded:
            with self._loading:
                if role not in self._loaded:  # another thread may have loaded it meanwhile
                    self._loaded[role] = self.bundle.load(role, self.device, dtype)
        return self._loaded[role]

    def _inversion(self, name: str) -> Inversion:
        """An inversion; its own network is loaded at its first use, because e4e works without."""
        load = partial(self._load, dtype=self.dtype)
        return make_inversion(name, self.generator, self.encoder, load)

    def require_mapper(self) -> Mapper:
        """The mapping network.

        Raises:
            BundleError: It was not loaded; the message names the command that makes it.
        """
        if self.mapper is None:
            raise self.bundle.problem("mapper", thorough=True) or BundleError(
                "A mapping network was made after this domain was loaded: load the domain again."
            )
        return self.mapper

    def shift(self, neutral: str, target: str) -> Tensor:
        """The calibrated shift (L,512) float32 between two cleaned texts; do not change it."""
        key = (neutral, target)
        shift = self._shifts.get(key)
        if shift is None:
            shift = _remember(self._shifts, key, self.compute_shift(neutral, target))
        return shift

    def read(self, text: str) -> Reading:
        """What the text encoder makes of a text; see ``read_text``."""
        return read_text(self.load_clip(), text)

    def _text_embedding(self, text: str) -> Tensor:
        """E_T of a cleaned text: (512,) unit vector on the networks' device."""
        embedding = self._embeddings.get(text)
        if embedding is None:
            embedding = _remember(self._embeddings, text, embed_text(self.load_clip(), text))
        return embedding

    def _invert(
        self, inversion: str, crop: Tensor, encoder_input: Tensor
    ) -> tuple[Tensor, Details]:
        """Crops (1,3,R,R) and (1,3,H,W) in [-1,1] -> w_plus (L,512) and details, float32."""
        crops = crop.to(self.device), encoder_input.to(self.device)
        w_plus, details = self._inversion(inversion).invert(*crops)
        kept = [value[0].float().cpu().clone() for value in (w_plus, *details)]
        return kept[0], tuple(kept[1:])

    def _sample_w_plus(self, z: Tensor, truncation: float) -> Tensor:
        """Noise z (1,512) -> w_plus (L,512) float32; truncation 0 is the average face."""
        w = self.generator.map(z.to(self.device, self.dtype), truncation)
        return self.generator.broadcast(w)[0].float().cpu().clone()

    def _synthesise(
        self, inversion: str, w_plus: Tensor, shift: Tensor, details: Details
    ) -> list[Image.Image]:
        """B crops of R x R pixels, see ``Inversion.draw``."""
        crops = self._draw(inversion, w_plus, shift, details)
        return [to_image(crop) for crop in crops.float().cpu()]

    def _synthesise_within(
        self,
        face: PreparedFace,
        shift: Tensor,
        masks: Tensor,
        base: Image.Image | None,
    ) -> Image.Image:
        """A crop whose regions follow different codes, mixed in the features and in the image.

        Args:
            face: The face.
            shift: (1 + K,L,512); the first is that of the whole crop.
            masks: (K,1,R,R) in [0, 1], where each further shift counts.
            base: What the first code makes, if it is known; so its pixels stay the same.
        """
        w_plus, *details = (
            value.expand(len(shift), *value.shape) for value in (face.w_plus, *face.details)
        )
        masks = masks.to(self.device)
        crops = self._draw(face.inversion, w_plus, shift, tuple(details), masks)
        crops = crops.float().clamp(-1, 1)
        if base is not None:
            crops[0] = to_tensor(base)[0].to(crops)
        return to_image(mix_regions(crops, masks)[-1].cpu())

    def _draw(
        self,
        inversion: str,
        w_plus: Tensor,
        shift: Tensor,
        details: Details,
        masks: Tensor | None = None,
    ) -> Tensor:
        """``Inversion.draw`` of tensors on the CPU."""
        here = tuple(value.to(self.device) for value in details)
        codes = w_plus.to(self.device), shift.to(self.device)
        return self._inversion(inversion).draw(*codes, here, masks)

    def _embed_image(self, crop: Tensor) -> Tensor:
        """E_I: a crop (1,3,H,W) in [-1,1] -> (512,) unit vector."""
        return self.load_clip().embed_images(crop.to(self.device))[0].cpu().clone()

    def _embed_text(self, text: str) -> Tensor:
        """E_T of a cleaned text: (512,) unit vector."""
        return self._text_embedding(text).cpu().clone()

    def _w_plus_of_text(self, text: str) -> Tensor:
        """M(E_T(text)) of a cleaned text: w_plus (L,512) float32."""
        mapper = self.require_mapper()
        return mapper.from_text(self._text_embedding(text)[None])[0].float().cpu().clone()

    def _compute_shift(self, neutral: str, target: str) -> Tensor:
        """The calibrated shift (L,512) float32 between two cleaned texts."""
        mapper = self.require_mapper()
        texts = self._text_embedding(neutral), self._text_embedding(target)
        return semantic_shift(mapper, *texts).float().cpu()

    def _score(self, prepared: PreparedFace, result: EditResult) -> Scores:
        """Identity kept and text match of one edit."""
        clip, identity = self.load_clip(), self.load_identity()
        return score_edit(prepared, result, clip, identity, self._text_embedding)


def _remember(cache: dict[K, Tensor], key: K, value: Tensor) -> Tensor:
    """Add a value to a cache; the oldest entries beyond ``CACHE_SIZE`` are dropped."""
    cache[key] = value
    for oldest in list(cache)[:-CACHE_SIZE]:
        cache.pop(oldest, None)  # another thread may have dropped it
    return value
