"""The avatar HFGI: what e4e's inversion misses, drawn back in, also after an edit.

The losses are those of HFGI (Wang et al. 2022, section 3.4): the image comes back through its own
code, and the aligner undoes a random distortion of the residual. Photos give no more than that;
the drawn world knows how a portrait looks after an edit, so most of every batch is edited pairs,
and both networks also learn what of the residual is still true then.
"""

from __future__ import annotations

from dataclasses import dataclass

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
from tmsa_core.training.avatar.pixels import face_weight, paired_loss
from tmsa_core.training.avatar.renders import open_pairs
from tmsa_core.training.avatar.w_codes import portrait_codes
from tmsa_core.training.run import Options, Run, set_rate, update_average
from tmsa_core.weights.network_files import load_network

SIDE = 64  # the generator's resolution that is modulated
ARCHITECTURE = avatar_architecture(
    channels_at(
        SIDE,
        generator_stage.ARCHITECTURE["channel_multiplier"],
        int(generator_stage.ARCHITECTURE["channel_max"]),
    )
)
IMAGES = 47_000
KEPT, EDITED = 2, 4  # portraits of a batch that keep their code, and that are edited
RATE = 3e-3
STRENGTHS = (0.6, 1.3)  # of edits; texts do not push exactly as far as the code of an attribute
DISTORTED, DISTORTION = 0.9, 0.15  # share and strength of HFGI's random perspectives


@dataclass(frozen=True)
class Weights:
    """Loss weights: pixels, features of CLIP, identity, and the aligned residual."""

    pixels: float = 1.0
    features: float = 0.8
    identity: float = 0.1
    residual: float = 0.5


def new_hfgi() -> HFGI:
    """Untrained networks that change nothing yet: every scale and shift is zero."""
    model = HFGI(**ARCHITECTURE)
    for branch in (model.residue.condition_scale3, model.residue.condition_shift3):
        nn.init.zeros_(branch[-1].weight)
    return model


def train_hfgi(options: Options, weights: Weights | None = None) -> None:
    """Train aligner and residual encoder around the bundle's generator and encoder; resumes."""
    weights = weights or Weights()
    run, device = Run("hfgi", options, IMAGES), options.device
    torch.manual_seed(options.seed + 5)
    kinds = {"generator": "stylegan2", "e4e": "e4e", "clip": "clip", "identity": "arcface"}
    generator, encoder, clip, identity = (
        load_network(kind, options.out / f"{role}.safetensors", device)
        for role, kind in kinds.items()
    )
    model, average = new_hfgi().to(device), new_hfgi().to(device)
    average.load_state_dict(model.state_dict())
    optimiser = torch.optim.Adam(model.parameters(), betas=(0.9, 0.99))
    parts = {"model": model, "average": average, "optimiser": optimiser}
    done = run.resume(parts)
    pool, changed = open_pairs(options.work)
    rng = torch.Generator().manual_seed(options.seed * 1_000_003 + done)
    batches, step = pool.batches(KEPT, rng), 0
    weight = face_weight(generator.resolution).to(device)
    distort = RandomPerspective(DISTORTION, DISTORTED)
    while run.going(done):
        kept = pool.images(next(batches))
        drawn = torch.randint(len(pool), (EDITED,), generator=rng)
        images = torch.cat([kept, pool.images(drawn)])
        wanted = torch.cat([kept, changed.images(drawn)])
        both = crop_errors(torch.cat([images, wanted], dim=1), rng).to(device)
        images, wanted = both.split(3, dim=1)
        strength = torch.empty(EDITED, 1).uniform_(*STRENGTHS, generator=rng)
        before, after = (portrait_codes(p.portraits[drawn]) for p in (pool, changed))
        shift = F.pad(strength * (after - before), (0, 0, KEPT, 0)).to(device)  # first none
        rate = RATE * min(1.0, done / 1000 + 0.05) * (1 - done / IMAGES) + 1e-5
        set_rate(optimiser, rate)
        with torch.autocast(wanted.device.type, torch.bfloat16):
            with torch.no_grad():
                w_plus = encoder(images)
                w_edit = w_plus + shift[:, None]
                residual = model.residual(generator, images, w_plus)
                residual = torch.cat([distort(residual[:KEPT]), residual[KEPT:]])
                edited = model.downscale(generator.synthesise(w_edit[KEPT:]))
                preview = torch.cat([images[:KEPT] - residual[:KEPT], edited])
            aligned = model.grid_align(residual, preview)
            features = {SIDE: model.residue(aligned)}
            made = generator.synthesise(w_edit, features=features)
            patches = same_patch((made, wanted), rng)  # at full detail, for a quarter of the time
            like = feature_distance(*(clip_features(clip, x) for x in patches)).mean()
            same = 1 - F.cosine_similarity(identity(made), identity(wanted), dim=1).mean()
        pixels = paired_loss(made, wanted, weight)
        undone = (aligned.float() - (wanted - preview)).abs().mean()
        loss = weights.pixels * pixels + weights.features * like
        loss = loss + weights.identity * same + weights.residual * undone
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        update_average(average, model, decay=0.99)
        done += KEPT + EDITED
        step += 1
        if step % 50 == 0:
            run.log(done, pixels=pixels, features=like, identity=same, residual=undone)
        if run.due():
            run.keep(parts, done)
    run.keep(parts, done)
    show(run, average, generator, encoder, pool.images(pool.shown(32)).to(device))


@torch.no_grad()
def show(run: Run, model: HFGI, generator: Generator, encoder: nn.Module, real: Tensor) -> None:
    """A grid of renders (odd rows) above their reconstructions (even rows)."""
    w_plus = encoder(real)
    run.pairs(real, model.eval()(generator, real, w_plus, w_plus))
    model.train()
