"""The avatar HFGI: adds the residual of e4e's inversion to the image, also after an edit.

The losses are those of HFGI (Wang et al. 2022, section 3.4): the image is reconstructed from its
own code, and the aligner undoes a random distortion of the residual. Photos allow no more. For
drawn portraits the image after an edit is known, so most of every batch are edited pairs, from
which both networks learn which parts of the residual still hold after the edit.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.transforms import RandomPerspective

from tmsa_core.networks.hfgi import HFGI, avatar_architecture
from tmsa_core.networks.stylegan2 import Generator, channels_at
from tmsa_core.training.avatar import generator as generator_stage
from tmsa_core.training.avatar.critic import same_patch
from tmsa_core.training.avatar.e4e import crop_errors
from tmsa_core.training.avatar.perceptual import clip_features, feature_distance
from tmsa_core.training.avatar.pixels import at_side, face_weight, paired_loss
from tmsa_core.training.avatar.renders import Pool, open_pairs
from tmsa_core.training.avatar.w_codes import portrait_codes
from tmsa_core.training.run import Options, Run, decayed_rate, set_rate, update_average
from tmsa_core.weights.network_files import load_network

SIDE = 64  # resolution of the generator's features that are modulated
ARCHITECTURE = avatar_architecture(
    channels_at(
        SIDE,
        generator_stage.ARCHITECTURE["channel_multiplier"],
        int(generator_stage.ARCHITECTURE["channel_max"]),
    )
)
IMAGES = 47_000
KEPT, EDITED = 2, 4  # unedited and edited portraits of a batch
RATE = 3e-3
ALPHAS = (0.6, 1.3)  # range of edit strengths: texts move codes less or further than attributes do
DISTORTED, DISTORTION = 0.9, 0.15  # share and strength of HFGI's random perspectives
WEIGHTS = {  # of the losses
    "pixels": 1.0,  # error of the image
    "features": 0.8,  # perceptual distance in the features of CLIP
    "identity": 0.1,  # cosine distance of the identity embeddings
    "residual": 0.5,  # error of the aligned residual
}


def new_hfgi() -> HFGI:
    """Untrained networks that do not change the image: every scale and shift is zero."""
    model = HFGI(**ARCHITECTURE)
    for branch in (model.residue.condition_scale3, model.residue.condition_shift3):
        nn.init.zeros_(branch[-1].weight)
    return model


def draw_batch(
    pool: Pool, changed: Pool, kept: Tensor, rng: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Draw portraits to reconstruct and portraits to edit.

    Args:
        pool: Renders.
        changed: The same portraits after one attribute has changed, row by row.
        kept: Row numbers (KEPT,) of the portraits to reconstruct.
        rng: Source of the other random numbers.

    Returns:
        Images (B,3,R,R), the images wanted after the edit (B,3,R,R), and the edits as shifts in W
        (B,512), zero in the first KEPT rows.
    """
    edited = torch.randint(len(pool), (EDITED,), generator=rng)
    images = torch.cat([pool.images(kept), pool.images(edited)])
    wanted = torch.cat([images[:KEPT], changed.images(edited)])
    images, wanted = crop_errors(torch.cat([images, wanted], dim=1), rng).split(3, dim=1)
    alpha = torch.empty(EDITED, 1).uniform_(*ALPHAS, generator=rng)
    before, after = (portrait_codes(p.portraits[edited]) for p in (pool, changed))
    return images, wanted, F.pad(alpha * (after - before), (0, 0, KEPT, 0))


def train_hfgi(options: Options) -> None:
    """Train aligner and residual encoder around the bundle's generator and encoder; resumes."""
    run, device = Run("hfgi", options, IMAGES), options.device
    # Not restored after the initial weights, as RandomPerspective below uses the global generator.
    torch.manual_seed(options.seed + 5)
    kinds = {"generator": "stylegan2", "e4e": "e4e", "clip": "clip", "identity": "arcface"}
    generator, encoder, clip, identity = (
        load_network(kind, options.out / f"{role}.safetensors", device)
        for role, kind in kinds.items()
    )
    model, average = new_hfgi().to(device), new_hfgi().to(device)
    average.load_state_dict(model.state_dict())
    optimiser = torch.optim.Adam(model.parameters(), betas=(0.9, 0.99))
    stateful = {"model": model, "average": average, "optimiser": optimiser}
    done, step = run.resume(stateful), 0
    pool, changed = open_pairs(options.work)
    batches = pool.batches(KEPT, rng := run.rng_at(done))
    weight = face_weight(model.size).to(device)
    distort = RandomPerspective(DISTORTION, DISTORTED)
    while run.should_continue(done):
        # 1. Draw portraits to reconstruct and portraits to edit.
        batch = draw_batch(pool, changed, next(batches), rng)
        images, wanted, shift = (x.to(device) for x in batch)
        with torch.autocast(wanted.device.type, torch.bfloat16):
            # 2. Invert them; distort the residual of the first, and preview the others' edits.
            with torch.no_grad():
                w_plus = encoder(images)
                w_edit = w_plus + shift[:, None]
                residual = model.residual(generator, images, w_plus)
                residual = torch.cat([distort(residual[:KEPT]), residual[KEPT:]])
                edited = model.downscale(generator.synthesise(w_edit[KEPT:], up_to=model.preview))
                preview = torch.cat([images[:KEPT] - residual[:KEPT], edited])
            # 3. Align the residual to the preview, and synthesise with it.
            aligned = model.grid_align(residual, preview)
            made = generator.synthesise(w_edit, features={SIDE: model.residue(aligned)})
            made = at_side(made, model.size)
            # 4. Compare with the image after the edit; perceptually on a patch, to save time.
            features = (clip_features(clip, x) for x in same_patch((made, wanted), rng))
            perceptual = feature_distance(*features).mean()
            same = 1 - F.cosine_similarity(identity(made), identity(wanted), dim=1).mean()
        losses = {
            "pixels": paired_loss(made, wanted, weight),
            "features": perceptual,
            "identity": same,
            "residual": (aligned.float() - (wanted - preview)).abs().mean(),
        }
        loss = sum(WEIGHTS[name] * value for name, value in losses.items())
        # 5. Update both networks and their average.
        set_rate(optimiser, decayed_rate(RATE, 1000, done, IMAGES))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        update_average(average, model, decay=0.99)
        done, step = done + KEPT + EDITED, step + 1
        # 6. Log, and save a checkpoint from time to time.
        if step % 50 == 0:
            run.log(done, **losses)
        if run.checkpoint_due():
            run.save_checkpoint(stateful, done)
    run.save_checkpoint(stateful, done)
    show(run, average, generator, encoder, pool.images(pool.shown(32)).to(device))


@torch.no_grad()
def show(run: Run, model: HFGI, generator: Generator, encoder: nn.Module, real: Tensor) -> None:
    """Write a sample grid: renders (N,3,R,R) above their reconstructions."""
    w_plus = encoder(real)
    made = at_side(model.eval()(generator, real, w_plus, w_plus), model.size)
    run.save_sample_grid(real, made)
    model.train()
