"""Per-channel operations between convolutions, with backward passes that access little memory.

Between its convolutions a StyleGAN2 layer scales, shifts and activates each channel. On a CPU
these steps cost as much as the convolutions, mostly in automatic differentiation's sums over
pixels. Here each sum is a matrix product with a row of ones, several times faster in bfloat16.
Tensors should lie in channels-last memory. Second derivatives are not available.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

SLOPE = 0.2  # of StyleGAN2's leaky ReLU


def per_channel(values: Tensor, like: Tensor) -> Tensor:
    """Values (B,C) -> (B,C,1,1) in the dtype of ``like``."""
    return values.to(like.dtype)[:, :, None, None]


def pixels(x: Tensor) -> Tensor:
    """(B,C,H,W) -> (B,H*W,C), a view if the memory is channels-last."""
    return x.permute(0, 2, 3, 1).flatten(1, 2)


def ones_row(x: Tensor) -> Tensor:
    """Ones (B,1,H*W) for x (B,C,H,W); their product with ``pixels(x)`` sums over pixels."""
    return x.new_ones(1, 1, x.shape[2] * x.shape[3]).expand(x.shape[0], -1, -1)


def sum_pixels(x: Tensor) -> Tensor:
    """(B,C,H,W) -> (B,C) float32, the sum over all pixels."""
    return torch.bmm(ones_row(x), pixels(x))[:, 0].float()


class _Scale(torch.autograd.Function):
    """Computes x (B,C,H,W) times style (B,C)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, style: Tensor) -> Tensor:
        ctx.save_for_backward(x, style)
        return x * per_channel(style, x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, style = ctx.saved_tensors
        to_style = sum_pixels(grad * x) if ctx.needs_input_grad[1] else None
        to_x = grad * per_channel(style, grad) if ctx.needs_input_grad[0] else None
        return to_x, to_style


class _ScaleShiftActivate(torch.autograd.Function):
    """Leaky ReLU of x (B,C,H,W) * gain (B,C) + bias (C,) + strength (1,) * noise (B or 1,1,H,W)."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, gain: Tensor, bias: Tensor, strength: Tensor, noise: Tensor | None
    ) -> Tensor:
        offset = bias[None, :, None, None]
        if noise is not None:
            offset = offset + noise * strength  # (B or 1,C,H,W)
        # the first operand decides the memory layout of the result
        offset = offset.to(x.dtype, memory_format=torch.channels_last)
        y = F.leaky_relu_(torch.addcmul(offset, x, per_channel(gain, x)), SLOPE)
        ctx.save_for_backward(x, gain, y, noise)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, gain, y, noise = ctx.saved_tensors
        _, wants_gain, wants_bias, wants_strength, _ = ctx.needs_input_grad
        grad = torch.ops.aten.leaky_relu_backward(grad, y, SLOPE, True)
        to_gain = sum_pixels(grad * x) if wants_gain else None
        to_bias = to_strength = None
        if wants_bias or wants_strength:
            rows = ones_row(grad)
            if noise is not None:
                weights = noise.flatten(1).to(grad.dtype)[:, None]  # (B or 1,1,H*W)
                rows = torch.cat([rows, weights.expand_as(rows)], dim=1)
            sums = torch.bmm(rows, pixels(grad)).float().sum(dim=0)  # (1 or 2,C)
            to_bias = sums[0]
            to_strength = sums[1].sum()[None] if noise is not None else None
        return grad.mul_(per_channel(gain, grad)), to_gain, to_bias, to_strength, None


class _ChannelwisePrelu(torch.autograd.Function):
    """PReLU of x (B,C,H,W) by slopes (C,)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, slopes: Tensor) -> Tensor:
        ctx.save_for_backward(x, slopes)
        return F.prelu(x, slopes.to(x.dtype))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, slopes = ctx.saved_tensors
        positive = torch.ops.aten.threshold_backward(grad, x, 0)  # grad where x > 0
        negative = grad - positive
        to_slopes = None
        if ctx.needs_input_grad[1]:
            to_slopes = sum_pixels(negative * x).sum(dim=0).to(slopes.dtype)
        weight = slopes.to(grad.dtype)[None, :, None, None]
        return torch.addcmul(positive, negative, weight, out=positive), to_slopes


class _Blur(torch.autograd.Function):
    """Filters x (B,C,H+1,W+1) with kernel (4,4) -> (B,C,H,W)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: Tensor) -> Tensor:
        ctx.save_for_backward(kernel)
        return _depthwise(x, kernel, padding=1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (kernel,) = ctx.saved_tensors
        return _depthwise(grad, kernel.flip(0, 1), padding=2), None


def _depthwise(x: Tensor, kernel: Tensor, padding: int) -> Tensor:
    """Filter each channel of x (B,C,H,W) with one kernel (4,4)."""
    channels = x.shape[1]
    weight = kernel.to(x.dtype).expand(channels, 1, 4, 4)
    return F.conv2d(x, weight, padding=padding, groups=channels)


def scale(x: Tensor, style: Tensor) -> Tensor:
    """Multiply x (B,C,H,W) by style (B,C) float32 -> (B,C,H,W)."""
    return _Scale.apply(x, style)


def scale_shift_activate(
    x: Tensor, gain: Tensor, bias: Tensor, strength: Tensor, noise: Tensor | None
) -> Tensor:
    """Compute leaky_relu(x * gain + noise * strength + bias) with slope 0.2.

    Args:
        x: (B,C,H,W) features.
        gain: (B,C) float32.
        bias: (C,) float32.
        strength: (1,) float32.
        noise: (B or 1,1,H,W) float32, or None for no noise.

    Returns:
        (B,C,H,W) in the dtype of x.
    """
    return _ScaleShiftActivate.apply(x, gain, bias, strength, noise)


def channelwise_prelu(x: Tensor, slopes: Tensor) -> Tensor:
    """Apply PReLU to x (B,C,H,W) with slopes (C,) -> (B,C,H,W)."""
    return _ChannelwisePrelu.apply(x, slopes)


def blur(x: Tensor, kernel: Tensor) -> Tensor:
    """Filter every channel of x (B,C,H+1,W+1) with a kernel (4,4) -> (B,C,H,W)."""
    return _Blur.apply(x, kernel)


def mix_channels(x: Tensor, matrix: Tensor) -> Tensor:
    """Convolve each sample 1 x 1 by its matrix: x (B,C,H,W), matrix (B,C,K) -> (B,K,H,W)."""
    mixed = torch.bmm(pixels(x), matrix.to(x.dtype))
    return mixed.view(len(mixed), *x.shape[2:], -1).permute(0, 3, 1, 2)
