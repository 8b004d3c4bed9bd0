"""IR-SE: residual units with squeeze and excitation, the trunk of ArcFace and of e4e.

The improved residual unit is from ArcFace (Deng et al. 2019, section 3.2.2), squeeze and
excitation from Hu et al. 2018. With ``WIDTHS`` and ``UNITS`` the trunk is IR-SE50, and its
state-dict keys are those of the public checkpoints.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from tmsa_core.networks.fused_ops import channelwise_prelu

WIDTHS = (64, 128, 256, 512)  # channels of IR-SE50's four stages
UNITS = (3, 4, 14, 3)  # residual units of the four stages


class ChannelSlopes(nn.PReLU):
    """PReLU with one slope per channel, computed in the dtype of its input."""

    def forward(self, x: Tensor) -> Tensor:
        """(B,C,H,W) -> (B,C,H,W)."""
        return channelwise_prelu(x, self.weight)


class SqueezeExcite(nn.Module):
    """Weights each channel by a function of all channels' means."""

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        hidden = max(4, channels // reduction)
        self.fc1 = nn.Conv2d(channels, hidden, 1, bias=False)
        self.fc2 = nn.Conv2d(hidden, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B,C,H,W) -> (B,C,H,W)."""
        gate = self.fc2(F.relu(self.fc1(x.mean(dim=(2, 3), keepdim=True)))).sigmoid()
        return x * gate.to(x.dtype)


class Subsample(nn.Module):
    """Keeps every ``stride``-th pixel; the shortcut between layers of equal width."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """(B,C,H,W) -> (B,C,H/stride,W/stride)."""
        return F.max_pool2d(x, 1, self.stride) if self.stride > 1 else x


def convolution(inputs: int, outputs: int, size: int = 3, stride: int = 1) -> nn.Conv2d:
    """Build a convolution without bias, padded to keep the size apart from the stride."""
    return nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, bias=False)


class Unit(nn.Module):
    """Residual unit: shortcut + residual, without activation after the sum.

    Args:
        inputs: Channels of the input.
        outputs: Channels of the output.
        stride: Stride of the second convolution.
        squeeze: Whether the residual ends with squeeze and excitation (IR-SE) or not (IR).
    """

    def __init__(self, inputs: int, outputs: int, stride: int, squeeze: bool = True) -> None:
        super().__init__()
        self.shortcut_layer = (
            Subsample(stride)
            if inputs == outputs
            else nn.Sequential(convolution(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))
        )
        layers = [
            nn.BatchNorm2d(inputs),
            convolution(inputs, outputs),
            ChannelSlopes(outputs, init=0.25),
            convolution(outputs, outputs, stride=stride),
            nn.BatchNorm2d(outputs),
        ]
        if squeeze:
            layers.append(SqueezeExcite(outputs))
        self.res_layer = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """(B,inputs,H,W) -> (B,outputs,H/stride,W/stride)."""
        return self.shortcut_layer(x) + self.res_layer(x)


def stem(width: int, stride: int = 1, inputs: int = 3) -> nn.Sequential:
    """Build the first layer: (B,inputs,H,W) -> (B,width,H/stride,W/stride)."""
    return nn.Sequential(
        convolution(inputs, width, stride=stride), nn.BatchNorm2d(width), ChannelSlopes(width)
    )


def body(widths: Sequence[int], units: Sequence[int], first_stride: int = 2) -> nn.Sequential:
    """Build the trunk's stages; each halves the size, the first divides it by ``first_stride``."""
    blocks = []
    inputs = widths[0]
    for stage, (width, count) in enumerate(zip(widths, units, strict=True)):
        stride = first_stride if stage == 0 else 2
        blocks.append(Unit(inputs, width, stride))
        blocks.extend(Unit(width, width, 1) for _ in range(count - 1))
        inputs = width
    return nn.Sequential(*blocks)
