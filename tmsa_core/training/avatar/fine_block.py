"""Trains the last block of a grown generator (``grow.py``) on renders of its resolution.

All layers below stay as they are, and with them the picture of half the resolution, the meaning of
W+ and every other network of the bundle. So their features are computed once for each portrait,
and the block learns from parts of images, of many portraits in little time. The pixel loss and the
pairs are those of the generator's training (``generator.py``).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tmsa_core.networks.stylegan2 import Generator
from tmsa_core.training.avatar.generator import (
    lift_codes,
    noisy_codes,
    optimisers,
    sampling_weights,
    show,
)
from tmsa_core.training.avatar.pixels import changed_weight, face_weight, paired_loss, psnr
from tmsa_core.training.avatar.renders import Pool, open_pairs
from tmsa_core.training.avatar.stylegan_mapping import LIFT
from tmsa_core.training.avatar.w_codes import features
from tmsa_core.training.run import Options, Run, set_rate, update_average
from tmsa_core.weights.network_files import load_network

STAGE = "fine"  # folder of the run and of its renders
PATCHES = 240_000
BATCH = 8
PAIRS = 640  # pairs of portraits whose features are kept in memory, 1.2 GB
FRESH = 2_000  # steps until others take their place
SHARE = 2  # a patch has this fraction of an image's side
RATE = 6e-3  # falls linearly to 15 %
NOISE = 0.5  # strength of ``noisy_codes``; more of it blurs outlines
HALF_LIFE = 2_000  # of the averaged weights, in patches
BORDER = 4  # pixels at the edge of a patch that its zero padding may change
TOGETHER = 8  # portraits whose features are computed at once


@dataclass(frozen=True)
class Below:
    """What the last block starts from, for N portraits.

    Attributes:
        features: (N,C,R/2,R/2) bfloat16.
        images: (N,3,R/2,R/2) float16.
        rows: The rows (N,3,512) of W+ that the block reads.
    """

    features: Tensor
    images: Tensor
    rows: Tensor

    def patch(self, index: Tensor, top: int, left: int, side: int) -> Below:
        """The portraits ``index`` (B,), and of them a square of ``side`` pixels."""
        part = (slice(None), slice(top, top + side), slice(left, left + side))
        cut = (
            torch.stack([x[i][part] for i in index.tolist()]) for x in (self.features, self.images)
        )
        return Below(*cut, self.rows[index])


def last_block(model: Generator) -> nn.ModuleList:
    """The layers that learn: two convolutions and the to-RGB layer."""
    return nn.ModuleList([*model.convs[-2:], model.to_rgbs[-1]])


@torch.no_grad()
def run_below(model: Generator, w_plus: Tensor) -> Below:
    """Run all layers but the last block: w_plus (N,L,512)."""
    parts = []
    for w in w_plus.split(TOGETHER):
        with torch.autocast(w.device.type, torch.bfloat16):
            x, image = model.synthesise_lower(model.to_styles(w), model.resolution // 2)
        parts.append((x.bfloat16(), image.half()))
    x, images = (torch.cat(part) for part in zip(*parts, strict=True))
    return Below(x, images, w_plus[:, -3:])


def draw_patch(model: Generator, below: Below, top: int, left: int) -> Tensor:
    """Run the last block on squares of its input, cut at ``top`` and ``left`` -> (B,3,2S,2S)."""
    first, second, to_rgb = last_block(model)
    side = 2 * below.features.shape[-1]
    part = (..., slice(2 * top, 2 * top + side), slice(2 * left, 2 * left + side))
    maps = [m[part] for m in list(model.noises.buffers())[-2:]]
    layers = zip((first, second, to_rgb), below.rows.unbind(1), strict=True)
    styles = [layer.conv.modulation(row) for layer, row in layers]
    x = below.features.contiguous(memory_format=torch.channels_last)
    with torch.autocast(x.device.type, torch.bfloat16):
        x = second(first(x, styles[0], maps[0]), styles[1], maps[1])
        return to_rgb(x, styles[2], below.images.float())


def insert(model: Generator, trained: dict[str, Tensor]) -> None:
    """Put the state dict of a block trained on centred codes into a finished generator."""
    block = last_block(model)
    block.load_state_dict(trained)
    lift_codes(block, LIFT)


def load_centred(options: Options) -> Generator:
    """The bundle's generator, changed to expect the centred codes of the training."""
    model = load_network("stylegan2", options.out / "generator.safetensors", options.device)
    lift_codes(model, -LIFT)
    return model


def choose_pairs(pools: tuple[Pool, Pool], rng: torch.Generator) -> Tensor:
    """Row numbers (up to PAIRS,) of the pairs to learn from; fine changes are more frequent."""
    chances = sampling_weights(*(pool.portraits for pool in pools))
    return torch.multinomial(chances, min(PAIRS, len(chances)), generator=rng)


def train_fine_block(options: Options) -> None:
    """Train the last block of the bundle's generator; resumes from its last checkpoint."""
    run, device = Run(STAGE, options, PATCHES), options.device
    model, average = load_centred(options), load_centred(options)
    block, averaged = last_block(model), last_block(average)
    for name, weight in block.named_parameters():
        weight.requires_grad_(not name.endswith("noise.weight"))
    learners = optimisers(model)
    stateful = {"model": block, "average": averaged, **learners}
    done, step = run.resume(stateful), 0
    pools, rng = open_pairs(options.work / STAGE), run.rng_at(done)
    codes = [features(pool.portraits) for pool in pools]
    face = face_weight(model.resolution).to(device)
    side = model.resolution // 2 // SHARE
    while run.should_continue(done):
        # 1. From time to time choose other pairs, and run the layers below for them.
        if step % FRESH == 0:
            rows = choose_pairs(pools, rng)
            clean = torch.cat([code[rows] for code in codes])
            below = run_below(model, noisy_codes(clean, model.levels, NOISE, rng).to(device))
        # 2. Draw portraits, each paired with itself after one change, and a place in all images.
        index = torch.randint(len(rows), (BATCH // 2,), generator=rng)
        top, left = torch.randint(model.resolution // 2 - side + 1, (2,), generator=rng).tolist()
        edges = (slice(2 * x + BORDER, 2 * (x + side) - BORDER) for x in (top, left))
        part = (..., *edges)
        real = torch.cat([pool.images(rows[index])[part] for pool in pools]).to(device)
        # 3. Draw the patches, and compare them with the renders.
        both = torch.cat([index, index + len(rows)])
        made = draw_patch(model, below.patch(both, top, left, side), top, left)
        made = made[..., BORDER:-BORDER, BORDER:-BORDER]
        loss = paired_loss(made, real, face[part] + changed_weight(real))
        # 4. Update the block and its average.
        model.zero_grad()
        loss.backward()
        for learner in learners.values():
            set_rate(learner, RATE * (1 - 0.85 * done / PATCHES))
            learner.step()
        update_average(averaged, block, 0.5 ** (BATCH / HALF_LIFE))
        done += BATCH
        step += 1
        # 5. Log, and save a checkpoint and a sample grid from time to time.
        if step % 50 == 0:
            run.log(done, loss=loss, psnr=psnr(made.detach(), real))
        if run.checkpoint_due():
            run.save_checkpoint(stateful, done)
            show(run, average, pools[0], codes[0], model.resolution)
    run.save_checkpoint(stateful, done)
    show(run, average, pools[0], codes[0], model.resolution)
