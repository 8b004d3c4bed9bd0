"""TMSA's mapping network M: maps a CLIP embedding to StyleGAN2's W+.

"Towards Arbitrary Text-driven Image Manipulation via Space Alignment" (arXiv 2301.10670),
section 3. L small fully connected networks, one for each row of W+, read the same embedding. Each
is a linear path, which a closed form can set, plus a nonlinear path with hidden layers. All L run
as one batched matrix product per layer.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class LevelLinear(nn.Module):
    """One linear layer for each of L levels."""

    def __init__(self, levels: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(levels, inputs, outputs) / math.sqrt(inputs))
        self.bias = nn.Parameter(torch.zeros(levels, 1, outputs))

    def forward(self, x: Tensor) -> Tensor:
        """(L,B,inputs) -> (L,B,outputs)."""
        return torch.baddbmm(self.bias, x, self.weight)


class Mapper(nn.Module):
    """The mapping network M from CLIP embeddings to W+.

    Buffers set before training:
        ``clip_mean`` (clip_dim,) is subtracted from the unit embedding and the result divided by
        ``clip_spread`` (), so that the networks' inputs are centred with about unit variance.
        ``latent_avg`` (L,w_dim) is added to the output.
    Buffers set after training:
        ``gap`` (clip_dim,) is the mean image embedding minus the mean text embedding.
        ``shift_length`` () is the calibrated length of a shift; zero keeps the raw difference.
        ``reference_embeddings`` (K,clip_dim) are unit embeddings of K reference images, and
        ``reference_codes`` (K,w_dim) the latent codes of these images.

    Args:
        levels: Rows L of W+.
        hidden: Widths of the hidden layers next to the linear path; empty for none.
        clip_dim: Length of CLIP's embeddings.
        w_dim: Length of a row of W+.
        references: Number K of reference images.
    """

    clip_mean: Tensor
    clip_spread: Tensor
    latent_avg: Tensor
    gap: Tensor
    shift_length: Tensor
    reference_embeddings: Tensor
    reference_codes: Tensor

    def __init__(
        self,
        levels: int,
        hidden: tuple[int, ...] = (256,),
        clip_dim: int = 512,
        w_dim: int = 512,
        references: int = 0,
    ) -> None:
        super().__init__()
        widths = (clip_dim, *hidden, w_dim)
        self.linear = LevelLinear(levels, clip_dim, w_dim)
        pairs = pairwise(widths) if hidden else ()
        self.layers = nn.ModuleList(LevelLinear(levels, a, b) for a, b in pairs)
        self.levels = levels
        self.hidden = hidden
        self.register_buffer("clip_mean", torch.zeros(clip_dim))
        self.register_buffer("clip_spread", torch.full((), 1 / math.sqrt(clip_dim)))
        self.register_buffer("latent_avg", torch.zeros(levels, w_dim))
        self.register_buffer("gap", torch.zeros(clip_dim))
        self.register_buffer("shift_length", torch.zeros(()))
        if references:
            self.set_references(torch.zeros(references, clip_dim), torch.zeros(references, w_dim))

    @property
    def references(self) -> int:
        """Number K of reference images."""
        return len(self.reference_codes) if "reference_codes" in self._buffers else 0

    def set_references(self, embeddings: Tensor, codes: Tensor) -> None:
        """Store reference images: unit embeddings (K,clip_dim) and latent codes (K,w_dim)."""
        self.register_buffer("reference_embeddings", embeddings.clone())
        self.register_buffer("reference_codes", codes.clone())

    def architecture(self) -> dict[str, object]:
        """Return the constructor's arguments, for the weights file."""
        levels, clip_dim, w_dim = self.linear.weight.shape
        return {
            "levels": levels,
            "hidden": list(self.hidden),
            "clip_dim": clip_dim,
            "w_dim": w_dim,
            "references": self.references,
        }

    def forward(self, embedding: Tensor) -> Tensor:
        """Image embeddings (B,clip_dim) of any length -> w_plus (B,L,w_dim)."""
        return self.from_point(F.normalize(embedding, dim=1))

    def from_text(self, embedding: Tensor) -> Tensor:
        """Text embeddings (B,clip_dim), moved by the gap to the images' -> w_plus (B,L,w_dim)."""
        return self.from_point(F.normalize(embedding, dim=1) + self.gap)

    def from_point(self, x: Tensor) -> Tensor:
        """Points of CLIP's space (B,clip_dim), not normalised -> w_plus (B,L,w_dim)."""
        x = ((x - self.clip_mean) / self.clip_spread).to(self.linear.weight.dtype)
        x = x.expand(self.levels, -1, -1)  # (L,B,clip_dim)
        w_plus = self.linear(x)
        for i, layer in enumerate(self.layers):
            x = layer(x)
            if i + 1 < len(self.layers):
                x = F.leaky_relu(x, 0.2)
        if self.layers:
            w_plus = w_plus + x
        return w_plus.transpose(0, 1) + self.latent_avg  # (B,L,w_dim)
