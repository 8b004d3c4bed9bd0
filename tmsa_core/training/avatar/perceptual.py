"""Perceptual distance (Zhang et al. 2018, LPIPS) in the features of our own networks.

LPIPS compares images by what a network's layers see, each position brought to unit length. Its
own weights come with networks trained on photos; in the drawn world CLIP's image tower takes
their place, and every channel weighs the same.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from tmsa_core.networks.clip import Clip


def clip_features(clip: Clip, images: Tensor) -> list[Tensor]:
    """What the layers of CLIP's residual tower see, at the images' own size.

    images (B,3,H,W) in [-1,1] -> one (B,C,h,w) for each of its stages.
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

    a, b: matching lists of (B,C,h,w) -> (B,), each layer adding between 0 and 4.
    """
    layers = zip(a, b, strict=True)
    return torch.stack([(_unit(x) - _unit(y)).square().sum(1).mean((1, 2)) for x, y in layers]).sum(
        0
    )


def _unit(x: Tensor) -> Tensor:
    x = x.float()
    return x / (x.norm(dim=1, keepdim=True) + 1e-10)
