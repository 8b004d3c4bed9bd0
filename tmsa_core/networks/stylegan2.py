"""StyleGAN2 generator (Karras et al. 2020, arXiv 1912.04958).

The latent spaces are separate methods: ``map`` (Z to W), ``to_styles`` (W+ to the style space S)
and ``synthesise`` (W+ to pixels). State-dict keys are those of the common PyTorch checkpoints
(rosinality/stylegan2-pytorch), so these load strictly.

The modulated convolution scales its input by the style and its output by the demodulation
coefficients (section 2.2, equations 1 and 3) around one convolution that the whole batch shares.
This equals convolving each sample with its own weights, and is several times faster on a CPU.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tmsa_core.imaging.resize import resize_tensor
from tmsa_core.networks.fused_ops import SLOPE, blur, mix_channels, scale, scale_shift_activate

Noise = Literal["buffers", "random", "none"]
Change = tuple[Tensor, Tensor]  # scale and shift of features: x (1 + scale) + shift
Features = Mapping[int, Change]  # resolution -> change of its features
Redraw = Callable[[Change], Tensor]
NoiseMaps = Sequence[Tensor | None]  # (B or 1,1,r,r) per layer; None for no noise

MIXED = (32, 64)  # resolutions at which ``mix_regions`` mixes features

GAIN = math.sqrt(2.0)  # restores the variance that the leaky ReLU removes
EPS = 1e-8  # the public value, against division by zero


def channels_at(
    resolution: int, channel_multiplier: float, channel_max: int, channel_min: int = 1
) -> int:
    """Return the channels at one resolution; multiplier 2 and maximum 512 are the public ones."""
    return max(channel_min, min(channel_max, int(16384 * channel_multiplier) // resolution))


def fir_kernel(gain: float = 1.0) -> Tensor:
    """Return the (4,4) binomial low-pass filter, which sums to ``gain``."""
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
    kernel = torch.outer(taps, taps)
    return kernel * (gain / kernel.sum())


def activate(x: Tensor) -> Tensor:
    """Apply leaky ReLU of slope 0.2 and scale by sqrt(2); any shape."""
    return F.leaky_relu(x, SLOPE) * GAIN


def pixel_norm(z: Tensor) -> Tensor:
    """Scale each row of z (B,D) to a root mean square of one -> (B,D)."""
    return z * torch.rsqrt(z.square().mean(dim=1, keepdim=True) + EPS)


def mix_regions(x: Tensor, masks: Tensor) -> Tensor:
    """Take each member of a batch inside its mask, and the member before it outside.

    Args:
        x: (1 + K,C,r,r); the first member is the base, into which the others are put in turn.
        masks: (K,1,S,S) in [0, 1], S at least r.

    Returns:
        (1 + K,C,r,r).
    """
    masks = resize_tensor(masks.float(), x.shape[-1]).to(x)
    mixed = [x[:1]]
    for i in range(len(masks)):
        mixed.append(torch.lerp(mixed[-1], x[i + 1 : i + 2], masks[i : i + 1]))
    return torch.cat(mixed).contiguous(memory_format=torch.channels_last)


class PixelNorm(nn.Module):
    """``pixel_norm`` as the first member of the mapping network."""

    def forward(self, z: Tensor) -> Tensor:
        """(B,D) -> (B,D)."""
        return pixel_norm(z)


class EqualLinear(nn.Module):
    """Linear layer with equalised learning rate: weights of unit variance, scaled at run time.

    Args:
        inputs: Length of the input.
        outputs: Length of the output.
        bias_init: Initial value of the bias.
        lr_mul: Learning-rate multiplier.
        activation: Whether ``activate`` follows.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        bias_init: float = 0.0,
        lr_mul: float = 1.0,
        activation: bool = False,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / lr_mul)
        self.bias = nn.Parameter(torch.full((outputs,), float(bias_init)))
        self.lr_mul = lr_mul
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """(..., inputs) -> (..., outputs), always in float32, as rounding errors would add up."""
        with torch.autocast(x.device.type, enabled=False):
            scale = self.lr_mul / math.sqrt(self.weight.shape[1])
            bias = self.bias.float() * self.lr_mul
            y = F.linear(x.float() * scale, self.weight.float(), bias)
            return activate(y) if self.activation else y


