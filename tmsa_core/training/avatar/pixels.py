"""The pixel loss of the avatar networks, its weight maps, and the PSNR.

The loss follows no paper: the robust penalty e^2 / (|e| + c), which is quadratic for small
errors and linear for large ones, on pixels and on their differences (image gradients).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

SOFT = 0.03  # c: the penalty is quadratic for errors well below, linear well above
PART = 1.0  # total weight of the changed detail; the image weighs 1
FAINT = 3e-4  # mean difference below which a change hardly shows and weighs less
AROUND = 7  # side in pixels of the square whose average is subtracted to get the detail


def face_weight(side: int) -> Tensor:
    """Loss weight (1,1,side,side) of aligned crops: 4 on the eyes, 5 on the mouth, 1 elsewhere.

    These small parts show most attributes. The FFHQ crop puts the eyes at about 46 % of the height
    and the mouth at about 71 %.
    """
    y = (torch.arange(side) + 0.5)[:, None] / side
    x = (torch.arange(side) + 0.5)[None, :] / side
    eyes = torch.exp(-(((x - 0.5) / 0.22) ** 4) - ((y - 0.46) / 0.09) ** 4)
    mouth = torch.exp(-(((x - 0.5) / 0.15) ** 4) - ((y - 0.71) / 0.09) ** 4)
    return (1 + 3 * eyes + 4 * mouth)[None, None]


def detail(images: Tensor) -> Tensor:
    """Images minus their local average, (B,3,H,W) -> (B,3,H,W): edges, strands, freckles."""
    edge = AROUND // 2
    padded = F.pad(images, (edge,) * 4, mode="replicate")
    return images - F.avg_pool2d(padded, AROUND, stride=1)


def changed_weight(pairs: Tensor) -> Tensor:
    """Loss weight of the detail that differs within each pair of portraits.

    Its total is the same for small and large attributes. A freckle or an earring is a few pixels of
    thousands and would otherwise be learnt last or never.

    Args:
        pairs: Images (2N,3,H,W); the second half are the first after one attribute has changed.

    Returns:
        Weights (2N,1,H,W).
    """
    before, after = pairs.chunk(2)
    difference = detail(before - after).abs().mean(dim=1, keepdim=True)
    area = difference.mean(dim=(2, 3), keepdim=True) + FAINT
    return (PART * difference / area).repeat(2, 1, 1, 1)


def paired_loss(made: Tensor, real: Tensor, weight: Tensor) -> Tensor:
    """Weighted error of pixels and of their differences to the right and lower neighbours.

    The differences carry edges, lashes and spectacle frames. Errors well below ``SOFT`` hardly
    count; otherwise thousands of tiny ones would outweigh a missing part.

    Args:
        made: Generated images (B,3,H,W).
        real: Target images (B,3,H,W).
        weight: Weight of each pixel (1 or B,1,H,W).

    Returns:
        A scalar.
    """
    error = made - real
    right = error[..., :, 1:] - error[..., :, :-1]
    below = error[..., 1:, :] - error[..., :-1, :]
    edges = _mean(right, weight[..., :, 1:]) + _mean(below, weight[..., 1:, :])
    return _mean(error, weight) + 0.5 * edges


def _mean(error: Tensor, weight: Tensor) -> Tensor:
    return (error.square() / (error.abs() + SOFT) * weight).mean()


def at_side(images: Tensor, side: int) -> Tensor:
    """Average images (B,3,R,R) down to (B,3,side,side); smaller ones are returned as they are."""
    return F.avg_pool2d(images, images.shape[-1] // side) if images.shape[-1] > side else images


def psnr(made: Tensor, real: Tensor) -> float:
    """Mean peak signal-to-noise ratio in dB of images (B,3,H,W) in [-1, 1]."""
    error = (made.clamp(-1, 1) - real).square().mean(dim=(1, 2, 3))
    return float((10 * torch.log10(4 / error.clamp_min(1e-12))).mean())
