"""e4e: encoder for editing (Tov et al. 2021, arXiv 2102.02766).

An IR-SE trunk, a feature pyramid, and one small head per row of W+. The first head computes one w
for the whole image, every other head a small deviation of its row from this w. Small deviations
keep the latent code in the region where edits work. State-dict keys are those of the authors'
published encoder (omertov/encoder4editing).
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
    """Return the arguments of an ``Encoder`` for 128-pixel images, under 6 million parameters."""
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
    """Computes one row of W+: strided convolutions down to one pixel, then a linear layer."""

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
    """Encodes aligned images to W+.

    The buffer ``latent_avg`` (L,w_dim) is added to every latent code. It is not in the state dict
    and is zero until it is set.

    Args:
        levels: Rows L of W+.
        w_dim: Length of a row.
        input_size: Longer side of the images in pixels, a power of two.
        widths: Channels of the trunk's four stages; the default is IR-SE50.
        units: Residual units of the four stages; the default is IR-SE50.
        head_width: Channels inside the heads.
        first_head_width: Channels inside the head of row 0, which alone carries the whole latent
            code; None gives it ``head_width``.
        stem_stride: 2 halves the images in the first layer instead of in the first residual unit,
            which is much faster in small networks.
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
        """Size of the image divided by the size of the features that a head reads."""
        return 16 if row < COARSE else 8 if row < MEDIUM else 4

    def pyramid(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Images (B,3,H,W) -> coarse (B,C,H/16,W/16), medium (H/8) and fine (H/4) features."""
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

    def forward(self, images: Tensor) -> Tensor:
        """Images (B,3,H,W) in [-1,1] -> w_plus (B,L,w_dim) float32.

        Images whose longer side is not ``input_size`` are resized to it.
        """
        coarse, medium, fine = self.pyramid(fit_side(images, self.input_size))
        base = self.styles[0](coarse)  # (B,w_dim)
        rows = [base]
        for row in range(1, self.levels):
            features = coarse if row < COARSE else medium if row < MEDIUM else fine
            rows.append(base + self.styles[row](features))
        return torch.stack(rows, dim=1) + self.latent_avg.float()


def enlarge(x: Tensor, like: Tensor) -> Tensor:
    """Resize x (B,C,H,W) bilinearly to the size of ``like`` (B,C,H',W'), with aligned corners."""
    return F.interpolate(x, size=like.shape[2:], mode="bilinear", align_corners=True)
