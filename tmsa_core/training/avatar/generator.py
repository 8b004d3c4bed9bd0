"""The avatar StyleGAN2: the renderer distilled into it, then sharpened adversarially.

The mapping network (mapping.py) turns z into w, the code of the portrait that z describes
(codes.py). Here the synthesis network learns w -> the render of that portrait, from coarse to
full resolution. Paired supervision needs about a hundred times fewer images than adversarial
training from scratch. Every portrait is shown beside itself with one attribute changed: the detail
that changed weighs as much as all the rest (``pixels.py``), or freckles and earrings, too small to
count, would never be learnt. Pairs whose change is drawn by many small parts are shown more often.
In the last phase a critic takes away the blur that a pixel loss leaves, and CLIP misses what it
sees in one image and not in the other.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

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
from tmsa_core.training.run import Options, Run, set_rate, update_average
from tmsa_core.weights.network_files import load_network

ARCHITECTURE = {"resolution": 128, "channel_multiplier": 0.1875, "channel_max": 192}


@dataclass(frozen=True)
class Phase:
    """A stretch of training: the side of the images, how many of them, in what batches.

    rate: learning rate at its start. noise: strength of ``noisy_codes``. sharpen: whether a critic
    and CLIP help.
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
GRAIN = 0.02  # strength of the noise maps of texture
SUPERSAMPLE = 4  # of those maps
OPTION_NOISE = 0.18  # spread of one-hot entries around 0 and 1: the region that is one option
PUSH, PUSHED = 2.4, 0.2  # an option's entries are scaled by up to so much, in such a share
MEANING = 1.0  # weight of CLIP's distance beside the pixels, which weigh 1
CODE_NOISE = 0.10  # spread of W in all directions, drawn anew for each level
FINE: Mapping[str, tuple[str, ...]] = {  # options drawn by many small parts
    "earrings": ("yes",),
    "makeup": ("yes",),
    "hair_style": ("spiky", "curly", "mohawk"),
    "costume": ("vampire", "rock_star", "clown"),
}
OFTEN = 5.0  # how often a pair is shown that differs in one of them; others once


def noisy_codes(x: Tensor, levels: int, strength: float, rng: torch.Generator) -> Tensor:
    """Codes with the errors that encoders and text edits make: x (B,K) features -> (B,L,512).

    The one-hot entries of each attribute are shaken together, so that an option owns a region
    of W and not a point, and now and then pushed too far, as a strong edit does to somebody who
    has the attribute already; then every level gets noise of its own. What the generator draws
    from them stays the clean portrait. strength: 0 for clean codes, 1 for the full errors.
    """
    shake = torch.zeros_like(x)
    pushed = torch.ones_like(x)
    start = len(TRAITS)
    for attribute in ATTRIBUTES.values():
        prior = torch.tensor(attribute.prior)
        spread = strength * OPTION_NOISE / (prior * (1 - prior)).sum().sqrt()
        stop = start + len(prior)
        shake[:, start:stop] = spread * torch.randn(x.shape[0], len(prior), generator=rng)
        far = 1 + strength * (PUSH - 1) * torch.rand(x.shape[0], 1, generator=rng)
        often = torch.rand(x.shape[0], 1, generator=rng) < PUSHED
        pushed[:, start:stop] = torch.where(often, far, 1.0)
        start = stop
    w = code_scale() * (x * pushed + shake) @ basis()
    noise = strength * CODE_NOISE * torch.randn(x.shape[0], levels, w.shape[1], generator=rng)
    return w[:, None, :] + noise


def how_often(before: Portraits, after: Portraits) -> Tensor:
    """(B,) how often each pair is shown: ``OFTEN`` where the change is fine, else 1."""
    fine = torch.zeros(len(before), dtype=torch.bool)
    for name, options in FINE.items():
        numbers = torch.tensor([ATTRIBUTES[name].options.index(option) for option in options])
        old, new = before.attributes[name], after.attributes[name]
        fine |= (old != new) & (torch.isin(old, numbers) | torch.isin(new, numbers))
    return torch.where(fine, OFTEN, 1.0)


def phase_at(done: int) -> tuple[Phase, float]:
    """The phase after ``done`` images, and the share of it that is behind."""
    for phase in PHASES:
        if done < phase.images:
            return phase, done / phase.images
        done -= phase.images
    return PHASES[-1], 1.0


def meaning_loss(clip: Clip, made: Tensor, real: Tensor) -> Tensor:
    """cosd(E_I(made), E_I(real)): what CLIP sees in one image and not in the other. -> scalar"""
    with torch.autocast(real.device.type, torch.bfloat16):
        with torch.no_grad():
            wanted = clip.embed_images(real)
        return cosine_distance(clip.embed_images(made), wanted)


def new_generator() -> Generator:
    """An untrained generator whose styles hardly depend on w yet.

    Codes here are sums of many independent parts. From the usual initialisation every style
    would be a random mixture of all of them, to be unlearnt first.
    """
    model = Generator(**ARCHITECTURE)
    for name, module in model.named_modules():
        if name.endswith("modulation"):
            module.weight.data.mul_(0.1)
    set_texture_maps(model)
    return model