class Blur(nn.Module):
    """Depthwise low-pass filter with one pixel of zero padding on each side."""

    kernel: Tensor

    def __init__(self, gain: float) -> None:
        super().__init__()
        self.register_buffer("kernel", fir_kernel(gain))

    def forward(self, x: Tensor) -> Tensor:
        """(B,C,H+1,W+1) -> (B,C,H,W)."""
        return blur(x, self.kernel)


class Upsample(nn.Module):
    """Doubles the resolution of an image with the low-pass filter."""

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kernel", fir_kernel(4.0))

    def forward(self, image: Tensor) -> Tensor:
        """(B,3,H,W) -> (B,3,2H,2W)."""
        channels = image.shape[1]
        weight = self.kernel.to(image.dtype).expand(channels, 1, 4, 4)
        return F.conv_transpose2d(image, weight, stride=2, padding=1, groups=channels)


class ModulatedConv(nn.Module):
    """Convolution with weights scaled per sample by a style, then normalised: equations 1 to 3.

    Args:
        inputs: Channels of the input.
        outputs: Channels of the output.
        size: Side of the kernel.
        w_dim: Length of a row of W+.
        up: Whether the output is twice as large.
    """

    def __init__(self, inputs: int, outputs: int, size: int, w_dim: int, up: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1, outputs, inputs, size, size))
        self.modulation = EqualLinear(w_dim, inputs, bias_init=1.0)
        self.scale = 1.0 / math.sqrt(inputs * size * size)
        self.up = up
        if up:
            self.blur = Blur(gain=4.0)

    def demodulation(self, style: Tensor) -> Tensor:
        """Style (B,in) -> (B,out) float32: 1 / sigma of equation 2.

        Multiplied by it, each output channel has unit variance.
        """
        with torch.autocast(style.device.type, enabled=False):
            energy = self.weight[0].float().square().sum(dim=(2, 3))  # (out,in)
            scaled = style.float() * self.scale
            return torch.rsqrt(scaled.square() @ energy.T + EPS)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """Convolve 3 x 3: x (B or 1,in,H,W), style (B,in) -> (B,out,H,W), or 2H x 2W if ``up``.

        The caller demodulates the result together with bias and noise.
        """
        x = scale(x.expand(style.shape[0], -1, -1, -1), style * self.scale)
        weight = self.weight[0]
        if self.up:
            return self.blur(F.conv_transpose2d(x, weight.transpose(0, 1), stride=2))
        return F.conv2d(x, weight, padding=1)


class NoiseStrength(nn.Module):
    """The learned strength of one layer's noise."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))


class Bias(nn.Module):
    """The bias (C,) before an activation."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))


class StyledConv(nn.Module):
    """Modulated 3 x 3 convolution, noise, bias and activation."""

    def __init__(self, inputs: int, outputs: int, w_dim: int, up: bool = False) -> None:
        super().__init__()
        self.conv = ModulatedConv(inputs, outputs, 3, w_dim, up=up)
        self.noise = NoiseStrength()
        self.activate = Bias(outputs)

    def forward(self, x: Tensor, style: Tensor, noise: Tensor | None) -> Tensor:
        """Input x (B or 1,in,H,W), style (B,in), noise (B or 1,1,H',W') -> (B,out,H',W')."""
        # sqrt(2) is applied before the activation, which is homogeneous; there it costs nothing
        gain = self.conv.demodulation(style) * GAIN  # (B,out)
        bias = self.activate.bias.float() * GAIN
        strength = self.noise.weight.float() * GAIN
        return scale_shift_activate(self.conv(x, style), gain, bias, strength, noise)


class ToRGB(nn.Module):
    """Modulated 1 x 1 convolution to three channels, added to the upsampled image so far."""

    def __init__(self, inputs: int, w_dim: int, up: bool = True) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1, 3, 1, 1))
        self.conv = ModulatedConv(inputs, 3, 1, w_dim)
        if up:
            self.upsample = Upsample()

    def forward(self, x: Tensor, style: Tensor, skip: Tensor | None) -> Tensor:
        """Input x (B,in,H,W), style (B,in), skip (B,3,H/2,W/2) or None -> (B,3,H,W) float32."""
        weight = self.conv.weight[0, :, :, 0, 0].T.float()  # (in,3)
        matrix = (style * self.conv.scale)[:, :, None] * weight  # (B,in,3)
        rgb = mix_channels(x, matrix).float() + self.bias.float()
        if skip is None:
            return rgb
        with torch.autocast(x.device.type, enabled=False):
            return rgb + self.upsample(skip)


