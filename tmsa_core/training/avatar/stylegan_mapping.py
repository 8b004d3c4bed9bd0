"""The mapping network of the avatar StyleGAN2: z -> w, the code of the portrait z describes.

The target is separable: each trait and attribute depends on a few entries of z alone. So the
hidden units are dealt out to the attributes and only units of the same attribute are connected;
the last layer joins them. The network's layout stays StyleGAN2's. It ends in a leaky ReLU, so
codes are lifted by ``LIFT`` to where that is linear; the lift becomes the mean of W.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tmsa_core.avatars.params import ATTRIBUTES, LATENT_DIMS, TRAITS, portraits_from_latent
from tmsa_core.networks.stylegan2 import Generator
from tmsa_core.training.avatar.w_codes import W_DIM, portrait_codes
from tmsa_core.training.run import Options, Run, set_rate

SAMPLES = 5_000_000
BATCH = 512
RATE = 0.3  # large because equalised layers of lr_mul 0.01 move a hundredth of a step
LIFT = 4.0  # standard deviations of W
TRAIT_UNITS = 4


def input_groups() -> list[list[int]]:
    """The entries of z that decide each trait or attribute; wrinkles share age's group."""
    groups = [[i] for i in range(len(TRAITS))]
    named: dict[str, list[int]] = {}
    start = len(TRAITS)
    for name, attribute in ATTRIBUTES.items():
        owner = "age" if name == "wrinkles" else name
        stop = start + len(attribute.options)
        named.setdefault(owner, []).extend(range(start, stop))
        start = stop
    return groups + list(named.values())


def unit_groups() -> list[int]:
    """For each of the 512 hidden units, the group it belongs to."""
    sizes = [len(group) for group in input_groups()]
    free = W_DIM - TRAIT_UNITS * len(TRAITS)
    share = free / (LATENT_DIMS - len(TRAITS))
    owners = [g for g in range(len(TRAITS)) for _ in range(TRAIT_UNITS)]
    for g in range(len(TRAITS), len(sizes)):
        owners += [g] * int(share * sizes[g])
    return owners + [len(sizes) - 1] * (W_DIM - len(owners))


def masks() -> tuple[Tensor, Tensor]:
    """(512,512) connections of the first layer, and of the hidden ones: 1 where allowed."""
    owners = torch.tensor(unit_groups())
    first = torch.zeros(W_DIM, W_DIM)
    for g, entries in enumerate(input_groups()):
        rows = (owners == g).nonzero()
        first[rows, torch.tensor(entries)] = 1
    return first, (owners[:, None] == owners[None, :]).float()


def new_mapping(architecture: dict[str, float]) -> tuple[nn.Sequential, list[Tensor]]:
    """A mapping network with orthogonal blocks, and the mask of each of its layers."""
    mapping = Generator(**architecture).style
    first, hidden = masks()
    layers = list(mapping)[1:]
    connected = [first, *[hidden] * (len(layers) - 2), torch.ones(W_DIM, W_DIM)]
    for layer, mask in zip(layers, connected, strict=True):
        weight = torch.randn(W_DIM, W_DIM) * mask
        weight = weight / weight.square().sum(dim=1, keepdim=True).sqrt()
        layer.weight.data.copy_(weight * math.sqrt(W_DIM) / layer.lr_mul)
    layers[-1].weight.data.mul_(0.1)
    layers[-1].bias.data.fill_(LIFT / math.sqrt(2) / layers[-1].lr_mul)
    return mapping, connected


def train_mapping(options: Options, architecture: dict[str, float]) -> None:
    """Teach the mapping network by plain regression; resumes from its last checkpoint."""
    run = Run("mapping", options, SAMPLES)
    torch.manual_seed(options.seed)
    mapping, connected = new_mapping(architecture)
    mapping, connected = mapping.to(options.device), [m.to(options.device) for m in connected]
    optimiser = torch.optim.Adam(mapping.parameters(), betas=(0.9, 0.99))
    parts = {"mapping": mapping, "optimiser": optimiser}
    done = run.resume(parts)
    while run.should_continue(done):
        rng = torch.Generator().manual_seed(options.seed * 1_000_003 + done)
        z = torch.randn(BATCH, W_DIM, generator=rng)
        w = (portrait_codes(portraits_from_latent(z)) + LIFT).to(options.device)
        warm = min(1.0, done / 50_000 + 0.01)
        set_rate(optimiser, RATE * warm * (1 - done / SAMPLES) + 1e-3)
        loss = F.mse_loss(mapping(z.to(options.device)), w)
        optimiser.zero_grad()
        loss.backward()
        for layer, mask in zip(list(mapping)[1:], connected, strict=True):
            layer.weight.grad.mul_(mask)
        optimiser.step()
        done += BATCH
        if done % (400 * BATCH) == 0:
            run.log(done, explained=1 - loss / w.var())
        if run.checkpoint_due():
            run.save_checkpoint(parts, done)
    run.save_checkpoint(parts, done)
