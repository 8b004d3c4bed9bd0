"""HFGI: high-fidelity GAN inversion (Wang et al. 2022, arXiv 2109.06590).

A latent code in W+ loses details of an image. The residual, image minus inversion, keeps them. One
network aligns the residual to an edited image (the paper's adaptive distortion alignment), another
turns it into a scale and a shift of the generator's features (its consultation encoder), and the
generator synthesises the edited code again with them. State-dict keys are those of the authors'
published networks (Tengfei-Wang/HFGI).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tmsa_core.imaging.resize import bilinear, fit_side
from tmsa_core.networks.irse import Unit, stem
from tmsa_core.networks.stylegan2 import Generator, activate

Condition = tuple[Tensor, Tensor]  # scale and shift of features

# Tuned by eye on bald, smile and old edits of three drawn portraits; differences of 2.
CHANGE = (0.15, 0.4)  # differences that count as no change and as full change
MISSED = (0.12, 0.4)  # the same between image and inversion
REACH = 0.1  # share of the side over which a change spreads


def avatar_architecture(channels: int) -> dict[str, Any]:
    """Return the arguments of an ``HFGI`` for 128-pixel residuals and a small generator."""
    return {
        "size": 128,
        "channels": channels,
        "aligner_widths": [16, 24, 32, 48],
        "residual_widths": [32, 48, 64],
        "units": 2,
        "strides": [2, 1, 1],
        "preview": 128,
    }


def chain(inputs: int, widths: Sequence[int], stride: int = 1) -> nn.Sequential:
    """Build IR units in sequence, without squeeze and excitation; the first one strides."""
    sides = pairwise((inputs, *widths))
    return nn.Sequential(
        *(Unit(a, b, stride if i == 0 else 1, squeeze=False) for i, (a, b) in enumerate(sides))
    )


class Aligner(nn.Module):
    """Moves each detail of a residual to its place in the edited image; an hourglass network.

    Args:
        widths: Channels at full, half, quarter and eighth size.
        units: Residual units in each part.
    """

    def __init__(self, widths: Sequence[int], units: int) -> None:
        super().__init__()
        full, half, quarter, eighth = widths
        self.conv_layer1 = stem(full, inputs=6)
        self.conv_layer2 = chain(full, [half] * units, stride=2)
        self.conv_layer3 = chain(half, [quarter] * units, stride=2)
        self.conv_layer4 = chain(quarter, [eighth] * units, stride=2)
        self.dconv_layer1 = chain(eighth + quarter, [eighth, *[half] * (units - 1)])
        self.dconv_layer2 = chain(half + half, [half, *[full] * (units - 1)])
        self.dconv_layer3 = chain(full + full, [full, *[3] * (units - 1)])

    def forward(self, residual: Tensor, image: Tensor) -> Tensor:
        """Residual (B,3,S,S), edited image (B,3,S,S) in [-1,1] -> aligned residual (B,3,S,S)."""
        x = torch.cat([residual, image], dim=1).contiguous(memory_format=torch.channels_last)
        full = self.conv_layer1(x)
        half = self.conv_layer2(full)
        quarter = self.conv_layer3(half)
        x = self.conv_layer4(quarter)
        for layer, skip in (
            (self.dconv_layer1, quarter),
            (self.dconv_layer2, half),
            (self.dconv_layer3, full),
        ):
            x = layer(torch.cat([bilinear(x, skip.shape[-1]), skip], dim=1))
        return x


class EqualConv(nn.Module):
    """3 x 3 convolution with equalised learning rate."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.scale = 1.0 / math.sqrt(inputs * 9)

    def forward(self, x: Tensor) -> Tensor:
        """(B,inputs,H,W) -> (B,outputs,H,W)."""
        return F.conv2d(x, self.weight * self.scale, self.bias, padding=1)


class Activation(nn.Module):
    """The generator's activation as a layer, without a bias."""

    def forward(self, x: Tensor) -> Tensor:
        """(B,C,H,W) -> (B,C,H,W)."""
        return activate(x)


class ResidualEncoder(nn.Module):
    """Turns an aligned residual into a scale and a shift of the generator's features.

    Args:
        widths: Channels of the three layers.
        units: Residual units in each of the last two layers.
        channels: The generator's channels at ``side`` pixels.
        side: Side of the features in pixels.
        strides: Strides of the three layers.
    """

    def __init__(
        self, widths: Sequence[int], units: int, channels: int, side: int, strides: Sequence[int]
    ) -> None:
        super().__init__()
        first, second, third = widths
        self.side = side
        self.conv_layer1 = stem(first, strides[0])
        self.conv_layer2 = chain(first, [second] * units, strides[1])
        self.conv_layer3 = chain(second, [third] * units, strides[2])
        self.condition_scale3 = condition(third, channels)
        self.condition_shift3 = condition(third, channels)

    def forward(self, residual: Tensor) -> Condition:
        """Aligned residual (B,3,S,S) -> scale and shift, each (B,channels,side,side)."""
        x = residual.contiguous(memory_format=torch.channels_last)
        x = self.conv_layer3(self.conv_layer2(self.conv_layer1(x)))
        scale, shift = self.condition_scale3(x), self.condition_shift3(x)
        return bilinear(scale, self.side), bilinear(shift, self.side)