class ConstantInput(nn.Module):
    """The learned tensor (1,C,4,4) from which synthesis starts."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.input = nn.Parameter(torch.randn(1, channels, 4, 4))


class Generator(nn.Module):
    """StyleGAN2 generator with skip connections.

    W+ has L = ``levels`` = 2 log2(R) - 2 rows. The buffer ``latent_avg`` (w_dim,) is the mean of
    W, to which truncation pulls. It is not in the state dict and is zero until it is set.

    Args:
        resolution: Side R of the images in pixels, a power of two from 8.
        w_dim: Length of z, of w and of a row of W+.
        channel_multiplier: Channels at resolution r are
            ``16384 * channel_multiplier // r``, within the two limits that follow.
        channel_max: Upper limit of the channels.
        mapping_layers: Layers of the mapping network from Z to W.
        channel_min: Lower limit of the channels.

    Raises:
        ValueError: If the resolution is not a power of two from 8.
    """

    latent_avg: Tensor

    def __init__(
        self,
        resolution: int,
        w_dim: int = 512,
        channel_multiplier: float = 2,
        channel_max: int = 512,
        mapping_layers: int = 8,
        channel_min: int = 1,
    ) -> None:
        super().__init__()
        depth = int(math.log2(resolution))
        if resolution != 2**depth or depth < 3:
            raise ValueError(f"resolution must be a power of two from 8, not {resolution}")
        self.resolution = resolution
        self.w_dim = w_dim
        self.levels = 2 * depth - 2

        def width(r: int) -> int:
            return channels_at(r, channel_multiplier, channel_max, channel_min)

        layers = [
            EqualLinear(w_dim, w_dim, lr_mul=0.01, activation=True) for _ in range(mapping_layers)
        ]
        self.style = nn.Sequential(PixelNorm(), *layers)
        self.input = ConstantInput(width(4))
        self.conv1 = StyledConv(width(4), width(4), w_dim)
        self.to_rgb1 = ToRGB(width(4), w_dim, up=False)
        self.convs = nn.ModuleList()
        self.to_rgbs = nn.ModuleList()
        for r in self.resolutions[1:]:
            self.convs.append(StyledConv(width(r // 2), width(r), w_dim, up=True))
            self.convs.append(StyledConv(width(r), width(r), w_dim))
            self.to_rgbs.append(ToRGB(width(r), w_dim))
        self.noises = nn.Module()
        for i in range(self.levels - 1):
            side = 2 ** ((i + 5) // 2)
            self.noises.register_buffer(f"noise_{i}", torch.randn(1, 1, side, side))
        self.register_buffer("latent_avg", torch.zeros(w_dim), persistent=False)

    @property
    def resolutions(self) -> list[int]:
        """The resolutions 4, 8, ... R."""
        return [2**i for i in range(2, int(math.log2(self.resolution)) + 1)]

    def map(
        self, z: Tensor, truncation_psi: float = 1.0, truncation_latent: Tensor | None = None
    ) -> Tensor:
        """Map Z to W.

        Args:
            z: (B,w_dim), standard normal.
            truncation_psi: Below 1, w moves towards ``truncation_latent``; 0 gives that.
            truncation_latent: (w_dim,) or (1,w_dim); None takes ``latent_avg``.

        Returns:
            w, (B,w_dim).
        """
        w = self.style(z)
        if truncation_psi < 1:
            mean = self.latent_avg if truncation_latent is None else truncation_latent
            w = mean + truncation_psi * (w - mean)
        return w

    def broadcast(self, w: Tensor) -> Tensor:
        """Repeat w (B,w_dim) at every level -> w_plus (B,L,w_dim)."""
        return w[:, None, :].expand(-1, self.levels, -1)

    def to_styles(self, w_plus: Tensor) -> list[Tensor]:
        """Map W+ to the style space.

        Args:
            w_plus: (B,L,w_dim) latent codes.

        Returns:
            One (B,channels) vector per layer, as long as the layer has input channels. The order
            is conv1, to_rgb1, then up-convolution, convolution and to-RGB of each resolution.

        Raises:
            ValueError: If ``w_plus`` has another shape.
        """
        if w_plus.ndim != 3 or w_plus.shape[1:] != (self.levels, self.w_dim):
            expected = f"(B, {self.levels}, {self.w_dim})"
            raise ValueError(f"w_plus must be {expected}, not {tuple(w_plus.shape)}")
        rows = w_plus.unbind(1)
        styles = [self.conv1.conv.modulation(rows[0]), self.to_rgb1.conv.modulation(rows[1])]
        for b, to_rgb in enumerate(self.to_rgbs):
            block = (self.convs[2 * b], self.convs[2 * b + 1], to_rgb)
            for row, layer in zip(rows[2 * b + 1 : 2 * b + 4], block, strict=True):
                layer = cast(StyledConv | ToRGB, layer)  # ModuleList forgets what it holds
                styles.append(layer.conv.modulation(row))
        return styles

    def synthesise(
        self,
        w_plus: Tensor,
        *,
        noise: Noise = "buffers",
        generator: torch.Generator | None = None,
        features: Features | None = None,
        up_to: int | None = None,
        masks: Tensor | None = None,
    ) -> Tensor:
        """Synthesise images from w_plus (B,L,w_dim) -> (B,3,R,R) float32.

        The values are nominally in [-1,1] and not clamped. The keywords are those of
        ``synthesise_styles``.
        """
        return self.synthesise_styles(
            self.to_styles(w_plus),
            noise=noise,
            generator=generator,
            features=features,
            up_to=up_to,
            masks=masks,
        )

    def synthesise_styles(
        self,
        styles: Sequence[Tensor],
        *,
        noise: Noise = "buffers",
        generator: torch.Generator | None = None,
        features: Features | None = None,
        up_to: int | None = None,
        masks: Tensor | None = None,
    ) -> Tensor:
        """Synthesise images from styles.

        Args:
            styles: The list of ``to_styles``, possibly edited.
            noise: "buffers" for the stored maps, "random" for new ones, "none" for no noise.
            generator: Source of random noise.
            features: Resolution r -> (scale, shift), each broadcastable to (B,C,r,r). Between the
                two convolutions of that resolution x becomes x * (1 + scale) + shift.
            up_to: Resolution at which to stop; None goes to R.
            masks: (B - 1,1,S,S) in [0, 1]; where given, each image but the first is the one
                before it outside its mask, see ``mix_regions``.

        Returns:
            (B,3,r,r) float32 images of the last resolution, nominally in [-1,1], not clamped.

        Raises:
            ValueError: If ``up_to`` or ``noise`` is another value.
        """
        features = features or {}
        last = up_to or self.resolution
        if last not in self.resolutions:
            raise ValueError(f"up_to must be one of {self.resolutions}, not {up_to}")
        maps = self._noise_maps(noise, styles[0].shape[0], generator)
        x, image = self._lowest(styles, maps)
        blocks = range(self.resolutions.index(last))
        return self._blocks(blocks, x, image, styles, maps, features, masks)[1]

    def synthesise_with_redraw(
        self,
        w_plus: Tensor,
        side: int,
        masks: Tensor | None = None,
        up_to: int | None = None,
    ) -> tuple[Tensor, Redraw]:
        """Synthesise images, and return a function that repeats it with changed features.

        The images are those of ``synthesise`` without and with ``features={side: change}``. The
        repetition starts at the features of ``side``, so it costs little more than half.

        Args:
            w_plus: (B,L,w_dim) latent codes.
            side: Resolution of the changed features, from 8.
            masks: As in ``synthesise_styles``.
            up_to: Resolution r, from ``side``, of the images without the change; None takes R.

        Returns:
            The images (B,3,r,r) float32, and a function from a change of the features, scale and
            shift (B,C,side,side), to the changed images (B,3,R,R).
        """
        styles = self.to_styles(w_plus)
        maps = self._noise_maps("buffers", w_plus.shape[0], None)
        start = self.resolutions[1:].index(side)
        x, image = self._blocks(range(start), *self._lowest(styles, maps), styles, maps, {}, masks)
        x = self._upsample(start, x, styles, maps)

        def finish(change: Change | None, last: int = self.resolution) -> Tensor:
            y, skip = self._finish_block(start, x, image, styles, maps, change, masks)
            above = range(start + 1, self.resolutions.index(last))
            return self._blocks(above, y, skip, styles, maps, {}, masks)[1]

        return finish(None, up_to or self.resolution), finish

    def synthesise_lower(
        self, styles: Sequence[Tensor], side: int, masks: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Run the layers up to one resolution.

        Args:
            styles: The list of ``to_styles``, possibly edited.
            side: The resolution, from 4; only styles up to it count.
            masks: As in ``synthesise_styles``.

        Returns:
            The features (B,C,side,side) after its last convolution, and the image so far
            (B,3,side,side) float32.
        """
        maps = self._noise_maps("buffers", styles[0].shape[0], None)
        blocks = range(self.resolutions.index(side))
        return self._blocks(blocks, *self._lowest(styles, maps), styles, maps, {}, masks)

    def synthesise_upper(
        self,
        styles: Sequence[Tensor],
        features: Tensor,
        image: Tensor,
        masks: Tensor | None = None,
    ) -> Tensor:
        """Run the layers above the resolution of features and image.

        After ``synthesise_lower`` this gives the image of ``synthesise``; features of another
        origin change it. The image so far is kept: the layers above only add to it.

        Args:
            styles: The list of ``to_styles``, possibly edited.
            features: (B,C,side,side).
            image: (B,3,side,side) float32.
            masks: As in ``synthesise_styles``.

        Returns:
            (B,3,R,R) float32 images, nominally in [-1,1], not clamped.
        """
        maps = self._noise_maps("buffers", styles[0].shape[0], None)
        blocks = range(self.resolutions.index(image.shape[-1]), len(self.to_rgbs))
        return self._blocks(blocks, features, image, styles, maps, {}, masks)[1]

    def _lowest(self, styles: Sequence[Tensor], maps: NoiseMaps) -> tuple[Tensor, Tensor]:
        """Compute the features (B,C,4,4) and the image (B,3,4,4)."""
        x = self.input.input.contiguous(memory_format=torch.channels_last)
        x = self.conv1(x, styles[0], maps[0])
        return x, self.to_rgb1(x, styles[1], None)

    def _blocks(
        self,
        blocks: range,
        x: Tensor,
        image: Tensor,
        styles: Sequence[Tensor],
        maps: NoiseMaps,
        features: Features,
        masks: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Run whole blocks; returns features (B,C,r,r) and image (B,3,r,r) after the last."""
        for b in blocks:
            x = self._upsample(b, x, styles, maps)
            change = features.get(self.resolutions[b + 1])
            x, image = self._finish_block(b, x, image, styles, maps, change, masks)
        return x, image

    def _upsample(self, b: int, x: Tensor, styles: Sequence[Tensor], maps: NoiseMaps) -> Tensor:
        """Run the first convolution of block ``b``: (B,C,r/2,r/2) -> (B,C',r,r)."""
        return self.convs[2 * b](x, styles[3 * b + 2], maps[2 * b + 1])

    def _finish_block(
        self,
        b: int,
        x: Tensor,
        image: Tensor,
        styles: Sequence[Tensor],
        maps: NoiseMaps,
        change: Change | None,
        masks: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Change the features x (B,C',r,r), run the second convolution, and add to the image.

        Returns features (B,C',r,r) and image (B,3,r,r).
        """
        if change is not None:
            scale, shift = change
            x = x * (1 + scale).to(x.dtype) + shift.to(x.dtype)
        x = self.convs[2 * b + 1](x, styles[3 * b + 3], maps[2 * b + 2])
        image = self.to_rgbs[b](x, styles[3 * b + 4], image)
        if masks is not None and self.resolutions[b + 1] in MIXED:
            return mix_regions(x, masks), mix_regions(image, masks)
        return x, image

    def forward(self, w_plus: Tensor) -> Tensor:
        """Call ``synthesise`` with its defaults: (B,L,w_dim) -> (B,3,R,R)."""
        return self.synthesise(w_plus)

    def _noise_maps(
        self, noise: Noise, batch: int, generator: torch.Generator | None
    ) -> list[Tensor | None]:
        stored = [noise_map.float() for noise_map in self.noises.buffers()]
        if noise == "buffers":
            return list[Tensor | None](stored)
        if noise == "none":
            return [None] * len(stored)
        if noise != "random":
            raise ValueError(f"noise must be 'buffers', 'random' or 'none', not {noise!r}")
        return [
            torch.randn(
                batch, *n.shape[1:], generator=generator, device=n.device, dtype=torch.float32
            )
            for n in stored
        ]
