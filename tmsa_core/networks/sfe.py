"""StyleFeatureEditor: inversion into W+ and into features (Bobkov et al. 2024, arXiv 2406.10601).

The inverter computes a latent code w_plus and features F of one layer of the generator. F holds
the details that w_plus loses. An edit of w_plus would not reach F, so the feature editor changes F
by what the same edit changes in the features of e4e's code, where edits work. The generator runs
the edited code; above that layer it reads the changed features in place of its own. State-dict keys
are those of the authors' published networks (ControlGenAI/StyleFeatureEditor).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from tmsa_core.imaging.resize import bilinear
from tmsa_core.networks.irse import ChannelSlopes, convolution
from tmsa_core.networks.sfe_backbone import STRIDES, UNITS, WIDTHS, Backbone
from tmsa_core.networks.stylegan2 import Generator


def avatar_architecture(channels: int) -> dict[str, Any]:
    """Return the arguments of an ``SFE`` for 128-pixel images and a small generator.

    Its code is e4e's, which is exact for drawn portraits, so there are no heads.
    """
    return {
        "size": 128,
        "channels": channels,
        "widths": [16, 32, 48, 48],
        "units": [1, 1, 1, 1],
        "strides": [2, 1, 1, 2],
        "heads": False,
        "blocks": 2,
    }


class ResidualBlock(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.BatchNorm2d(channels),
            convolution(channels, channels),
            nn.BatchNorm2d(channels),
            ChannelSlopes(channels),
            convolution(channels, channels),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B,C,H,W) -> (B,C,H,W)."""
        return x + self.body(x)


class Fuser(nn.Module):
    """Turns two feature maps into one; the shape of the fuser and of the feature editor.

    Args:
        channels: Channels C of each map.
        blocks: Residual blocks.
    """

    def __init__(self, channels: int, blocks: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2 * channels, channels, 1)
        self.body = nn.Sequential(*(ResidualBlock(channels) for _ in range(blocks)))

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Two maps (B,C,H,W) -> (B,C,H,W)."""
        joined = torch.cat([first, second], dim=1).to(self.conv.weight.dtype)
        return self.body(self.conv(joined.contiguous(memory_format=torch.channels_last)))


class Inverter(nn.Module):
    """Backbone and fuser, under their public names."""

    def __init__(self, backbone: Backbone, fuser: Fuser) -> None:
        super().__init__()
        self.fs_backbone = backbone
        self.fuser = fuser


class SFE(nn.Module):
    """Inverter and feature editor around a frozen generator, which is an argument of calls.

    The defaults are those of the published networks.

    Args:
        size: Side S in pixels of the backbone's images.
        side: The generator's resolution whose last features are replaced.
        levels: Rows L of W+.
        w_dim: Length of a row.
        channels: The generator's channels C at ``side``.
        widths: Channels of the backbone's stages.
        units: Residual units of the backbone's stages.
        strides: Strides of the backbone's stages.
        heads: Whether the backbone computes codes; otherwise those of e4e are used.
        blocks: Residual blocks of the fuser and of the feature editor.
        editor: Whether there is a feature editor; without it edits do not reach the features.
    """

    def __init__(
        self,
        size: int = 256,
        side: int = 64,
        levels: int = 18,
        w_dim: int = 512,
        channels: int = 512,
        widths: Sequence[int] = WIDTHS,
        units: Sequence[int] = UNITS,
        strides: Sequence[int] = STRIDES,
        heads: bool = True,
        blocks: int = 5,
        editor: bool = True,
    ) -> None:
        super().__init__()
        self.size = size
        self.side = side
        self.heads = heads
        backbone = Backbone(levels, w_dim, channels, widths, units, strides, heads)
        self.inverter = Inverter(backbone, Fuser(channels, blocks))
        self.encoder = Fuser(channels, blocks) if editor else None  # the editor's public name

    def reduce(self, crops: Tensor) -> Tensor:
        """Resize crops (B,3,H,W) to (B,3,S,S), bilinearly without antialiasing.

        So the published networks were trained: from 1024 to 256 pixels every result is the mean of
        the middle four of sixteen pixels.
        """
        return bilinear(crops, self.size)

    def invert(
        self, generator: Generator, images: Tensor, e4e_codes: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Invert images.

        Args:
            generator: The frozen generator; its ``latent_avg`` is added to every row.
            images: Crops (B,3,H,W) in [-1,1].
            e4e_codes: (B,L,w_dim) of the same crops, the result where there are no heads.

        Returns:
            w_plus (B,L,w_dim) and features F (B,C,side,side), both float32; F is as it is before
            the feature editor.
        """
        rows, guess = self.inverter.fs_backbone(self.reduce(images))
        w_plus = e4e_codes.float() if rows is None else rows + generator.latent_avg.float()
        own, _ = generator.synthesise_lower(generator.to_styles(w_plus), self.side)
        return w_plus, self.inverter.fuser(guess, own).float()

    def change(self, before: Tensor, after: Tensor, kept: Tensor | None = None) -> Tensor:
        """What an edit changes in the generator's features.

        Args:
            before: The generator's own features (B,C,side,side) of e4e's code.
            after: The same of the edited code.
            kept: Mask (B or 1,1,H,W) in [0,1]; 1 leaves the features as they are.

        Returns:
            (B,C,side,side), the features before minus those after the edit.
        """
        change = before - after
        return change if kept is None else change * (1 - bilinear(kept, self.side))

    def edited_features(self, features: Tensor, change: Tensor) -> Tensor:
        """F and ``change``, each (B,C,side,side) -> F' (B,C,side,side); zeros for no edit."""
        return features if self.encoder is None else self.encoder(features, change)