def condition(inputs: int, outputs: int) -> nn.Sequential:
    """Build one branch of the residual encoder: (B,inputs,H,W) -> (B,outputs,H,W)."""
    return nn.Sequential(EqualConv(inputs, outputs), Activation(), EqualConv(outputs, outputs))


class HFGI(nn.Module):
    """Residual, alignment and fusion around a frozen generator, which is an argument of calls.

    The defaults are those of the published network.

    Args:
        size: Side S in pixels of residuals.
        side: The generator's resolution at which its features are modulated, between its two
            convolutions there.
        channels: The generator's channels at that resolution.
        aligner_widths: Channels of ``Aligner``.
        residual_widths: Channels of ``ResidualEncoder``.
        units: Residual units in each part of both networks.
        strides: Strides of ``ResidualEncoder``.
        preview: The generator's resolution whose image residuals and previews are made from, from
            ``side``; None takes its last one. A lower one saves time.
    """

    def __init__(
        self,
        size: int = 256,
        side: int = 64,
        channels: int = 512,
        aligner_widths: Sequence[int] = (16, 32, 48, 64),
        residual_widths: Sequence[int] = (32, 48, 64),
        units: int = 3,
        strides: Sequence[int] = (1, 2, 2),
        preview: int | None = None,
    ) -> None:
        super().__init__()
        self.size = size
        self.preview = preview
        self.side = side
        self.residue = ResidualEncoder(residual_widths, units, channels, side, strides)
        self.grid_align = Aligner(aligner_widths, units)

    def downscale(self, images: Tensor) -> Tensor:
        """Clamp generator output (B,3,R,R) to [-1,1], then resize it to (B,3,S,S)."""
        return bilinear(images.clamp(-1, 1), self.size)

    def residual(self, generator: Generator, images: Tensor, w_plus: Tensor) -> Tensor:
        """Compute image minus inversion.

        Images wider than high (cars) cover the middle rows of the generator's image; the residual
        is zero above and below them.

        Args:
            generator: The frozen generator.
            images: (B,3,H,W) in [-1,1]; resized if the longer side is not S.
            w_plus: (B,L,512) latent codes of the images.

        Returns:
            (B,3,S,S) residuals.
        """
        images = fit_side(images, self.size)
        above = (self.size - images.shape[2]) // 2
        first = self.downscale(generator.synthesise(w_plus, up_to=self.preview))
        residual = images.float() - first[:, :, above : above + images.shape[2]]
        return F.pad(residual, (0, 0, above, self.size - images.shape[2] - above))

    def conditions(self, residual: Tensor, preview: Tensor) -> Condition:
        """Residual (B,3,S,S), edited image (B,3,S,S) -> scale, shift (B,channels,side,side)."""
        dtype = next(self.residue.condition_scale3.parameters()).dtype
        return self.residue(self.grid_align(residual.to(dtype), preview.to(dtype)))

    def fuse(
        self,
        generator: Generator,
        residual: Tensor,
        w_edit: Tensor,
        masks: Tensor | None = None,
        images: Tensor | None = None,
    ) -> Tensor:
        """Synthesise an edited code with a residual in two passes of the generator.

        The first pass gives a preview, to which the residual is aligned; the second the image.

        Args:
            generator: The frozen generator.
            residual: (B,3,S,S).
            w_edit: (B,L,512) edited latent codes.
            masks: As in ``Generator.synthesise_styles``.
            images: (B,3,R,R) in [-1,1], the images before the edit. With them nothing of the
                residual comes back where the edit changed what is there (``changed``); None is
                the published network.

        Returns:
            (B,3,R,R) images, nominally in [-1,1], not clamped.
        """
        drawn, redraw = generator.synthesise_with_redraw(w_edit, self.side, masks, self.preview)
        preview = self.downscale(drawn)
        if images is not None:
            first = self.downscale(images) - residual
            residual = residual * (1 - changed(preview - first, residual))
        return redraw(self.conditions(residual, preview))

    def forward(
        self, generator: Generator, images: Tensor, w_plus: Tensor, w_edit: Tensor
    ) -> Tensor:
        """Images (B,3,H,W) in [-1,1], w_plus and w_edit (B,L,512) -> (B,3,R,R), not clamped."""
        return self.fuse(generator, self.residual(generator, images, w_plus), w_edit)


def changed(difference: Tensor, residual: Tensor) -> Tensor:
    """Where an edit changes what an image shows, so that its residual is of something gone.

    A change spreads to neighbours where the inversion misses much: hair that the inversion drew too
    short goes as a whole.

    Args:
        difference: Edited inversion minus inversion, (B,3,S,S) in [-2,2].
        residual: Image minus inversion, (B,3,S,S).

    Returns:
        (B,1,S,S) in [0,1].
    """
    change, missed = _amount(difference, CHANGE), _amount(residual, MISSED)
    for _ in range(round(REACH * difference.shape[-1] / 2)):
        change = torch.maximum(change, F.max_pool2d(change, 5, 1, 2) * missed)
    return change


def _amount(difference: Tensor, limits: tuple[float, float]) -> Tensor:
    """(B,3,S,S) -> (B,1,S,S): 0 below the limits, 1 above, smooth between."""
    low, high = limits
    largest = F.avg_pool2d(difference.abs().amax(1, keepdim=True), 3, 1, 1)
    x = ((largest - low) / (high - low)).clamp(0, 1)
    return x * x * (3 - 2 * x)
