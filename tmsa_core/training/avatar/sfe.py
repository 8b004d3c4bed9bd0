"""The avatar StyleFeatureEditor: features that hold what e4e's code loses, also after an edit.

The published training (Bobkov et al. 2024, section 3.3) has two phases: the inverter on photos,
then the feature editor on images of the generator, because no photo shows a face before and after
an edit. For drawn portraits the image after an edit is known, so one phase trains both, on
portraits to reconstruct and on edited pairs. The losses are the published ones: pixels, perceptual,
identity, and a small one that keeps the features near the generator's own.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tmsa_core.networks.sfe import SFE, Fuser, avatar_architecture
from tmsa_core.networks.stylegan2 import Generator, channels_at
from tmsa_core.training.avatar import generator as generator_stage
from tmsa_core.training.avatar.critic import same_patch
from tmsa_core.training.avatar.hfgi import EDITED, KEPT, draw_batch
from tmsa_core.training.avatar.perceptual import clip_features, feature_distance
from tmsa_core.training.avatar.pixels import face_weight, paired_loss, psnr
from tmsa_core.training.avatar.renders import open_pairs
from tmsa_core.training.run import (
    Options,
    Run,
    decayed_rate,
    seeded,
    set_rate,
    update_average,
)
from tmsa_core.weights.network_files import load_network

SIDE = 64  # resolution of the generator whose last features are replaced
ARCHITECTURE = avatar_architecture(
    channels_at(
        SIDE,
        generator_stage.ARCHITECTURE["channel_multiplier"],
        int(generator_stage.ARCHITECTURE["channel_max"]),
    )
)
IMAGES = 47_000  # as many as HFGI's
RATE = 3e-3
WEIGHTS = {  # of the losses; the last three are the published ones
    "pixels": 1.0,  # error of the image
    "features": 0.8,  # perceptual distance in the features of CLIP
    "identity": 0.1,  # cosine distance of the identity embeddings
    "near": 0.01,  # squared distance of F from the generator's own features
}


def new_sfe() -> SFE:
    """Untrained networks that invert and edit as the generator alone does.

    The fuser returns the generator's own features, the feature editor subtracts what an edit
    changes in them.
    """
    model = SFE(**ARCHITECTURE)
    channels = ARCHITECTURE["channels"]
    same, nothing = torch.eye(channels), torch.zeros(channels, channels)
    fuser, editor = model.inverter.fuser, model.encoder
    assert editor is not None
    for network, first, second in ((fuser, nothing, same), (editor, same, -same)):
        _start_linear(network, torch.cat([first, second], dim=1))
    return model


def _start_linear(network: Fuser, matrix: Tensor) -> None:
    """Let a fuser compute one matrix (C,2C) at every pixel: its residual blocks add zero."""
    with torch.no_grad():
        network.conv.weight.copy_(matrix[:, :, None, None])
        nn.init.zeros_(network.conv.bias)
        for block in network.body:
            nn.init.zeros_(block.body[-1].weight)


def reconstruct(
    model: SFE, generator: Generator, images: Tensor, codes: Tensor, shift: Tensor
) -> tuple[Tensor, Tensor]:
    """Invert images and synthesise them after an edit; gradients reach ``model`` alone.

    Args:
        model: The networks.
        generator: The frozen generator.
        images: (B,3,R,R) in [-1,1].
        codes: (B,L,512), e4e's.
        shift: (B,1 or L,512), the edit.

    Returns:
        Images (B,3,R,R), and the squared distance of F from the generator's own features.
    """
    w_plus, features = model.invert(generator, images, codes)
    with torch.no_grad():
        before, _ = generator.synthesise_lower(generator.to_styles(w_plus), SIDE)
        styles = generator.to_styles(w_plus + shift)
        after, image = generator.synthesise_lower(styles, SIDE)
    edited = model.edited_features(features, model.change(before, after))
    made = generator.synthesise_upper(styles, edited.to(after.dtype), image)
    return made, F.mse_loss(features, before.float())


def train_sfe(options: Options) -> None:
    """Train inverter and feature editor around the bundle's generator and encoder; resumes."""
    run, device = Run("sfe", options, IMAGES), options.device
    kinds = {"generator": "stylegan2", "e4e": "e4e", "clip": "clip", "identity": "arcface"}
    generator, encoder, clip, identity = (
        load_network(kind, options.out / f"{role}.safetensors", device)
        for role, kind in kinds.items()
    )
    with seeded(options.seed + 6):
        model, average = new_sfe().to(device), new_sfe().to(device)
    average.load_state_dict(model.state_dict())
    optimiser = torch.optim.Adam(model.parameters(), betas=(0.9, 0.99))
    stateful = {"model": model, "average": average, "optimiser": optimiser}
    done, step = run.resume(stateful), 0
    pool, changed = open_pairs(options.work)
    batches = pool.batches(KEPT, rng := run.rng_at(done))
    weight = face_weight(generator.resolution).to(device)
    while run.should_continue(done):
        # 1. Draw portraits to reconstruct and portraits to edit.
        batch = draw_batch(pool, changed, next(batches), rng)
        images, wanted, shift = (x.to(device) for x in batch)
        with torch.autocast(wanted.device.type, torch.bfloat16):
            # 2. Invert and edit them.
            with torch.no_grad():
                codes = encoder(images)
            made, near = reconstruct(model, generator, images, codes, shift[:, None])
            # 3. Compare with the image after the edit; perceptually on a patch, to save time.
            patches = (clip_features(clip, x) for x in same_patch((made, wanted), rng))
            perceptual = feature_distance(*patches).mean()
            same = 1 - F.cosine_similarity(identity(made), identity(wanted), dim=1).mean()
        pixels = paired_loss(made, wanted, weight)
        losses = {"pixels": pixels, "features": perceptual, "identity": same, "near": near}
        loss = sum(WEIGHTS[name] * value for name, value in losses.items())
        # 4. Update the networks and their average.
        set_rate(optimiser, decayed_rate(RATE, 1000, done, IMAGES))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        update_average(average, model, decay=0.99)
        done, step = done + KEPT + EDITED, step + 1
        # 5. Log, and save a checkpoint from time to time.
        if step % 50 == 0:
            kept = psnr(made[:KEPT].detach(), wanted[:KEPT])
            run.log(done, **losses, psnr=kept, edited=psnr(made[KEPT:].detach(), wanted[KEPT:]))
        if run.checkpoint_due():
            run.save_checkpoint(stateful, done)
    run.save_checkpoint(stateful, done)
    show(run, average, generator, encoder, pool.images(pool.shown(32)).to(device))


@torch.no_grad()
def show(run: Run, model: SFE, generator: Generator, encoder: nn.Module, real: Tensor) -> None:
    """Write a sample grid: renders (N,3,R,R) above their reconstructions."""
    codes = encoder(real)
    made, _ = reconstruct(model.eval(), generator, real, codes, torch.zeros_like(codes))
    run.save_sample_grid(real, made)
    model.train()
