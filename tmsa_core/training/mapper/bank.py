"""Banks of pairs that the alignment learns from: CLIP embeddings and latent codes.

Synthetic pairs (E_I(G(w)), w) need the generator only; real pairs (E_I(I), e4e(I)) need images.
Every synthesised image is counted, since generator evaluations are the cost of an alignment.
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
from tmsa_core.progress import Progress
from tmsa_core.training.mapper.cache import Parts

Batch = TypeVar("Batch")

PART = 256  # images that are saved together: a stopped computation loses about as many
REAL_BATCH = 64  # real images that are read together
MESSAGE = "Sampling and embedding images"  # of progress reports
PIXELS = 2**23  # pixels of a batch; 64 portraits of 128 pixels stay well below


@dataclass(frozen=True)
class Bank:
    """Pairs of CLIP embeddings and latent codes. M, the number of real images, may be 0.

    Attributes:
        synthetic: Embeddings (N,D) of synthetic images.
        w: Their codes (N,512).
        real: Embeddings (M,D) of real images.
        inverted: Their e4e codes (M,L,512).
    """

    synthetic: Tensor
    w: Tensor
    real: Tensor
    inverted: Tensor

    @classmethod
    def without_images(cls, synthetic: Tensor, w: Tensor, levels: int) -> Bank:
        """A bank of synthetic pairs only: embeddings (N,D), codes (N,512), L levels."""
        return cls(synthetic, w, synthetic[:0], w.new_zeros(0, levels, w.shape[1]))

    @property
    def levels(self) -> int:
        """Number L of levels of W+."""
        return self.inverted.shape[1]

    @property
    def embeddings(self) -> Tensor:
        """Embeddings (N or M,D) of real images if there are any, otherwise of synthetic ones."""
        return self.real if len(self.real) else self.synthetic

    def spread(self) -> float:
        """Root mean square distance of w from its mean."""
        return float((self.w - self.w.mean(dim=0)).square().sum(dim=1).mean().sqrt())

    def subjects(self, count: int) -> Tensor:
        """Up to ``count`` codes (N,L,512) to try edits on, of real images if there are any."""
        if len(self.inverted):
            return self.inverted[:count]
        return self.w[:count, None].expand(-1, self.levels, -1)


@dataclass
class ImageEmbedder:
    """The generator G followed by CLIP's image encoder E_I, with a count of evaluations.

    Attributes:
        generator: G.
        clip: CLIP.
        device: Device of both.
        processes: Number of processes that do the same; each image counts as often.
        evaluations: Generator evaluations so far.
    """

    generator: Generator
    clip: Clip
    device: str = "cpu"
    processes: int = 1
    evaluations: int = 0

    @property
    def batch(self) -> int:
        """Number of images that are synthesised together."""
        return max(1, min(64, PIXELS // self.generator.resolution**2))

    def autocast(self) -> torch.autocast:
        """Context in which G and E_I use bfloat16, on devices where that is faster."""
        kind = torch.device(self.device).type
        return torch.autocast(kind, torch.bfloat16, enabled=kind in ("cpu", "cuda"))

    @torch.inference_mode()
    def embed(self, w_plus: Tensor) -> Tensor:
        """E_I(G(w_plus)): (N,L,512) -> unit vectors (N,D) on the CPU, in batches."""
        rows = []
        for codes in w_plus.split(self.batch):
            with self.autocast():
                images = self.generator.synthesise(codes.to(self.device)).clamp(-1, 1)
            rows.append(self.clip.embed_images(images).cpu())
        self.evaluations += self.processes * len(w_plus)
        return torch.cat(rows)

    @torch.inference_mode()
    def pairs(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Standard normal z (N,512) -> E_I(G(w)) (N,D) and w (N,512), both on the CPU."""
        w = self.generator.map(z.to(self.device))
        return self.embed(self.generator.broadcast(w)), w.cpu()

    def embed_with_gradients(self, w_plus: Tensor, one_by_one: bool) -> Tensor:
        """E_I(G(w_plus)) for training: (N,L,512) -> (N,D) on the device.

        Args:
            w_plus: Codes (N,L,512).
            one_by_one: Recompute each image for its gradients instead of storing activations, so
                that the memory for a single image suffices.
        """
        self.evaluations += self.processes * len(w_plus)
        if not one_by_one:
            return self._embed_batch(w_plus)
        rows = [checkpoint(self._embed_batch, w, use_reentrant=False) for w in w_plus.split(1)]
        return torch.cat(rows)

    def state_dict(self) -> dict[str, int]:
        """The count, for a checkpoint."""
        return {"evaluations": self.evaluations}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Restore the count from a checkpoint."""
        self.evaluations = state["evaluations"]

    def _embed_batch(self, w_plus: Tensor) -> Tensor:
        """E_I(G(w_plus)): (N,L,512) -> (N,D), in one batch."""
        with self.autocast():
            return self.clip.embed_images(self.generator.synthesise(w_plus))


def synthetic_pairs(
    embedder: ImageEmbedder, count: int, seed: int, progress: Progress, parts: Parts | None = None
) -> tuple[Tensor, Tensor]:
    """Sample w from the generator's mapping network and embed its images.

    A resumed call gives exactly the tensors of an uninterrupted one, since random numbers and
    batches do not depend on where it stopped.

    Args:
        embedder: Synthesises and embeds; its evaluations also count images of saved parts.
        count: Number of pairs.
        seed: Seed of the random numbers.
        progress: Called after each batch with the number of finished pairs.
        parts: Saves finished parts; None to save nothing.

    Returns:
        Embeddings (N,D) and codes w (N,512), float32 on the CPU.
    """
    rng = torch.Generator().manual_seed(seed)
    sizes = [min(embedder.batch, count - start) for start in range(0, count, embedder.batch)]
    batches = [torch.randn(size, 512, generator=rng) for size in sizes]
    before = embedder.evaluations
    pairs = _in_parts(batches, embedder.pairs, embedder.batch, count, parts, progress)
    embedder.evaluations = before + embedder.processes * count
    return pairs


@torch.inference_mode()
def real_pairs(
    images: Sequence[Callable[[], Tensor]],
    embedder: ImageEmbedder,
    encoder: Encoder,
    content: float,
    progress: Progress,
    parts: Parts | None = None,
) -> tuple[Tensor, Tensor]:
    """Embed and invert real images.

    Args:
        images: Functions that each read one batch (B,3,R,R) in [-1, 1].
        embedder: Embeds.
        encoder: Inverts.
        content: Share of the image's height without its black borders.
        progress: Called after each batch with the number of finished images.
        parts: Saves finished parts; None to save nothing.

    Returns:
        Embeddings (M,D) and codes (M,L,512), float32 on the CPU.
    """

    def invert(read: Callable[[], Tensor]) -> tuple[Tensor, Tensor]:
        batch = read().to(embedder.device)
        codes = encoder(encoder_view(batch, encoder.input_size, content))
        return embedder.clip.embed_images(batch).cpu(), codes.float().cpu()

    count = REAL_BATCH * len(images)  # the last batch may have fewer
    return _in_parts(images, invert, REAL_BATCH, count, parts, progress)


def _in_parts(
    batches: Sequence[Batch],
    make: Callable[[Batch], tuple[Tensor, Tensor]],
    size: int,
    total: int,
    parts: Parts | None,
    progress: Progress,
) -> tuple[Tensor, Tensor]:
    """Embeddings and codes of ``total`` images in batches of ``size``, in parts of ``PART``."""
    each = max(1, PART // size)
    found, done = [], 0
    for number, start in enumerate(range(0, len(batches), each)):
        part = parts.load(number) if parts else None
        if part is not None:
            done += len(part["codes"])
            progress(done, total, MESSAGE)
        else:
            pairs = []
            for batch in batches[start : start + each]:
                pairs.append(make(batch))
                done += len(pairs[-1][1])
                progress(done, total, MESSAGE)
            embeddings, codes = (torch.cat(column) for column in zip(*pairs, strict=True))
            part = {"embeddings": embeddings, "codes": codes}
            if parts:
                parts.save(number, part)
        found.append(part)
    return torch.cat([p["embeddings"] for p in found]), torch.cat([p["codes"] for p in found])


def encoder_view(images: Tensor, size: int, content: float) -> Tensor:
    """Crops (B,3,R,R) as the encoder reads them: (B,3,size*content,size), no black borders."""
    side = images.shape[-1]
    top = (side - round(side * content)) // 2
    return resize_tensor(images[:, :, top : side - top], (round(size * content), size))


def synthetic_bank(
    embedder: ImageEmbedder, count: int, seed: int, progress: Progress, parts: Parts | None = None
) -> Bank:
    """A bank without real images; the arguments are those of ``synthetic_pairs``."""
    embeddings, w = synthetic_pairs(embedder, count, seed, progress, parts)
    return Bank.without_images(embeddings, w, embedder.generator.levels)
