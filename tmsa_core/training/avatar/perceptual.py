"""Perceptual distance in the features of the bundle's CLIP.

Source: Zhang et al. 2018, "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric"
(LPIPS), equation 1. Two differences: the features come from the bundle's CLIP instead of networks
trained on photos, and all channels weigh the same instead of having learnt weights.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from tmsa_core.networks.clip import Clip


def clip_features(clip: Clip, images: Tensor) -> list[Tensor]:
    """Features of CLIP's residual tower, without resizing the images to CLIP's input size.

    images (B,3,H,W) in [-1,1] -> one (B,C,h,w) for the stem and for each of the four stages.
    """
    tower = clip.model.visual
    x = tower.stem(((images + 1) / 2 - clip.mean) / clip.std)
    features = [x]
    for stage in (tower.layer1, tower.layer2, tower.layer3, tower.layer4):
        x = stage(x)
        features.append(x)
    return features


def feature_distance(a: Sequence[Tensor], b: Sequence[Tensor]) -> Tensor:
    """Squared distance of unit feature vectors, averaged over positions and summed over layers.

    Args:
        a: Features (B,C,h,w) of each layer.
        b: Features of the same shapes.

    Returns:
        The distances (B,); each layer adds between 0 and 4.
    """
    layers = zip(a, b, strict=True)
    distances = [(_unit(x) - _unit(y)).square().sum(1).mean((1, 2)) for x, y in layers]
    return torch.stack(distances).sum(0)


def _unit(x: Tensor) -> Tensor:
    x = x.float()
    return x / (x.norm(dim=1, keepdim=True) + 1e-10)
