"""The avatar StyleGAN2: the renderer distilled into it, then sharpened adversarially.

The mapping network (``stylegan_mapping.py``) maps z to w, the code of the portrait that z describes
(``w_codes.py``). Here the synthesis network learns to map w to the render of that portrait, from
coarse to full resolution. Such paired supervision needs about a hundred times fewer images than
adversarial training from scratch.

Every portrait comes in a pair with itself after one attribute has changed, and the changed detail
weighs as much as the rest of the image (``pixels.py``); otherwise freckles and earrings would be
too small to be learnt. Pairs whose change consists of many small parts are drawn more often. In the
last phase a critic removes the blur that a pixel loss leaves, and a CLIP loss keeps the meaning.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tmsa_core.avatars.drawing.texture import (
    curl_texture,
    forehead_texture,
    freckle_texture,
    strand_texture,
)
from tmsa_core.avatars.params import ATTRIBUTES, TRAITS, Portraits
from tmsa_core.networks.clip import Clip
from tmsa_core.networks.stylegan2 import Generator
from tmsa_core.training.avatar.critic import Critic, critic_step, same_patch, sharpening_loss
from tmsa_core.training.avatar.muon import Muon
from tmsa_core.training.avatar.pixels import at_side, changed_weight, face_weight, paired_loss, psnr
from tmsa_core.training.avatar.renders import Pool, open_pairs
from tmsa_core.training.avatar.w_codes import basis, code_scale, features
from tmsa_core.training.mapper.losses import cosine_distance
from tmsa_core.training.run import Options, Run, seeded, set_rate, update_average
from tmsa_core.weights.network_files import load_network

ARCHITECTURE = {"resolution": 128, "channel_multiplier": 0.1875, "channel_max": 192}


@dataclass(frozen=True)
class Phase:
    """A phase of the training.

    Attributes:
        side: Side of the images in pixels.
        images: How many images to train on.
        batch: Images per step.
        rate: Learning rate at the start; it falls linearly to 15 % of it.
        noise: Strength of ``noisy_codes``.
        sharpen: Whether to add the critic and the CLIP loss.
    """

    side: int
    images: int
    batch: int
    rate: float
    noise: float = 0.0
    sharpen: bool = False


PHASES = (
    Phase(side=32, images=40_000, batch=16, rate=2e-3),
    Phase(side=64, images=80_000, batch=16, rate=2e-3),
    Phase(side=128, images=324_000, batch=16, rate=2e-3, noise=1.0),
    Phase(side=128, images=212_000, batch=16, rate=1.5e-3, noise=1.0, sharpen=True),
)
# No search over the following strengths is recorded.
TEXTURE_STRENGTH = 0.02  # of the noise maps that hold the renderer's textures
SUPERSAMPLE = 4  # samples per pixel, each way, when those maps are made
OPTION_NOISE = 0.18  # spread of one-hot entries around 0 and 1, so that an option owns a region
PUSH = 2.4  # largest factor by which an option's entries are scaled up
PUSHED = 0.2  # share of the codes that are scaled up
CODE_NOISE = 0.10  # spread of the independent noise of each level of W+
MEANING = 1.0  # weight of the CLIP loss; the pixel loss weighs 1
FINE: Mapping[str, tuple[str, ...]] = {  # options that consist of many small parts
    "earrings": ("yes",),
    "makeup": ("yes",),
    "hair_style": ("spiky", "curly", "mohawk"),
    "costume": ("vampire", "rock_star", "clown"),
}
FINE_WEIGHT = 5.0  # sampling weight of pairs that differ in one of them; other pairs weigh 1


def noisy_codes(x: Tensor, levels: int, strength: float, rng: torch.Generator) -> Tensor:
    """Codes with the errors that encoders and text edits make; the target render stays the same.

    The one-hot entries of each attribute get noise, so that an option owns a region of W instead of
    a point. Some are scaled up, as by a strong edit of a portrait that already has the attribute.
    Finally each level gets independent noise.

    Args:
        x: Features (B,K) of portraits.
        levels: Number L of levels.
        strength: 0 for clean codes, 1 for the full errors.
        rng: Source of the noise.

    Returns:
        Codes (B,L,512).
    """
    noise = torch.zeros_like(x)
    scale = torch.ones_like(x)
    start = len(TRAITS)
    for attribute in ATTRIBUTES.values():
        prior = torch.tensor(attribute.prior)
        spread = strength * OPTION_NOISE / (prior * (1 - prior)).sum().sqrt()
        stop = start + len(prior)
        noise[:, start:stop] = spread * torch.randn(x.shape[0], len(prior), generator=rng)
        factor = 1 + strength * (PUSH - 1) * torch.rand(x.shape[0], 1, generator=rng)
        pushed = torch.rand(x.shape[0], 1, generator=rng) < PUSHED
        scale[:, start:stop] = torch.where(pushed, factor, 1.0)
        start = stop
    w = code_scale() * (x * scale + noise) @ basis()
    level_noise = torch.randn(x.shape[0], levels, w.shape[1], generator=rng)
    return w[:, None, :] + strength * CODE_NOISE * level_noise


def sampling_weights(before: Portraits, after: Portraits) -> Tensor:
    """Sampling weight (B,) of each pair: ``FINE_WEIGHT`` where a fine attribute changes, else 1."""
    fine = torch.zeros(len(before), dtype=torch.bool)
    for name, options in FINE.items():
        numbers = torch.tensor([ATTRIBUTES[name].options.index(option) for option in options])
        old, new = before.attributes[name], after.attributes[name]
        fine |= (old != new) & (torch.isin(old, numbers) | torch.isin(new, numbers))
    return torch.where(fine, FINE_WEIGHT, 1.0)


def phase_at(done: int) -> tuple[Phase, float]:
    """The phase after ``done`` images, and the share of it that is done."""
    for phase in PHASES:
        if done < phase.images:
            return phase, done / phase.images
        done -= phase.images
    return PHASES[-1], 1.0


def meaning_loss(clip: Clip, made: Tensor, real: Tensor) -> Tensor:
    """Cosine distance of CLIP's embeddings of two image batches (B,3,H,W) -> scalar."""
    with torch.autocast(real.device.type, torch.bfloat16):
        with torch.no_grad():
            wanted = clip.embed_images(real)
        return cosine_distance(clip.embed_images(made), wanted)


