"""e4e: encoder for editing (Tov et al. 2021, arXiv 2102.02766).

An IR-SE trunk, a feature pyramid on it, and one small head per W+ row. The first head finds one w
for the whole image, every other head a small deviation of its row from it; small deviations keep
the code where the generator can be edited.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tmsa_core.imaging.resize import fit_side
from tmsa_core.networks.irse import UNITS, WIDTHS, body, stem
from tmsa_core.networks.stylegan2 import EqualLinear

COARSE, MEDIUM = 3, 7  # heads 0-2 read the coarse features, 3-6 the medium, the rest the fine
SLOPE = 0.01


def avatar_architecture(levels: int) -> dict[str, Any]:
    """Arguments of a small ``Encoder`` for 128-pixel images, about 6 million parameters."""
    return {
        "levels": levels,
        "input_size": 128,
        "widths": [32, 64, 96, 128],
        "units": [1, 1, 2, 1],
        "head_width": 64,
        "first_head_width": 320,
        "stem_stride": 2,
    }


class Head(nn.Module):
    """Features to one row of W+: strided convolutions down to one pixel, then a linear layer."""

    def __init__(self, inputs: int, width: int, outputs: int, side: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(int(math.log2(side))):
            layers += [nn.Conv2d(inputs, width, 3, stride=2, padding=1), nn.LeakyReLU(SLOPE)]
            inputs = width
        self.convs = nn.Sequential(*layers)
        self.linear = EqualLinear(width, outputs)

    def forward(self, features: Tensor) -> Tensor:
        """(B,inputs,side,side) -> (B,outputs) float32."""
        return self.linear(self.convs(features).flatten(1))


class Encoder(nn.Module):
    """Aligned images to W+.

    levels: rows L of W+. input_size: the longer side of the images, a power of two. widths, units:
    channels and residual units of the trunk's four stages; the defaults are IR-SE50. head_width:
    channels inside the heads. first_head_width: the same for row 0, which carries the whole code
    where the other rows add deltas; by default like the others. stem_stride: 2 halves the
    images in the first layer instead of in the first residual unit, much faster for small
    networks. ``latent_avg`` (L,w_dim) is added to every code; it is no part of the state dict, and
    zero until somebody sets it.
    """

    latent_avg: Tensor

    def __init__(
        self,
        levels: int,
        w_dim: int = 512,
        input_size: int = 256,
        widths: Sequence[int] = WIDTHS,
        units: Sequence[int] = UNITS,
        head_width: int = 512,
        first_head_width: int | None = None,
        stem_stride: int = 1,
    ) -> None:
        super().__init__()
        self.levels = levels
        self.input_size = input_size
        self.input_layer = stem(widths[0], stem_stride)
        self.body = body(widths, units, first_stride=2 // stem_stride)
        self.taps = (sum(units[:2]) - 1, sum(units[:3]) - 1)  # the last units of stages 2 and 3
        features = widths[3]
        self.latlayer1 = nn.Conv2d(widths[2], features, 1)
        self.latlayer2 = nn.Conv2d(widths[1], features, 1)
        self.styles = nn.ModuleList(
            Head(
                features,
                head_width if row else first_head_width or head_width,
                w_dim,
                input_size // self._reduction(row),
            )
            for row in range(levels)
        )
        self.register_buffer("latent_avg", torch.zeros(levels, w_dim), persistent=False)

    @staticmethod
    def _reduction(row: int) -> int:
        """How much smaller than the image the features of a head are."""
        return 16 if row < COARSE else 8 if row < MEDIUM else 4

    def pyramid(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """images (B,3,H,W) -> coarse, medium and fine features at 1/16, 1/8 and 1/4 of the size."""
        dtype = self.latlayer1.weight.dtype
        x = self.input_layer(images.to(dtype, memory_format=torch.channels_last))
        taps = []
        for i, unit in enumerate(self.body):
            x = unit(x)
            if i in self.taps:
                taps.append(x)
        fine, medium = taps
        medium = enlarge(x, medium) + self.latlayer1(medium)
        fine = enlarge(medium, fine) + self.latlayer2(fine)
        return x, medium, fine

    def forward(self, images: Tensor, stage: int | None = None) -> Tensor:
        """images (B,3,H,W) in [-1,1] -> w_plus (B,L,w_dim).

        Images whose longer side is not ``input_size`` are brought to it. stage: with s only rows 1
        to s get deviations of their own, as in progressive training (section 3.3 of the paper);
        None gives all of them.
        """
        coarse, medium, fine = self.pyramid(fit_side(images, self.input_size))
        base = self.styles[0](coarse)  # (B,w_dim)
        last = self.levels - 1 if stage is None else min(stage, self.levels - 1)
        rows = [base]
        for row in range(1, self.levels):
            features = coarse if row < COARSE else medium if row < MEDIUM else fine
            rows.append(base + self.styles[row](features) if row <= last else base)
        return torch.stack(rows, dim=1) + self.latent_avg.float()


def enlarge(x: Tensor, like: Tensor) -> Tensor:
    """Bilinear to the size of ``like``, corner pixels on corner pixels."""
    return F.interpolate(x, size=like.shape[2:], mode="bilinear", align_corners=True)
