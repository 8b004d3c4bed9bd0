"""The attribute classifier that scores avatar edits; no scored network is trained with it."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Block(nn.Module):
    """Residual block of two 3 x 3 convolutions that halves the resolution."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, 2, 1, bias=False)
        self.first_norm = nn.BatchNorm2d(outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.second_norm = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Conv2d(inputs, outputs, 1, 1, 0)

    def forward(self, x: Tensor) -> Tensor:
        """(B,inputs,H,W) -> (B,outputs,H/2,W/2)."""
        y = F.relu(self.first_norm(self.first(x)))
        y = self.second_norm(self.second(y))
        return F.relu(y + self.shortcut(F.avg_pool2d(x, 2)))


class AttributeNet(nn.Module):
    """Classifies each attribute of a portrait.

    Args:
        options: Attribute name -> number of options.
        width: Channels of the first layer.
        size: Side in pixels to which images are resized first.
    """

    def __init__(self, options: Mapping[str, int], width: int = 24, size: int = 64) -> None:
        super().__init__()
        widths = (width, width * 2, width * 4, width * 6)
        self.size = size
        self.options = dict(options)
        self.stem = nn.Conv2d(3, width, 3, 1, 1)
        self.blocks = nn.Sequential(
            *(Block(a, b) for a, b in zip((width, *widths[:-1]), widths, strict=True))
        )
        self.project = nn.Linear(widths[-1] * (size // 16) ** 2, 256)
        self.head = nn.Linear(256, sum(self.options.values()))

    def features(self, images: Tensor) -> Tensor:
        """(B,3,H,W) in [-1,1] -> (B,256) features, in which sample quality is measured."""
        if images.shape[-1] != self.size:
            images = F.interpolate(images, (self.size, self.size), mode="bilinear", antialias=True)
        return F.relu(self.project(self.blocks(F.relu(self.stem(images))).flatten(1)))

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """(B,3,H,W) in [-1,1] -> name -> (B,options) logits."""
        parts = self.head(self.features(images)).split(list(self.options.values()), dim=1)
        return dict(zip(self.options, parts, strict=True))

    def probabilities(self, images: Tensor) -> dict[str, Tensor]:
        """(B,3,H,W) in [-1,1] -> name -> (B,options) probabilities; rows sum to one."""
        return {k: v.softmax(dim=1) for k, v in self(images).items()}

    def predict(self, images: Tensor) -> dict[str, Tensor]:
        """(B,3,H,W) in [-1,1] -> name -> (B,) int64 index of the most probable option."""
        return {k: torch.argmax(v, dim=1) for k, v in self(images).items()}
