"""The mapping network of the avatar StyleGAN2: z -> w, the code of the portrait z describes.

The target is separable: each trait and attribute depends on a few entries of z only. Therefore the
hidden units are divided among the attributes, and only units of the same attribute are connected;
the last layer joins them. The architecture stays StyleGAN2's. It ends in a leaky ReLU, so ``LIFT``
is added to the codes, which moves them to where that is linear; it becomes the mean of W.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tmsa_core.avatars.params import ATTRIBUTES, LATENT_DIMS, TRAITS, portraits_from_latent
from tmsa_core.networks.stylegan2 import Generator
from tmsa_core.training.avatar.w_codes import W_DIM, portrait_codes
from tmsa_core.training.run import Options, Run, seeded, set_rate

SAMPLES = 5_000_000
BATCH = 512
RATE = 0.3  # large because equalised layers of lr_mul 0.01 move a hundredth of a step
LIFT = 4.0  # standard deviations of W
TRAIT_UNITS = 4


def input_groups() -> list[list[int]]:
    """The entries of z that determine each trait or attribute; wrinkles share the group of age."""
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
    """The group number of each of the 512 hidden units."""
    sizes = [len(group) for group in input_groups()]
    free = W_DIM - TRAIT_UNITS * len(TRAITS)
    share = free / (LATENT_DIMS - len(TRAITS))
    owners = [g for g in range(len(TRAITS)) for _ in range(TRAIT_UNITS)]
    for g in range(len(TRAITS), len(sizes)):
        owners += [g] * int(share * sizes[g])
    return owners + [len(sizes) - 1] * (W_DIM - len(owners))


def masks() -> tuple[Tensor, Tensor]:
    """Allowed connections of the first and of the hidden layers, (512,512) each: 1 or 0."""
    owners = torch.tensor(unit_groups())
    first = torch.zeros(W_DIM, W_DIM)
    for g, entries in enumerate(input_groups()):
        rows = (owners == g).nonzero()
        first[rows, torch.tensor(entries)] = 1
    return first, (owners[:, None] == owners[None, :]).float()


def new_mapping(architecture: dict[str, float]) -> tuple[nn.Sequential, list[Tensor]]:
    """An untrained mapping network, and the mask (512,512) of each of its layers.

    The weights come from PyTorch's global generator.
    """
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
    """Train the mapping network by regression on known codes; resumes from its last checkpoint."""
    run, device = Run("mapping", options, SAMPLES), options.device
    with seeded(options.seed):
        mapping, connected = new_mapping(architecture)
    mapping, connected = mapping.to(device), [mask.to(device) for mask in connected]
    optimiser = torch.optim.Adam(mapping.parameters(), betas=(0.9, 0.99))
    stateful = {"mapping": mapping, "optimiser": optimiser}
    done = run.resume(stateful)
    while run.should_continue(done):
        # 1. Draw z and compute the codes of the portraits that they describe.
        z = torch.randn(BATCH, W_DIM, generator=run.rng_at(done))
        w = (portrait_codes(portraits_from_latent(z)) + LIFT).to(device)
        # 2. Map z, and compare.
        loss = F.mse_loss(mapping(z.to(device)), w)
        # 3. Update the allowed connections.
        warm = min(1.0, done / 50_000 + 0.01)
        set_rate(optimiser, RATE * warm * (1 - done / SAMPLES) + 1e-3)
        optimiser.zero_grad()
        loss.backward()
        for layer, mask in zip(list(mapping)[1:], connected, strict=True):
            layer.weight.grad.mul_(mask)
        optimiser.step()
        done += BATCH
        # 4. Log, and save a checkpoint from time to time.
        if done % (400 * BATCH) == 0:
            run.log(done, explained=1 - loss / w.var())
        if run.checkpoint_due():
            run.save_checkpoint(stateful, done)
    run.save_checkpoint(stateful, done)