def new_generator() -> Generator:
    """An untrained generator with small modulation weights and the renderer's textures.

    Codes are sums of many independent parts. With the usual initialisation every style would be a
    random mixture of all of them, which training would first have to undo.
    """
    model = Generator(**ARCHITECTURE)
    for name, module in model.named_modules():
        if name.endswith("modulation"):
            module.weight.data.mul_(0.1)
    set_texture_maps(model)
    return model


def texture_maps(side: int) -> tuple[Tensor, Tensor, Tensor]:
    """Noise maps of unit variance: curls (side/2,side/2), strands and skin marks (side,side).

    They are the renderer's own patterns in crop coordinates, which a generator could otherwise only
    build up from its constant 4 x 4 input.
    """

    def sampled(texture: Callable[[Tensor, Tensor], Tensor], side: int) -> Tensor:
        fine = side * SUPERSAMPLE
        places = (torch.arange(fine) * 2 + 1) / fine - 1
        y, x = torch.meshgrid(places, places, indexing="ij")
        pattern = F.avg_pool2d(texture(x, y)[None, None], SUPERSAMPLE)
        return pattern[0, 0] / pattern.std()

    marks = sampled(lambda x, y: freckle_texture(x, y) + forehead_texture(x, y), side)
    return sampled(curl_texture, side // 2), sampled(strand_texture, side), marks


def set_texture_maps(model: Generator) -> None:
    """Put the textures into the noise maps of the last two resolutions, in place.

    Their strength is fixed. Few portraits show each texture, so a learnt strength would fall to
    zero before the network knows where the texture belongs.
    """
    last = model.levels - 2  # number of the last map; each resolution has two
    maps = texture_maps(model.resolution)
    for number, texture in zip((last - 3, last - 1, last), maps, strict=True):
        model.noises.get_buffer(f"noise_{number}").copy_(texture)
        strength = model.convs[number - 1].noise.weight
        strength.requires_grad_(False).fill_(TEXTURE_STRENGTH)


def optimisers(model: Generator) -> dict[str, torch.optim.Optimizer]:
    """Muon for the matrices of the synthesis network, Adam for its other trained weights."""
    matrices, rest = [], []
    for name, weight in model.named_parameters():
        if not weight.requires_grad or name.startswith("style."):
            continue
        is_kernel = name.endswith("conv.weight") and "rgb" not in name
        (matrices if is_kernel or name.endswith("modulation.weight") else rest).append(weight)
    return {"muon": Muon(matrices), "adam": torch.optim.Adam(rest, betas=(0.9, 0.99))}


def train_generator(options: Options) -> None:
    """Train the synthesis network, phase by phase; resumes from its last checkpoint."""
    run, device = Run("generator", options, sum(p.images for p in PHASES)), options.device
    with seeded(options.seed):
        model = new_generator().to(device)
        critic = Critic().to(device)
    average = copy.deepcopy(model).requires_grad_(False)
    learners = optimisers(model)
    critic_optimiser = torch.optim.Adam(critic.parameters(), lr=1e-3, betas=(0.0, 0.9))
    networks = {"model": model, "average": average, "critic": critic}
    stateful = networks | learners | {"critic_optimiser": critic_optimiser}
    done, step = run.resume(stateful), 0
    clip = load_network("clip", options.out / "clip.safetensors", device)
    pools = open_pairs(options.work)
    codes = [features(pool.portraits) for pool in pools]
    rng = run.rng_at(done)
    chances = sampling_weights(*(pool.portraits for pool in pools))
    faces = {phase.side: face_weight(phase.side).to(device) for phase in PHASES}
    while run.should_continue(done):
        phase, share = phase_at(done)
        # 1. Draw half a batch of portraits, each paired with itself after one change.
        index = torch.multinomial(chances, phase.batch // 2, generator=rng)
        real = torch.cat([pool.images(index) for pool in pools]).to(device)
        real = at_side(real, phase.side).contiguous(memory_format=torch.channels_last)
        weight = faces[phase.side] + changed_weight(real)
        # 2. Synthesise them from their codes, with the errors that inversion and edits make.
        clean = torch.cat([rows[index] for rows in codes])
        w_plus = noisy_codes(clean, model.levels, phase.noise, rng).to(device)
        with torch.autocast(real.device.type, torch.bfloat16):
            made = model.synthesise(w_plus, up_to=phase.side)
        # 3. Compare with the renders; in the last phase, also by the critic and by CLIP.
        loss = pixel = paired_loss(made, real, weight)
        extra = judged = torch.zeros(())
        if phase.sharpen:
            patches = same_patch((made.float(), real), rng)
            judged = critic_step(critic, critic_optimiser, *patches)
            extra = sharpening_loss(critic, *patches) + MEANING * meaning_loss(clip, made, real)
            loss = loss + extra
        # 4. Update the network and its average.
        model.zero_grad()
        loss.backward()
        for learner in learners.values():
            set_rate(learner, phase.rate * (1 - 0.85 * share))
            learner.step()
        update_average(average, model, decay=0.5 ** (phase.batch / 4000))
        done += phase.batch
        step += 1
        # 5. Log, and save a checkpoint and a sample grid from time to time.
        if step % 200 == 0:
            quality = psnr(made.detach(), real)
            run.log(done, side=phase.side, loss=pixel, extra=extra, critic=judged, psnr=quality)
        if run.checkpoint_due():
            run.save_checkpoint(stateful, done)
            show(run, average, pools[0], codes[0], phase.side)
    run.save_checkpoint(stateful, done)
    show(run, average, pools[0], codes[0], phase_at(done - 1)[0].side)


def lift_codes(model: nn.Module, lift: float) -> None:
    """Move the origin of W in place: add ``lift`` to every entry of the codes it expects.

    Training uses centred codes; the finished mapping network outputs lifted ones.
    """
    for name, module in model.named_modules():
        if name.endswith("modulation"):
            scale = module.lr_mul / math.sqrt(module.weight.shape[1])
            module.bias.data -= lift * scale * module.weight.data.sum(dim=1) / module.lr_mul


@torch.no_grad()
def show(run: Run, model: Generator, pool: Pool, codes: Tensor, side: int) -> None:
    """Write a sample grid: renders above the images synthesised from their codes (N,K)."""
    rows = pool.shown(24)
    real = at_side(pool.images(rows), side)
    w = code_scale() * codes[rows] @ basis()
    made = model.synthesise(model.broadcast(w.to(run.options.device)), up_to=side).cpu()
    run.save_sample_grid(real, made)
