"""Banks of pairs that the alignment learns from: CLIP embeddings beside latent codes.

Synthetic pairs (E_I(G(w)), w) come from the generator alone; real pairs (E_I(I), e4e(I)) need
images. Every draw is counted, since generator evaluations are what an alignment costs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from tmsa_core.images import resize_tensor
from tmsa_core.networks.clip import Clip
from tmsa_core.networks.e4e import Encoder
from tmsa_core.networks.stylegan2 import Generator

Tick = Callable[[int], None]
"""Told how many more images are done."""

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
class Studio:
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


def synthetic_pairs(studio: Studio, count: int, seed: int, tick: Tick) -> tuple[Tensor, Tensor]:
    """Draw w from the generator's mapping network and embed its images: (N,D), (N,512)."""
    rng = torch.Generator().manual_seed(seed)
    rows = []
    for start in range(0, count, studio.batch):
        rows.append(studio.pairs(torch.randn(min(studio.batch, count - start), 512, generator=rng)))
        tick(len(rows[-1][1]))
    embeddings, codes = zip(*rows, strict=True)
    return torch.cat(embeddings).clone(), torch.cat(codes).clone()


@torch.inference_mode()
def real_pairs(
    images: Iterable[Tensor], studio: Studio, encoder: Encoder, content: float, tick: Tick
) -> tuple[Tensor, Tensor]:
    """Embed and invert batches of real images (B,3,R,R): (M,D), (M,L,512).

    content: the share of their height that holds the picture.
    """
    rows = []
    for batch in images:
        batch = batch.to(studio.device)
        codes = encoder(encoder_view(batch, encoder.input_size, content))
        rows.append((studio.clip.embed_images(batch).cpu(), codes.float().cpu()))
        tick(len(batch))
    embeddings, codes = zip(*rows, strict=True)
    return torch.cat(embeddings).clone(), torch.cat(codes).clone()


def encoder_view(images: Tensor, size: int, content: float) -> Tensor:
    """Crops (B,3,R,R) as the encoder reads them: without black borders, ``size`` pixels wide."""
    side = images.shape[-1]
    top = (side - round(side * content)) // 2
    return resize_tensor(images[:, :, top : side - top], (round(size * content), size))


def synthetic_bank(studio: Studio, count: int, seed: int, tick: Tick) -> Bank:
    """A bank without real images."""
    embeddings, w = synthetic_pairs(studio, count, seed, tick)
    no_codes = w.new_zeros(0, studio.generator.levels, w.shape[1])
    return Bank(embeddings, w, embeddings[:0], no_codes)
