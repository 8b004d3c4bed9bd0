"""StyleCLIP's global directions (Patashnik et al. 2021, section 6): a step in the style space.

Once for a generator: where in CLIP's space each style channel moves the image. For a text: the
channels whose direction agrees with the text's, those below a threshold beta left alone.

Unlike the authors' script, a channel that has been measured keeps its own value in the images
of all later ones.
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
MIN_IMAGES, FEWEST_ELSEWHERE = 20, 100  # channels that the automatic beta leaves at least: on faces


@dataclass(frozen=True)
class Settings:
    """codes: how many give the channels' mean and spread. pairs: images for each channel."""

    codes: int = 100_000
    pairs: int = 100
    truncation: float = 0.7
    sigmas: float = 5.0
    seed: int = 5


SETTINGS: dict[str, Settings] = {}
"""Where a domain differs: nowhere so far."""


def find_edit(world: FrozenNetworks, w_plus: Tensor, texts: Texts) -> Edit:
    """The step of section 6, the same for every code. TextError for texts of equal meaning."""
    neutral, target = (embed_text(world.clip, t) for t in (texts.neutral, texts.target))
    if torch.allclose(neutral, target, atol=1e-6):
        raise TextError("The two texts mean the same to CLIP: say what should change.")
    prepare(world)
    part = load_part(world, PART)
    relevance = part["directions"] @ F.normalize(target - neutral, dim=0)  # (channels,)
    fewest = MIN_IMAGES if find_domain(world.domain).is_face else FEWEST_ELSEWHERE
    step = channel_step(relevance, automatic_beta(relevance, fewest)) * part["std"]
    return Edit(style_shift=to_layers(world.generator, step))


def automatic_beta(relevance: Tensor, fewest: int = MIN_IMAGES) -> float:
    """The largest of 0.29, 0.28 ... 0.10 that leaves more than ``fewest`` channels, or else 0.10.

    relevance: (channels,). Where even 0.10 leaves none, the strength of the most relevant channel.
    """
    size = relevance.abs()
    for beta in BETAS:
        if int((size >= beta).sum()) > fewest:
            return beta
    return min(BETAS[-1], float(size.max()))


def channel_step(relevance: Tensor, beta: float) -> Tensor:
    """(channels,): relevance with entries below ``beta`` zeroed, the largest brought to 1."""
    chosen = torch.where(relevance.abs() >= beta, relevance, torch.zeros_like(relevance))
    return chosen / chosen.abs().max()


def edited_layers(generator: Generator) -> list[int]:
    """Positions in ``to_styles`` of all layers that are not to-RGB."""
    return [0] + [3 * b + k for b in range(len(generator.to_rgbs)) for k in (2, 3)]


def to_layers(generator: Generator, step: Tensor) -> tuple[Tensor, ...]:
    """(channels,) of the edited layers, one after the other -> one (1,n) for each style vector."""
    example = generator.to_styles(generator.broadcast(generator.latent_avg[None]))
    result = [torch.zeros_like(style) for style in example]
    layers = edited_layers(generator)
    for layer, part in zip(layers, step.split([example[i].shape[1] for i in layers]), strict=True):
        result[layer] = part[None]
    return tuple(result)


@torch.inference_mode()
def prepare(world: FrozenNetworks) -> float:
    """Measure every channel unless that is done; the seconds that it took.

    What is done is kept layer by layer, so that the same call goes on after an interruption.
    """
    if part_path(world, PART).exists():
        return part_seconds(world, PART)
    settings = SETTINGS.get(world.domain, Settings())
    begun, done, spent = f"{PART}-begun", {}, 0.0
    if part_path(world, begun).exists():
        done, spent = load_part(world, begun), part_seconds(world, begun)
    start = time.perf_counter() - spent
    mean, std, codes = _statistics(world, settings)
    layers = edited_layers(world.generator)
    missing = [layer for layer in layers if str(layer) not in done]
    with tqdm(total=sum(len(mean[i]) for i in missing), desc="channels", mininterval=5) as bar:
        for layer in missing:
            rows = []
            for channel in range(len(mean[layer])):
                world.tick(bar.n, bar.total)
                reach = settings.sigmas * std[layer][channel]
                ends = (mean[layer][channel] - reach, mean[layer][channel] + reach)
                rows.append(_direction(world, codes, layer, channel, ends))
                bar.update()
            done[str(layer)] = torch.stack(rows)
            save_part(world, begun, done, time.perf_counter() - start)
    parts = {
        "directions": torch.cat([done[str(i)] for i in layers]),
        "std": torch.cat([std[i] for i in layers]),
    }
    save_part(world, PART, parts, time.perf_counter() - start, pairs=settings.pairs)
    part_path(world, begun).unlink()
    return part_seconds(world, PART)


def _statistics(
    world: FrozenNetworks, settings: Settings
) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """Of truncated random codes, layer by layer: mean and deviation (channels,), the first codes.

    The first codes are (pairs,channels) each.
    """
    generator = world.generator
    rng = torch.Generator().manual_seed(settings.seed)
    z = torch.randn(settings.codes, generator.w_dim, generator=rng)
    first: list[Tensor] = []
    sums: list[list[Tensor]] = []
    for some in z.split(4096):
        w = generator.map(some.to(world.device), settings.truncation)
        styles = generator.to_styles(generator.broadcast(w))
        first = first or [s[: settings.pairs].clone() for s in styles]
        sums.append([torch.stack([s.double().sum(0), s.double().square().sum(0)]) for s in styles])
    moments = [sum(layer) / settings.codes for layer in zip(*sums, strict=True)]
    mean = [m[0].float() for m in moments]
    std = [(m[1] - m[0].square()).clamp_min(0).sqrt().float() for m in moments]
    return mean, std, first


def _direction(
    world: FrozenNetworks, codes: Sequence[Tensor], layer: int, channel: int, ends: Sequence[Tensor]
) -> Tensor:
    """(clip_dim,) unit: how CLIP sees one channel go from the low end to the high one.

    codes: style vectors (pairs,channels), one for each position of ``to_styles``. ends: the two
    values of the channel, scalars.
    """
    moved = [torch.cat([style] * len(ends)) for style in codes]
    moved[layer][:, channel] = torch.stack(list(ends)).repeat_interleave(len(codes[layer]))
    parts = zip(*(style.split(BATCH) for style in moved), strict=True)
    seen = []
    for part in parts:  # in bfloat16, as 5 standard deviations show and its rounding does not
        with torch.autocast(torch.device(world.device).type, torch.bfloat16):
            images = world.generator.synthesise_styles(part)
        seen.append(world.clip.embed_images(images))
    low, high = torch.cat(seen).chunk(2)
    return F.normalize(F.normalize(high - low, dim=1).mean(dim=0), dim=0)
