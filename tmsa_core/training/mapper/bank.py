"""Banks of pairs that the alignment learns from: CLIP embeddings beside latent codes.

Synthetic pairs (E_I(G(w)), w) come from the generator alone; real pairs (E_I(I), e4e(I)) need
images. Every draw is counted, since generator evaluations are what an alignment costs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from tmsa_core.imaging.resize import resize_tensor
from tmsa_core.networks.clip import Clip
from tmsa_core.networks.e4e import Encoder
from tmsa_core.networks.stylegan2 import Generator
from tmsa_core.training.mapper.cache import Parts

Tick = Callable[[int], None]
"""Told how many more images are done."""

Batch = TypeVar("Batch")

PART = 256  # images, about: what a stopped drawing loses at most
REAL_BATCH = 64  # real images that are read together
PIXELS = 2**23  # images of one batch together, what 64 portraits of 128 px stay well below


@dataclass(frozen=True)
class Bank:
    """Pairs: synthetic embeddings (N,D) with w (N,512), real ones (M,D) with codes (M,L,512).

    M may be zero: then the bank knows synthetic images only.
    """

    synthetic: Tensor
    w: Tensor
    real: Tensor
    inverted: Tensor

    @property
    def levels(self) -> int:
        """L, the rows of W+."""
        return self.inverted.shape[1]

    @property
    def embeddings(self) -> Tensor:
        """Embeddings of real images if there are any, or else of synthetic ones."""
        return self.real if len(self.real) else self.synthetic

    def spread(self) -> float:
        """Root mean square distance of w from its mean."""
        return float((self.w - self.w.mean(dim=0)).square().sum(dim=1).mean().sqrt())

    def subjects(self, count: int) -> Tensor:
        """Codes to try edits on (up to ``count``,L,512): of real images if there are any."""
        if len(self.inverted):
            return self.inverted[:count]
        return self.w[:count, None].expand(-1, self.levels, -1)


@dataclass
class ImageEmbedder:
    """G followed by E_I, with a count of the generator evaluations so far.

    processes: how many work alike, so that each image stands for as many.
    """

    generator: Generator
    clip: Clip
    device: str = "cpu"
    processes: int = 1
    evaluations: int = 0

    @property
    def batch(self) -> int:
        """How many images are drawn together."""
        return max(1, min(64, PIXELS // self.generator.resolution**2))

    def autocast(self) -> torch.autocast:
        """bfloat16 for G and E_I, where the device is quicker with it."""
        kind = torch.device(self.device).type
        return torch.autocast(kind, torch.bfloat16, enabled=kind in ("cpu", "cuda"))

    @torch.inference_mode()
    def embed(self, w_plus: Tensor) -> Tensor:
        """E_I(G(w_plus)): (N,L,512) -> (N,D) unit vectors on the CPU, in batches."""
        rows = []
        for codes in w_plus.split(self.batch):
            with self.autocast():
                images = self.generator.synthesise(codes.to(self.device)).clamp(-1, 1)
            rows.append(self.clip.embed_images(images).cpu())
        self.evaluations += self.processes * len(w_plus)
        return torch.cat(rows)

    @torch.inference_mode()
    def pairs(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """z (N,512) standard normal -> E_I(G(w)) (N,D) and w (N,512), both on the CPU."""
        w = self.generator.map(z.to(self.device))
        return self.embed(self.generator.broadcast(w)), w.cpu()

    def embed_with_gradients(self, w_plus: Tensor, one_by_one: bool) -> Tensor:
        """As ``embed``, for training: (N,L,512) -> (N,D) on the device.

        one_by_one: keep the activations of no image; each is drawn again for its gradients, which
        bounds the memory by that of a single one.
        """
        self.evaluations += self.processes * len(w_plus)
        if not one_by_one:
            return self._look(w_plus)
        looks = [checkpoint(self._look, codes, use_reentrant=False) for codes in w_plus.split(1)]
        return torch.cat(looks)

    def state_dict(self) -> dict[str, int]:
        """What a resumed run goes on counting from."""
        return {"evaluations": self.evaluations}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Take over what ``state_dict`` gave."""
        self.evaluations = state["evaluations"]

    def _look(self, w_plus: Tensor) -> Tensor:
        """E_I(G(w_plus)): (N,L,512) -> (N,D), all in one batch."""
        with self.autocast():
            return self.clip.embed_images(self.generator.synthesise(w_plus))


