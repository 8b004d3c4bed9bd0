"""StyleCLIP's latent mapper (Patashnik et al. 2021, section 5): a network trained for each text.

    w_edited = w + 0.1 M_t(w),  M_t minimising  1 - cos(E_I(G(w_edited)), E_T(text))
        + 0.8 mean |w_edited - w|^2 + 0.1 (1 - cos(R(G(w_edited)), R(G(w))))

on random codes of truncation 0.7, one of the two sources of codes that its authors use.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import trange

from tmsa_core.baselines.interface import Edit, FrozenNetworks, Texts, part_path, plain_text
from tmsa_core.networks.styleclip import LevelsMapper
from tmsa_core.weights.network_files import load_network, read_metadata, save_network

KIND = "styleclip_mapper"
SCALE = 0.1
TRUNCATION = 0.7


@dataclass(frozen=True)
class Settings:
    """The authors' numbers, but for the optimiser: plain Adam, which needs no thousands of steps to
    warm up, in place of Ranger (rectified Adam with look-ahead).

    groups: the fine one moves colours too, and can be left out.
    """

    steps: int = 50_000
    batch: int = 2
    rate: float = 0.5
    clip: float = 1.0
    identity: float = 0.1
    l2: float = 0.8
    groups: tuple[str, ...] = ("course", "medium", "fine")


SETTINGS = {"avatar": Settings(steps=1_000, batch=4)}
"""Where a domain differs: small networks and few attributes, and a CPU to train on."""


def find_edit(world: FrozenNetworks, w_plus: Tensor, texts: Texts) -> Edit:
    """0.1 M_t(w) for every code, M_t being trained first if it has not been."""
    prepare_text(world, texts)
    model = load_network(KIND, part_path(world, part_name(texts)), world.device)
    with torch.inference_mode():
        return Edit(w_shift=SCALE * model(w_plus))


def part_name(texts: Texts) -> str:
    """The name of the file of one text's mapper; the neutral text plays no part in it."""
    return "mapper-" + hashlib.sha256(texts.target.encode()).hexdigest()[:12]


def prepare_text(world: FrozenNetworks, texts: Texts) -> float:
    """Train the mapper of a text unless it is there; the seconds that it took."""
    path = part_path(world, part_name(texts))
    if not path.exists():
        settings = SETTINGS.get(world.domain, Settings())
        start = time.perf_counter()
        model = train(world, texts.target, settings)
        made = {"seconds": round(time.perf_counter() - start, 2), "text": texts.target}
        architecture = {"w_dim": world.generator.w_dim, "groups": list(settings.groups)}
        save_network(KIND, model, path, architecture, made | asdict(settings))
    return float(read_metadata(path)["origin"]["seconds"])


def train(world: FrozenNetworks, text: str, settings: Settings, seed: int = 0) -> LevelsMapper:
    """A mapper for one text, trained on the generator's own codes."""
    rng = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LevelsMapper(world.generator.w_dim, settings.groups).to(world.device)
    target = plain_text(world.clip, text)
    optimiser = torch.optim.Adam(model.parameters(), lr=settings.rate)
    for step in trange(settings.steps, desc=f"mapper: {text}", mininterval=5):
        world.tick(step, settings.steps)
        loss = _loss(world, model, _codes(world, settings.batch, rng), target, settings)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return model


def _codes(world: FrozenNetworks, count: int, rng: torch.Generator) -> Tensor:
    """(count,L,w_dim) of random images."""
    z = torch.randn(count, world.generator.w_dim, generator=rng).to(world.device)
    with torch.no_grad():
        return world.generator.broadcast(world.generator.map(z, TRUNCATION))


def _loss(
    world: FrozenNetworks, model: LevelsMapper, w: Tensor, target: Tensor, settings: Settings
) -> Tensor:
    """The weighted sum of the losses on codes w (B,L,w_dim), a scalar; target is (clip_dim,)."""
    edited = w + SCALE * model(w)
    with torch.autocast(world.device, torch.bfloat16):
        images = world.generator.synthesise(edited)
        loss = settings.clip * (1 - world.clip.embed_images(images) @ target).mean()
        if world.identity is not None and settings.identity:
            with torch.no_grad():
                person = world.identity(world.generator.synthesise(w))
            kept = F.cosine_similarity(world.identity(images), person).mean()
            loss = loss + settings.identity * (1 - kept)
    return loss + settings.l2 * (edited - w).square().mean()
