"""The avatar e4e encoder (Tov et al. 2021, "encoder for editing"): renders to W+.

The latent code of every render is known, so it supervises the encoder directly. The losses of e4e
refine it through the frozen generator: the reconstructed image, and the delta regularisation, which
keeps codes editable.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from tmsa_core.avatars.params import ATTRIBUTES, TRAITS, Portraits
from tmsa_core.avatars.visibility import visible
from tmsa_core.networks.e4e import Encoder, avatar_architecture
from tmsa_core.networks.stylegan2 import Generator
from tmsa_core.training.avatar.pixels import at_side, face_weight, paired_loss
from tmsa_core.training.avatar.renders import open_pool
from tmsa_core.training.avatar.stylegan_mapping import LIFT
from tmsa_core.training.avatar.w_codes import portrait_codes, read_code
from tmsa_core.training.run import Options, Run, decayed_rate, seeded, set_rate, update_average
from tmsa_core.weights.network_files import load_network

IMAGES = 160_000
BATCH = 32
REFINED = 8  # images of a batch that are also reconstructed by the generator
REFINE_EVERY = 4  # steps between two reconstructions
SHARPNESS = 6.0  # logit by which a perfect code prefers the right option
WEIGHTS = {  # of the losses
    "code": 4.0,  # squared error of the code
    "attributes": 2.0,  # cross-entropy of the attributes that the code stands for
    "image": 1.0,  # error of the reconstruction
    "delta": 0.01,  # delta regularisation
}


def crop_errors(images: Tensor, rng: torch.Generator) -> Tensor:
    """Shift, turn and zoom images (B,C,R,R) a little, as errors of the landmarks do."""
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
    """Delta regularisation (L_d-reg of e4e): the mean norm of row i - row 0.

    w_plus (B,L,512) -> scalar.
    """
    return (w_plus[:, 1:] - w_plus[:, :1]).norm(dim=2).mean()


def attribute_loss(w_plus: Tensor, portraits: Portraits) -> Tensor:
    """Cross-entropy of the visible attributes that the mean row of w_plus (B,L,512) stands for.

    The squared error of the code alone learns slowly to tell options apart. -> scalar.
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
    """An untrained encoder that adds the generator's mean code to its output."""
    encoder = Encoder(**avatar_architecture(generator.levels))
    encoder.latent_avg = generator.latent_avg.expand(encoder.levels, -1).clone()
    return encoder


def train_e4e(options: Options) -> None:
    """Train the encoder against the bundle's generator; resumes from its last checkpoint."""
    run, device = Run("e4e", options, IMAGES), options.device
    generator = load_network("stylegan2", options.out / "generator.safetensors", device)
    with seeded(options.seed + 2):
        model, average = new_encoder(generator).to(device), new_encoder(generator).to(device)
    average.load_state_dict(model.state_dict())
    optimiser = torch.optim.Adam(model.parameters(), betas=(0.9, 0.99))
    stateful = {"model": model, "average": average, "optimiser": optimiser}
    done = run.resume(stateful)
    pool = open_pool(options.work / "renders")
    portraits = pool.portraits.to(device)
    codes = portrait_codes(portraits) + LIFT
    rng = run.rng_at(done)
    batches, step = pool.batches(BATCH, rng), 0
    weight = face_weight(model.input_size).to(device)
    while run.should_continue(done):
        # 1. Read renders and misalign them a little.
        index = next(batches)
        clean = pool.images(index)
        turned, clean = crop_errors(clean, rng).to(device), clean.to(device)
        # 2. Encode, and compare with the known codes and attributes.
        with torch.autocast(clean.device.type, torch.bfloat16):
            w_plus = model(turned).float()
        code = (w_plus - codes[index][:, None, :]).square().mean()
        attributes = attribute_loss(w_plus, portraits[index])
        loss = WEIGHTS["code"] * code + WEIGHTS["attributes"] * attributes
        loss = loss + WEIGHTS["delta"] * delta_loss(w_plus)
        # 3. At some steps, reconstruct a few images.
        if step % REFINE_EVERY == 0:
            with torch.autocast(clean.device.type, torch.bfloat16):
                made = generator.synthesise(w_plus[:REFINED])
            made = at_side(made, model.input_size)
            image = paired_loss(made, clean[:REFINED], weight)
            loss = loss + WEIGHTS["image"] * image
        # 4. Update the encoder and its average.
        set_rate(optimiser, decayed_rate(2e-3, 2000, done, IMAGES))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        update_average(average, model, decay=0.995)
        done += BATCH
        step += 1
        # 5. Log, and save a checkpoint and a sample grid from time to time.
        if step % 50 == 0:
            run.log(done, code=code, attributes=attributes, image=image)
        if run.checkpoint_due():
            run.save_checkpoint(stateful, done)
            show(run, average, generator, pool.images(pool.shown(32)).to(device))
    run.save_checkpoint(stateful, done)
    show(run, average, generator, pool.images(pool.shown(32)).to(device))


@torch.no_grad()
def show(run: Run, model: Encoder, generator: Generator, real: Tensor) -> None:
    """Write a sample grid: renders (N,3,R,R) above their reconstructions."""
    made = at_side(generator.synthesise(model.eval()(real)), model.input_size)
    model.train()
    run.save_sample_grid(real, made)