def synthetic_pairs(
    embedder: ImageEmbedder, count: int, seed: int, tick: Tick, parts: Parts | None = None
) -> tuple[Tensor, Tensor]:
    """Draw w from the generator's mapping network and embed its images.

    The random numbers and the batches are the same whether the drawing was stopped or not, so a
    resumed drawing gives the very tensors of an unbroken one.

    Args:
        studio: Draws and embeds; its evaluations count images of kept parts, too.
        count: How many pairs.
        seed: Of the random numbers.
        tick: Told after each batch how many more pairs are done.
        parts: Where to keep what is ready; None to keep nothing.

    Returns:
        Embeddings (N,D) and codes w (N,512), float32 on the CPU.
    """
    rng = torch.Generator().manual_seed(seed)
    sizes = [min(embedder.batch, count - start) for start in range(0, count, embedder.batch)]
    batches = [torch.randn(size, 512, generator=rng) for size in sizes]

    def draw(batch: Tensor) -> tuple[Tensor, Tensor]:
        pair = embedder.pairs(batch)
        tick(len(batch))
        return pair

    before = embedder.evaluations
    embeddings, codes = _in_parts(batches, draw, embedder.batch, parts, tick)
    embedder.evaluations = before + embedder.processes * count
    return embeddings, codes


@torch.inference_mode()
def real_pairs(
    images: Sequence[Callable[[], Tensor]],
    embedder: ImageEmbedder,
    encoder: Encoder,
    content: float,
    tick: Tick,
    parts: Parts | None = None,
) -> tuple[Tensor, Tensor]:
    """Embed and invert real images.

    Args:
        images: Functions that each read one batch (B,3,R,R), values from -1 to 1.
        studio: Embeds.
        encoder: Inverts.
        content: The share of the images' height that holds the image.
        tick: Told after each batch how many more images are done.
        parts: Where to keep what is ready; None to keep nothing.

    Returns:
        Embeddings (M,D) and codes (M,L,512), float32 on the CPU.
    """

    def invert(read: Callable[[], Tensor]) -> tuple[Tensor, Tensor]:
        batch = read().to(embedder.device)
        codes = encoder(encoder_view(batch, encoder.input_size, content))
        tick(len(batch))
        return embedder.clip.embed_images(batch).cpu(), codes.float().cpu()

    return _in_parts(images, invert, REAL_BATCH, parts, tick)


def _in_parts(
    batches: Sequence[Batch],
    make: Callable[[Batch], tuple[Tensor, Tensor]],
    size: int,
    parts: Parts | None,
    tick: Tick,
) -> tuple[Tensor, Tensor]:
    """Embeddings and codes of all batches of ``size``, made in parts of about ``PART`` images."""
    each = max(1, PART // size)
    found = []
    for number, start in enumerate(range(0, len(batches), each)):
        made = False

        def make_part(some: Sequence[Batch] = batches[start : start + each]) -> dict[str, Tensor]:
            nonlocal made
            made = True
            embeddings, codes = zip(*(make(batch) for batch in some), strict=True)
            return {"embeddings": torch.cat(embeddings).clone(), "codes": torch.cat(codes).clone()}

        part = parts.get(number, make_part) if parts else make_part()
        if not made:
            tick(len(part["codes"]))
        found.append(part)
    return torch.cat([p["embeddings"] for p in found]), torch.cat([p["codes"] for p in found])


def encoder_view(images: Tensor, size: int, content: float) -> Tensor:
    """Crops (B,3,R,R) as the encoder reads them: without black borders, ``size`` pixels wide."""
    side = images.shape[-1]
    top = (side - round(side * content)) // 2
    return resize_tensor(images[:, :, top : side - top], (round(size * content), size))


def synthetic_bank(
    embedder: ImageEmbedder, count: int, seed: int, tick: Tick, parts: Parts | None = None
) -> Bank:
    """A bank without real images; arguments as those of ``synthetic_pairs``."""
    embeddings, w = synthetic_pairs(embedder, count, seed, tick, parts)
    no_codes = w.new_zeros(0, embedder.generator.levels, w.shape[1])
    return Bank(embeddings, w, embeddings[:0], no_codes)
