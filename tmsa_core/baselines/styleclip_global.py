"""StyleCLIP's global directions: a shift in the style space.

Paper: Patashnik et al. 2021, "StyleCLIP: Text-Driven Manipulation of StyleGAN Imagery", section 6.
Once per generator, it measures the direction in which each style channel moves the image in CLIP's
space. For each text it shifts the channels whose direction agrees with the text's by at least a
threshold beta.

Reference implementation: orpatashnik/StyleCLIP, global_directions and global_torch. Differences:

- The text direction averages all 80 prompt templates; their list has 79.
- All codes for the channels' mean and deviation are truncated.
- All layers but the to-RGB ones are measured; global_torch stops at a resolution of 128.
- A channel that has been measured keeps its own value in later images; in their script it keeps
  its mean value.
- The images are synthesised in bfloat16.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from tmsa_core.baselines.interface import (
    Edit,
    FrozenNetworks,
    Texts,
    load_part,
    part_path,
    part_seconds,
    save_part,
)
from tmsa_core.domains import find_domain
from tmsa_core.editing.shift import embed_text
from tmsa_core.errors import TextError
from tmsa_core.networks.stylegan2 import Generator

PART = "styleclip_global"
BATCH = 32
BETAS = tuple(round(0.29 - 0.01 * i, 2) for i in range(20))  # 0.29, 0.28 ... 0.10
# Channels that the automatic beta leaves at least, as in the authors' code.
MIN_CHANNELS, MIN_CHANNELS_NO_FACE = 20, 100


@dataclass(frozen=True)
class Settings:
    """The authors' settings.

    Attributes:
        codes: Random codes for the mean and deviation of each channel.
        pairs: Pairs of images for each channel.
        truncation: Truncation of the codes.
        sigmas: A channel moves from minus to plus this many deviations.
        seed: Seed of the codes.
    """

    codes: int = 100_000
    pairs: int = 100
    truncation: float = 0.7
    sigmas: float = 5.0
    seed: int = 5


SETTINGS: dict[str, Settings] = {}  # domains with other settings: none


def find_edit(networks: FrozenNetworks, w_plus: Tensor, texts: Texts) -> Edit:
    """The shift of section 6, the same for all codes w_plus (B,L,512).

    Raises:
        TextError: If CLIP embeds both texts alike.
    """
    neutral, target = (embed_text(networks.clip, t) for t in (texts.neutral, texts.target))
    if torch.allclose(neutral, target, atol=1e-6):
        raise TextError("The two texts mean the same to CLIP: say what should change.")
    prepare(networks)
    part = load_part(networks, PART)
    relevance = part["directions"] @ F.normalize(target - neutral, dim=0)  # (channels,)
    fewest = MIN_CHANNELS if find_domain(networks.domain).is_face else MIN_CHANNELS_NO_FACE
    shift = channel_shift(relevance, automatic_beta(relevance, fewest)) * part["std"]
    return Edit(style_shift=to_layers(networks.generator, shift))


def automatic_beta(relevance: Tensor, fewest: int = MIN_CHANNELS) -> float:
    """The largest of 0.29, 0.28 ... 0.10 that leaves more than ``fewest`` channels.

    If there is none: 0.10, or the largest absolute relevance (channels,) if that is smaller.
    """
    size = relevance.abs()
    for beta in BETAS:
        if int((size >= beta).sum()) > fewest:
            return beta
    return min(BETAS[-1], float(size.max()))


def channel_shift(relevance: Tensor, beta: float) -> Tensor:
    """Relevance (channels,) with entries below ``beta`` set to 0 and the largest scaled to 1."""
    chosen = torch.where(relevance.abs() >= beta, relevance, torch.zeros_like(relevance))
    return chosen / chosen.abs().max()


def edited_layers(generator: Generator) -> list[int]:
    """Positions in ``Generator.to_styles`` of all layers but the to-RGB ones."""
    return [0] + [3 * b + k for b in range(len(generator.to_rgbs)) for k in (2, 3)]


def to_layers(generator: Generator, shift: Tensor) -> tuple[Tensor, ...]:
    """Split a shift (channels,) of the edited layers -> one (1,n) for each style vector."""
    example = generator.to_styles(generator.broadcast(generator.latent_avg[None]))
    result = [torch.zeros_like(style) for style in example]
    layers = edited_layers(generator)
    for layer, part in zip(layers, shift.split([example[i].shape[1] for i in layers]), strict=True):
        result[layer] = part[None]
    return tuple(result)


@torch.inference_mode()
def prepare(networks: FrozenNetworks) -> float:
    """Measure every channel if necessary; returns the seconds that it took.

    Each layer is saved when it is ready, so that the same call continues after an interruption.
    """
    if part_path(networks, PART).exists():
        return part_seconds(networks, PART)
    settings = SETTINGS.get(networks.domain, Settings())
    # 1. Load the layers that an earlier call has measured.
    begun, done, spent = f"{PART}-begun", {}, 0.0
    if part_path(networks, begun).exists():
        done, spent = load_part(networks, begun), part_seconds(networks, begun)
    start = time.perf_counter() - spent
    # 2. Measure the missing layers, channel by channel.
    mean, std, codes = _statistics(networks, settings)
    layers = edited_layers(networks.generator)
    missing = [layer for layer in layers if str(layer) not in done]
    with tqdm(total=sum(len(mean[i]) for i in missing), desc="channels", mininterval=5) as bar:
        for layer in missing:
            rows = []
            for channel in range(len(mean[layer])):
                networks.progress(bar.n, bar.total, "measuring channels")
                reach = settings.sigmas * std[layer][channel]
                ends = (mean[layer][channel] - reach, mean[layer][channel] + reach)
                rows.append(_direction(networks, codes, layer, channel, ends))
                bar.update()
            done[str(layer)] = torch.stack(rows)
            save_part(networks, begun, done, time.perf_counter() - start)
    # 3. Save the result, and remove the layers.
    parts = {
        "directions": torch.cat([done[str(i)] for i in layers]),
        "std": torch.cat([std[i] for i in layers]),
    }
    save_part(networks, PART, parts, time.perf_counter() - start, pairs=settings.pairs)
    part_path(networks, begun).unlink()
    return part_seconds(networks, PART)


def _statistics(
    networks: FrozenNetworks, settings: Settings
) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """Statistics of random truncated codes for each layer.

    Returns:
        The means (channels,), the standard deviations (channels,), and the first style vectors
        (pairs,channels).
    """
    generator = networks.generator
    rng = torch.Generator().manual_seed(settings.seed)
    z = torch.randn(settings.codes, generator.w_dim, generator=rng)
    first: list[Tensor] = []
    sums: list[list[Tensor]] = []
    for some in z.split(4096):
        w = generator.map(some.to(networks.device), settings.truncation)
        styles = generator.to_styles(generator.broadcast(w))
        first = first or [s[: settings.pairs].clone() for s in styles]
        sums.append([torch.stack([s.double().sum(0), s.double().square().sum(0)]) for s in styles])
    moments = [sum(layer) / settings.codes for layer in zip(*sums, strict=True)]
    mean = [m[0].float() for m in moments]
    std = [(m[1] - m[0].square()).clamp_min(0).sqrt().float() for m in moments]
    return mean, std, first


def _direction(
    networks: FrozenNetworks,
    codes: Sequence[Tensor],
    layer: int,
    channel: int,
    ends: tuple[Tensor, Tensor],
) -> Tensor:
    """Unit direction (D,) in CLIP's space from the low to the high value of one channel.

    Args:
        networks: G and CLIP.
        codes: Style vectors (pairs,channels), one for each position of ``to_styles``.
        layer: Position of the channel's style vector.
        channel: Number of the channel in it.
        ends: The low and the high value, scalars.
    """
    moved = [torch.cat([style] * len(ends)) for style in codes]
    moved[layer][:, channel] = torch.stack(ends).repeat_interleave(len(codes[layer]))
    parts = zip(*(style.split(BATCH) for style in moved), strict=True)
    seen = []
    for part in parts:  # bfloat16 suffices: its rounding is small against 5 deviations
        with torch.autocast(torch.device(networks.device).type, torch.bfloat16):
            images = networks.generator.synthesise_styles(part)
        seen.append(networks.clip.embed_images(images))
    low, high = torch.cat(seen).chunk(2)
    return F.normalize(F.normalize(high - low, dim=1).mean(dim=0), dim=0)
