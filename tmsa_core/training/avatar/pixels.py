"""Images against images: the pixel loss, and where it counts more."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

SOFT = 0.03  # errors up to about here count by their square
PART = 1.0  # weight of what a changed attribute draws, beside the image, which weighs 1
FAINT = 3e-4  # mean difference of two images that hardly show the change
AROUND = 7  # side in pixels of the square whose average is no detail


def face_weight(side: int) -> Tensor:
    """(1,1,side,side) loss weight of aligned crops: 4 on the eyes, 5 on the mouth, 1 elsewhere.

    The FFHQ crop puts the eyes at 45 % of the height and the mouth near 70 %, small parts that
    carry most attributes.
    """
    y = (torch.arange(side) + 0.5)[:, None] / side
    x = (torch.arange(side) + 0.5)[None, :] / side
    eyes = torch.exp(-(((x - 0.5) / 0.22) ** 4) - ((y - 0.46) / 0.09) ** 4)
    mouth = torch.exp(-(((x - 0.5) / 0.15) ** 4) - ((y - 0.71) / 0.09) ** 4)
    return (1 + 3 * eyes + 4 * mouth)[None, None]


def detail(images: Tensor) -> Tensor:
    """(B,3,H,W) -> what varies faster than over a few pixels: edges, strands, freckles."""
    edge = AROUND // 2
    padded = F.pad(images, (edge,) * 4, mode="replicate")
    return images - F.avg_pool2d(padded, AROUND, stride=1)


def changed_weight(pairs: Tensor) -> Tensor:
    """Loss weight of the detail that one attribute draws, alike for attributes large and small.

    pairs: (2N,3,H,W), the second half the first with one attribute changed -> (2N,1,H,W). A
    freckle or an earring is a few pixels of thousands, and so would be learnt last or never.
    """
    before, after = pairs.chunk(2)
    difference = detail(before - after).abs().mean(dim=1, keepdim=True)
    area = difference.mean(dim=(2, 3), keepdim=True) + FAINT
    return (PART * difference / area).repeat(2, 1, 1, 1)


def paired_loss(made: Tensor, real: Tensor, weight: Tensor) -> Tensor:
    """Weighted error of pixels and of their differences to the right and lower neighbours.

    made, real: (B,3,H,W). weight: (1 or B,1,H,W). The differences are what edges, lashes and
    spectacle frames are made of. Errors count by their size, those below ``SOFT`` hardly at all:
    thousands of tiny ones would else outvote a missing part. -> scalar
    """
    error = made - real
    right = error[..., :, 1:] - error[..., :, :-1]
    below = error[..., 1:, :] - error[..., :-1, :]
    edges = _mean(right, weight[..., :, 1:]) + _mean(below, weight[..., 1:, :])
    return _mean(error, weight) + 0.5 * edges


def _mean(error: Tensor, weight: Tensor) -> Tensor:
    return (error.square() / (error.abs() + SOFT) * weight).mean()


def at_side(images: Tensor, side: int) -> Tensor:
    """Images brought to ``side`` by averaging."""
    return F.avg_pool2d(images, images.shape[-1] // side) if images.shape[-1] > side else images


def psnr(made: Tensor, real: Tensor) -> float:
    """Mean peak signal-to-noise ratio in dB of images (B,3,H,W) in [-1, 1]."""
    error = (made.clamp(-1, 1) - real).square().mean(dim=(1, 2, 3))
    return float((10 * torch.log10(4 / error.clamp_min(1e-12))).mean())
