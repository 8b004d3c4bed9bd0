"""StyleGAN2's residual discriminator (Karras et al. 2020), with its features at hand.

One simplification: the shortcuts average 2 x 2 pixels in place of a wider low-pass filter, whose
gradient is slow on a CPU.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tmsa_core.networks.stylegan2 import GAIN, SLOPE, EqualLinear, channels_at, fir_kernel

ROOT_HALF = math.sqrt(0.5)


class EqualConv(nn.Module):
    """Convolution with equalised learning rate, bias and leaky ReLU.

    ``gain`` multiplies the result; it goes into the weights, where it costs nothing, because the
    activation is homogeneous. With ``down`` the layer low-passes and then takes every other pixel.
    """

    def __init__(
        self, inputs: int, outputs: int, size: int, down: bool = False, gain: float = GAIN
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, size, size))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.scale = gain / math.sqrt(inputs * size * size)
        self.gain = gain
        self.down = down
        if down:
            self.register_buffer("kernel", fir_kernel(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B,in,H,W) -> (B,out,H,W), half as large if ``down``."""
        weight, bias = self.weight * self.scale, self.bias * self.gain
        if self.down:
            channels = x.shape[1]
            kernel = self.kernel.to(x.dtype).expand(channels, 1, 4, 4)
            x = F.conv2d(x, kernel, padding=2, groups=channels)
            y = F.conv2d(x, weight, bias, stride=2)
        else:
            y = F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2)
        return F.leaky_relu_(y, SLOPE)


class Shortcut(nn.Module):
    """The linear way around two convolutions: averages 2 x 2 pixels, mixes channels."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 1, 1))
        self.scale = ROOT_HALF / math.sqrt(inputs)

    def forward(self, x: Tensor) -> Tensor:
        """(B,in,H,W) -> (B,out,H/2,W/2)."""
        return F.conv2d(F.avg_pool2d(x, 2), self.weight * self.scale)


class ResidualBlock(nn.Module):
    """Two convolutions beside a shortcut, of unit variance together; halves the image."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = EqualConv(inputs, inputs, 3)
        self.conv2 = EqualConv(inputs, outputs, 3, down=True, gain=GAIN * ROOT_HALF)
        self.skip = Shortcut(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(B,in,H,W) -> (B,out,H/2,W/2)."""
        return self.conv2(self.conv1(x)) + self.skip(x)


def minibatch_deviation(x: Tensor, group: int = 4) -> Tensor:
    """How much the images of a batch differ, as one more channel: (B,C,H,W) -> (B,C+1,H,W).

    The batch is split into groups of ``group`` images (of fewer where it does not divide).
    """
    batch, channels, height, width = x.shape
    size = math.gcd(batch, group)
    grouped = x.float().reshape(size, batch // size, channels, height, width)
    variance = grouped.var(dim=0, unbiased=False)
    deviation = (variance + 1e-8).sqrt().mean(dim=(1, 2, 3))  # one number per group
    plane = deviation.repeat(size)[:, None, None, None].expand(batch, 1, height, width)
    return torch.cat([x, plane.to(x.dtype)], dim=1)


class Discriminator(nn.Module):
    """Images to realness: the higher, the more real. Channels are those of ``Generator``."""

    def __init__(
        self, resolution: int, channel_multiplier: float = 2, channel_max: int = 512
    ) -> None:
        super().__init__()
        sides = [2**i for i in range(int(math.log2(resolution)), 1, -1)]
        widths = [channels_at(side, channel_multiplier, channel_max) for side in sides]
        last = widths[-1]
        self.from_rgb = EqualConv(3, widths[0], 1)
        self.blocks = nn.ModuleList(ResidualBlock(a, b) for a, b in pairwise(widths))
        self.final_conv = EqualConv(last + 1, last, 3)
        self.final_linear = EqualLinear(last * 16, last, activation=True)
        self.judge = EqualLinear(last, 1)

    def features(self, images: Tensor) -> list[Tensor]:
        """images (B,3,R,R) in [-1,1] -> every block's output, (B,C,R/2,R/2) to (B,C,4,4)."""
        x = self.from_rgb(images.contiguous(memory_format=torch.channels_last))
        outputs = []
        for block in self.blocks:
            x = block(x)
            outputs.append(x)
        return outputs

    def judged(self, last: Tensor) -> Tensor:
        """The last of the features, (B,C,4,4) -> realness (B,1)."""
        x = self.final_conv(minibatch_deviation(last))
        return self.judge(self.final_linear(x.flatten(1)))

    def forward(self, images: Tensor) -> Tensor:
        """images (B,3,R,R) in [-1,1] -> realness (B,1)."""
        return self.judged(self.features(images)[-1])
