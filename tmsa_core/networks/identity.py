"""Identity: ArcFace (Deng et al. 2019) on an IR-SE trunk, crop and pooling included.

Embeddings of the same person point the same way; the cosine between two of them says how much of
an identity an edit keeps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tmsa_core.networks.irse import UNITS, WIDTHS, body, stem


def avatar_architecture() -> dict[str, Any]:
    """Arguments of a small ``IdentityNet`` that looks at 64 pixels of a 128-pixel image."""
    return {
        "frame": 128,
        "box": [16, 112, 16, 112],
        "input_size": 64,
        "widths": [32, 48, 64, 128],
        "units": [1, 1, 1, 1],
        "stem_stride": 2,
    }


class IdentityNet(nn.Module):
    """FFHQ-aligned faces to unit vectors.

    An image is brought to ``frame`` pixels, cut to ``box`` (top, bottom, left, right in pixels of
    the frame) and brought to ``input_size`` pixels, each by adaptive average pooling. The
    defaults are those of the public network and of the losses that use it.
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
        """(B,3,H,W) -> (B,3,input_size,input_size), what the network looks at."""
        if images.shape[-2:] != (self.frame, self.frame):
            images = F.adaptive_avg_pool2d(images, self.frame)
        top, bottom, left, right = self.box
        return F.adaptive_avg_pool2d(images[:, :, top:bottom, left:right], self.input_size)

    def forward(self, images: Tensor) -> Tensor:
        """images (B,3,H,W) in [-1,1], aligned as FFHQ is -> (B,embedding_dim) of unit length."""
        dtype = next(self.input_layer.parameters()).dtype
        x = self.crop(images).to(dtype, memory_format=torch.channels_last)
        x = self.output_layer(self.body(self.input_layer(x)))
        return F.normalize(x.float(), dim=1)