def texture_maps(side: int) -> tuple[Tensor, Tensor, Tensor]:
    """Three noise maps of unit variance: curls (side/2,side/2), strands and marks (side,side).

    They are the renderer's own patterns, laid by the crop: what a generator would else have to put
    together from 4 x 4 pixels.
    """

    def drawn(grain: Callable[[Tensor, Tensor], Tensor], side: int) -> Tensor:
        fine = side * SUPERSAMPLE
        places = (torch.arange(fine) * 2 + 1) / fine - 1
        y, x = torch.meshgrid(places, places, indexing="ij")
        pattern = F.avg_pool2d(grain(x, y)[None, None], SUPERSAMPLE)
        return pattern[0, 0] / pattern.std()

    marks = drawn(lambda x, y: freckle_texture(x, y) + forehead_texture(x, y), side)
    return drawn(curl_texture, side // 2), drawn(strand_texture, side), marks


def set_texture_maps(model: Generator) -> None:
    """Put the texture into the noise maps of the last two resolutions, in place.

    Their strength is not learnt: most portraits are better without a map that only some show, so
    that it would be switched off before the network knows where it belongs.
    """
    last = model.levels - 2  # number of the last map; the two of a resolution are neighbours
    maps = texture_maps(model.resolution)
    for number, grain in zip((last - 3, last - 1, last), maps, strict=True):
        getattr(model.noises, f"noise_{number}").copy_(grain)
        strength = model.convs[number - 1].noise.weight
        strength.requires_grad_(False).fill_(GRAIN)


def optimisers(model: Generator) -> dict[str, torch.optim.Optimizer]:
    """Muon for the matrices of the synthesis network, Adam for all else that it learns."""
    learnt = {
        n: p for n, p in model.named_parameters() if p.requires_grad and not n.startswith("style.")
    }
    rest = dict(learnt)
    matrices = [
        rest.pop(n)
        for n in learnt
        if n.endswith("modulation.weight") or (n.endswith("conv.weight") and "rgb" not in n)
    ]
    return {
        "muon": Muon(matrices),
        "adam": torch.optim.Adam(rest.values(), betas=(0.9, 0.99)),
    }


def train_generator(options: Options) -> None:
    """Teach the synthesis network, phase by phase; resumes from its last checkpoint."""
    run = Run("generator", options, sum(p.images for p in PHASES))
    torch.manual_seed(options.seed)
    model = new_generator().to(options.device)
    average = copy.deepcopy(model).requires_grad_(False)
    critic = Critic().to(options.device)
    teachers = optimisers(model)
    critic_optimiser = torch.optim.Adam(critic.parameters(), lr=1e-3, betas=(0.0, 0.9))
    parts = {
        "model": model,
        "average": average,
        "critic": critic,
        "critic_optimiser": critic_optimiser,
    } | teachers
    done = run.resume(parts)
    clip = load_network("clip", options.out / "clip.safetensors", options.device)
    pools = open_pairs(options.work)
    codes = [features(pool.portraits) for pool in pools]
    rng = torch.Generator().manual_seed(options.seed * 1_000_003 + done)
    often = how_often(*(pool.portraits for pool in pools))
    faces = {phase.side: face_weight(phase.side).to(options.device) for phase in PHASES}
    step = 0
    while run.should_continue(done):
        phase, share = phase_at(done)
        # half a batch: each portrait comes with its changed self
        index = torch.multinomial(often, phase.batch // 2, generator=rng)
        real = torch.cat([pool.images(index) for pool in pools]).to(options.device)
        real = at_side(real, phase.side).contiguous(memory_format=torch.channels_last)
        weight = faces[phase.side] + changed_weight(real)
        shown = torch.cat([rows[index] for rows in codes])
        w_plus = noisy_codes(shown, model.levels, phase.noise, rng).to(options.device)
        for teacher in teachers.values():
            set_rate(teacher, phase.rate * (1 - 0.85 * share))
        with torch.autocast(real.device.type, torch.bfloat16):
            made = model.synthesise(w_plus, up_to=phase.side)
        loss = pixel = paired_loss(made, real, weight)
        extra = judged = torch.zeros(())
        if phase.sharpen:
            patches = same_patch((made.float(), real), rng)
            judged = critic_step(critic, critic_optimiser, *patches)
            extra = sharpening_loss(critic, *patches) + MEANING * meaning_loss(clip, made, real)
            loss = loss + extra
        model.zero_grad()
        loss.backward()
        for teacher in teachers.values():
            teacher.step()
        update_average(average, model, decay=0.5 ** (phase.batch / 4000))
        done += phase.batch
        step += 1
        if step % 200 == 0:
            quality = psnr(made.detach(), real)
            run.log(done, side=phase.side, loss=pixel, extra=extra, critic=judged, psnr=quality)
        if run.checkpoint_due():
            run.save_checkpoint(parts, done)
            show(run, average, pools[0], codes[0], phase.side)
    run.save_checkpoint(parts, done)
    show(run, average, pools[0], codes[0], phase_at(done - 1)[0].side)


def lift_codes(model: Generator, lift: float) -> None:
    """Move the origin of W in place: codes larger by ``lift`` in every entry draw what the codes
    drew before. Training keeps codes centred; the finished mapping network puts them out lifted.
    """
    for name, module in model.named_modules():
        if name.endswith("modulation"):
            scale = module.lr_mul / math.sqrt(module.weight.shape[1])
            module.bias.data -= lift * scale * module.weight.data.sum(dim=1) / module.lr_mul


@torch.no_grad()
def show(run: Run, model: Generator, pool: Pool, codes: Tensor, side: int) -> None:
    """A grid of renders (odd rows) above what the generator makes of their codes (even rows)."""
    rows = pool.shown(24)
    real = at_side(pool.images(rows), side)
    w = code_scale() * codes[rows] @ basis()
    made = model.synthesise(model.broadcast(w.to(run.options.device)), up_to=side).cpu()
    run.save_sample_grid(real, made)
