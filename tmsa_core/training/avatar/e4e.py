"""The avatar e4e encoder: renders to W+.

The code of every render is known, so it supervises the encoder directly; the losses of e4e (the
reconstructed image, and deltas that stay small to keep codes editable) refine it through the
frozen generator.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from tmsa_core.avatars.params import ATTRIBUTES, TRAITS, Portraits
from tmsa_core.avatars.visibility import visible
from tmsa_core.networks.e4e import Encoder, avatar_architecture
from tmsa_core.networks.stylegan2 import Generator
from tmsa_core.training.avatar.pixels import face_weight, paired_loss
from tmsa_core.training.avatar.renders import open_pool
from tmsa_core.training.avatar.stylegan_mapping import LIFT
from tmsa_core.training.avatar.w_codes import portrait_codes, read_code
from tmsa_core.training.run import Options, Run, set_rate, update_average
from tmsa_core.weights.network_files import load_network

ARCHITECTURE = avatar_architecture(levels=12)
IMAGES = 160_000
BATCH = 32
REFINED = 8  # images of a batch that also go through the generator
REFINE_EVERY = 4  # steps
SHARPNESS = 6.0


@dataclass(frozen=True)
class Weights:
    """Loss weights: code, attributes spelt by it, image, deviation of W+ rows from the first."""

    code: float = 4.0
    attributes: float = 2.0
    image: float = 1.0
    delta: float = 0.01


def crop_errors(images: Tensor, rng: torch.Generator) -> Tensor:
    """The small shifts, turns and zooms that landmark errors put into an aligned crop."""
    count = images.shape[0]
    turn = 0.03 * torch.randn(count, generator=rng)
    zoom = 1 + 0.02 * torch.randn(count, generator=rng)
    theta = torch.zeros(count, 2, 3)
    theta[:, 0, 0] = theta[:, 1, 1] = zoom * torch.cos(turn)
    theta[:, 1, 0] = zoom * torch.sin(turn)
    theta[:, 0, 1] = -theta[:, 1, 0]
    theta[:, :, 2] = 0.02 * torch.randn(count, 2, generator=rng)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


def delta_loss(w_plus: Tensor) -> Tensor:
    """Mean norm of (row i - row 0), e4e's L_d-reg: (B,L,512) -> scalar."""
    return (w_plus[:, 1:] - w_plus[:, :1]).norm(dim=2).mean()


def attribute_loss(w_plus: Tensor, portraits: Portraits) -> Tensor:
    """Cross-entropy of the options that the mean row spells, over all visible attributes.

    The squared error alone learns slowly which option it is. ``SHARPNESS`` is the logit by which a
    perfect code prefers the right one. w_plus (B,L,512) -> scalar
    """
    spelt = read_code(w_plus.mean(dim=1) - LIFT)[:, len(TRAITS) :]
    parts = spelt.split([len(a.options) for a in ATTRIBUTES.values()], dim=1)
    loss = w_plus.new_zeros(())
    for (name, attribute), x in zip(ATTRIBUTES.items(), parts, strict=True):
        unit = sum(p * (1 - p) for p in attribute.prior) ** 0.5
        seen = visible(portraits, name)
        logits = SHARPNESS * unit * x[seen]
        loss = loss + F.cross_entropy(logits, portraits.attributes[name][seen])
    return loss / len(ATTRIBUTES)


def new_encoder(generator: Generator) -> Encoder:
    """An untrained encoder whose codes start from the generator's mean."""
    encoder = Encoder(**ARCHITECTURE)
    encoder.latent_avg = generator.latent_avg.expand(encoder.levels, -1).clone()
    return encoder


def train_e4e(options: Options, weights: Weights | None = None) -> None:
    """Train the encoder against the bundle's generator; resumes from its last checkpoint."""
    weights = weights or Weights()
    run, device = Run("e4e", options, IMAGES), options.device
    torch.manual_seed(options.seed + 2)
    generator = load_network("stylegan2", options.out / "generator.safetensors", device)
    model, average = new_encoder(generator).to(device), new_encoder(generator).to(device)
    average.load_state_dict(model.state_dict())
    optimiser = torch.optim.Adam(model.parameters(), betas=(0.9, 0.99))
    parts = {"model": model, "average": average, "optimiser": optimiser}
    done = run.resume(parts)
    pool = open_pool(options.work / "renders")
    portraits = pool.portraits.to(device)
    codes = portrait_codes(portraits) + LIFT
    rng = torch.Generator().manual_seed(options.seed * 1_000_003 + done)
    batches, step = pool.batches(BATCH, rng), 0
    weight = face_weight(generator.resolution).to(device)
    while run.should_continue(done):
        index = next(batches)
        clean = pool.images(index)
        turned, clean = crop_errors(clean, rng).to(device), clean.to(device)
        set_rate(optimiser, 2e-3 * min(1.0, done / 2000 + 0.05) * (1 - done / IMAGES) + 1e-5)
        with torch.autocast(clean.device.type, torch.bfloat16):
            w_plus = model(turned).float()
        code = (w_plus - codes[index][:, None, :]).square().mean()
        attributes = attribute_loss(w_plus, portraits[index])
        loss = weights.code * code + weights.attributes * attributes
        loss = loss + weights.delta * delta_loss(w_plus)
        if step % REFINE_EVERY == 0:
            with torch.autocast(clean.device.type, torch.bfloat16):
                made = generator.synthesise(w_plus[:REFINED])
            image = paired_loss(made, clean[:REFINED], weight)
            loss = loss + weights.image * image
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        update_average(average, model, decay=0.995)
        done += BATCH
        step += 1
        if step % 50 == 0:
            run.log(done, code=code, attributes=attributes, image=image)
        if run.checkpoint_due():
            run.save_checkpoint(parts, done)
            show(run, average, generator, pool.images(pool.shown(32)).to(device))
    run.save_checkpoint(parts, done)
    show(run, average, generator, pool.images(pool.shown(32)).to(device))


@torch.no_grad()
def show(run: Run, model: Encoder, generator: torch.nn.Module, real: Tensor) -> None:
    """A grid of renders (odd rows) above their reconstructions (even rows)."""
    made = generator.synthesise(model.eval()(real))
    model.train()
    run.save_sample_grid(real, made)
