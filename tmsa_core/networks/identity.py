"""Identity network: ArcFace (Deng et al. 2019) on an IR-SE trunk, with crop and pooling.

Embeddings of the same person point in the same direction; the cosine of two embeddings measures
how well an edit keeps the identity.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tmsa_core.networks.irse import UNITS, WIDTHS, body, stem


def avatar_architecture() -> dict[str, Any]:
    """Return the arguments of a small ``IdentityNet`` for 128-pixel images."""
    return {
        "frame": 128,
        "box": [16, 112, 16, 112],
        "input_size": 64,
        "widths": [32, 48, 64, 128],
        "units": [1, 1, 1, 1],
        "stem_stride": 2,
    }


class IdentityNet(nn.Module):
    """Embeds FFHQ-aligned faces as unit vectors.

    An image is resized to ``frame``, cropped to ``box`` and resized to ``input_size``, each by
    adaptive average pooling. The defaults are those of the published network and of the losses
    that use it.

    Args:
        embedding_dim: Length of the embeddings.
        frame: Side in pixels at which the crop is defined.
        box: Top, bottom, left and right of the crop, in pixels of the frame.
        input_size: Side in pixels of the trunk's input.
        widths: Channels of the trunk's four stages.
        units: Residual units of the four stages.
        stem_stride: 2 halves the images in the first layer instead of in the first residual unit.
        dropout: Dropout rate before the last layer, in training.
    """

    def __init__(
        self,
        embedding_dim: int = 512,
        frame: int = 256,
        box: Sequence[int] = (35, 223, 32, 220),
        input_size: int = 112,
        widths: Sequence[int] = WIDTHS,
        units: Sequence[int] = UNITS,
        stem_stride: int = 1,
        dropout: float = 0.6,
    ) -> None:
        super().__init__()
        self.frame = frame
        self.box = tuple(box)
        self.input_size = input_size
        self.input_layer = stem(widths[0], stem_stride)
        self.body = body(widths, units, first_stride=2 // stem_stride)
        width, side = widths[3], input_size // 16
        self.output_layer = nn.Sequential(
            nn.BatchNorm2d(width),
            nn.Dropout(dropout),
            nn.Flatten(),
            nn.Linear(width * side * side, embedding_dim),
            nn.BatchNorm1d(embedding_dim),
        )

    def crop(self, images: Tensor) -> Tensor:
        """(B,3,H,W) -> (B,3,input_size,input_size), the input of the trunk."""
        if images.shape[-2:] != (self.frame, self.frame):
            images = F.adaptive_avg_pool2d(images, self.frame)
        top, bottom, left, right = self.box
        return F.adaptive_avg_pool2d(images[:, :, top:bottom, left:right], self.input_size)

    def forward(self, images: Tensor) -> Tensor:
        """FFHQ-aligned images (B,3,H,W) in [-1,1] -> (B,embedding_dim) float32 unit vectors."""
        dtype = next(self.input_layer.parameters()).dtype
        x = self.crop(images).to(dtype, memory_format=torch.channels_last)
        x = self.output_layer(self.body(self.input_layer(x)))
        return F.normalize(x.float(), dim=1)
