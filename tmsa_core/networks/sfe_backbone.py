"""The backbone of StyleFeatureEditor (Bobkov et al. 2024, arXiv 2406.10601).

InsightFace's plain IResNet-50 (Deng et al. 2019) in two changed parts: its third stage keeps the
size, and heads replace its last layers. They read the means of all stages and compute the rows of
W+; a small branch after the third stage guesses the generator's features. State-dict keys are
those of the authors' published network.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tmsa_core.networks.irse import ChannelSlopes, convolution, stem

WIDTHS = (64, 128, 256, 512)  # channels of the four published stages
UNITS = (3, 4, 14, 3)  # their residual units
STRIDES = (2, 2, 1, 2)  # of their first units
WINDOWS = 3  # windows each way over which a stage is averaged


class PlainUnit(nn.Module):
    """Residual unit of IResNet: shortcut + residual, without activation after the sum.

    Args:
        inputs: Channels of the input.
        outputs: Channels of the output.
        stride: Stride of the second convolution.
        first: Whether it is the first unit of a stage, whose shortcut is a convolution.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, first: bool) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = convolution(inputs, outputs)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.prelu = ChannelSlopes(outputs)
        self.conv2 = convolution(outputs, outputs, stride=stride)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample = (
            nn.Sequential(convolution(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))
            if first
            else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B,inputs,H,W) -> (B,outputs,H/stride,W/stride)."""
        y = self.prelu(self.bn2(self.conv1(self.bn1(x))))
        return self.downsample(x) + self.bn3(self.conv2(y))


def stage(inputs: int, outputs: int, stride: int, units: int) -> nn.Sequential:
    """Build one stage: (B,inputs,H,W) -> (B,outputs,H/stride,W/stride)."""
    first = PlainUnit(inputs, outputs, stride, first=True)
    return nn.Sequential(first, *(PlainUnit(outputs, outputs, 1, False) for _ in range(units - 1)))


class Backbone(nn.Module):
    """Computes the rows of W+, without the mean code, and a guess of the generator's features.

    The defaults are those of the published network.

    Args:
        levels: Rows L of W+.
        w_dim: Length of a row.
        channels: The generator's channels at the resolution of the features.
        widths: Channels of the four stages.
        units: Residual units of the four stages.
        strides: Strides of the four stages.
        heads: Whether rows are computed; otherwise the fourth stage and the heads are left out.
    """

    def __init__(
        self,
        levels: int = 18,
        w_dim: int = 512,
        channels: int = 512,
        widths: Sequence[int] = WIDTHS,
        units: Sequence[int] = UNITS,
        strides: Sequence[int] = STRIDES,
        heads: bool = True,
    ) -> None:
        super().__init__()
        self.conv = stem(widths[0])
        inputs = (widths[0], *widths[:-1])
        blocks = [stage(*sizes) for sizes in zip(inputs, widths, strides, units, strict=True)]
        self.block_1, self.block_2, self.block_3 = blocks[:3]
        self.block_4 = blocks[3] if heads else None
        self.content_layer = nn.Sequential(
            nn.BatchNorm2d(widths[2]),
            convolution(widths[2], channels),
            nn.BatchNorm2d(channels),
            ChannelSlopes(channels),
            convolution(channels, channels),
            nn.BatchNorm2d(channels),
        )
        means = WINDOWS**2 * sum(widths)
        count = levels if heads else 0
        self.styles = nn.ModuleList(nn.Linear(means, w_dim) for _ in range(count))

    def forward(self, images: Tensor) -> tuple[Tensor | None, Tensor]:
        """Compute codes and features.

        Args:
            images: (B,3,S,S) in [-1,1].

        Returns:
            Rows (B,L,w_dim) float32, None without heads, and features (B,channels,S/4,S/4), for
            the published strides.
        """
        dtype = next(self.conv.parameters()).dtype
        x = self.conv(images.to(dtype, memory_format=torch.channels_last))
        shallow = self.block_1(x)
        middle = self.block_2(shallow)
        deep = self.block_3(middle)
        features = self.content_layer(deep)
        if self.block_4 is None:
            return None, features
        outputs = (shallow, middle, deep, self.block_4(deep))
        means = torch.cat([F.adaptive_avg_pool2d(y, WINDOWS) for y in outputs], dim=1).flatten(1)
        return torch.stack([head(means).float() for head in self.styles], dim=1), features
