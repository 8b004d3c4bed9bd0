"""StyleCLIP's latent mapper: a network M_t that is trained for each text.

Paper: Patashnik et al. 2021, "StyleCLIP: Text-Driven Manipulation of StyleGAN Imagery", section 5.
The edited code is w' = w + 0.1 M_t(w), and the loss

    1 - cos(E_I(G(w')), E_T(text)) + 0.8 mean |w' - w|^2 + 0.1 (1 - cos(R(G(w')), R(G(w))))

Reference implementation: orpatashnik/StyleCLIP, mapper/training/coach.py. Differences:

- Adam instead of Ranger (rectified Adam with look-ahead).
- Each step samples new codes with truncation 0.7; theirs draws from a fixed set of such codes, or
  from inverted photos.
- No validation and no choice of the best checkpoint.
- CLIP reads the image with its own preprocessing; theirs omits CLIP's mean and deviation.
- R is the identity network of the bundle; if there is none, the identity loss is left out.
- The networks run in bfloat16.
- The drawn domain has fewer steps and a larger batch, see ``SETTINGS``.
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
from tmsa_core.training.run import seeded
from tmsa_core.weights.network_files import load_network, read_metadata, save_network

KIND = "styleclip_mapper"
SCALE = 0.1
TRUNCATION = 0.7


@dataclass(frozen=True)
class Settings:
    """The authors' settings.

    Attributes:
        steps: Training steps.
        batch: Codes per step.
        rate: Learning rate.
        clip: Weight of the CLIP loss.
        identity: Weight of the identity loss.
        l2: Weight of the mean squared shift.
        groups: The groups of levels that M_t moves.
    """

    steps: int = 50_000
    batch: int = 2
    rate: float = 0.5
    clip: float = 1.0
    identity: float = 0.1
    l2: float = 0.8
    groups: tuple[str, ...] = ("course", "medium", "fine")


# Domains with other settings: the drawn one has small networks that are trained on a CPU.
SETTINGS = {"avatar": Settings(steps=1_000, batch=4)}


def find_edit(networks: FrozenNetworks, w_plus: Tensor, texts: Texts) -> Edit:
    """The shifts 0.1 M_t(w) of the codes w_plus (B,L,512); trains M_t if necessary."""
    prepare_text(networks, texts)
    model = load_network(KIND, part_path(networks, part_name(texts)), networks.device)
    with torch.inference_mode():
        return Edit(w_shift=SCALE * model(w_plus))


def part_name(texts: Texts) -> str:
    """File name of the mapper of a text, without suffix; it depends on the target text only."""
    return "mapper-" + hashlib.sha256(texts.target.encode()).hexdigest()[:12]


def prepare_text(networks: FrozenNetworks, texts: Texts) -> float:
    """Train the mapper of a text if necessary; returns the seconds that it took."""
    path = part_path(networks, part_name(texts))
    if not path.exists():
        settings = SETTINGS.get(networks.domain, Settings())
        start = time.perf_counter()
        model = train(networks, texts.target, settings)
        made = {"seconds": round(time.perf_counter() - start, 2), "text": texts.target}
        architecture = {"w_dim": networks.generator.w_dim, "groups": list(settings.groups)}
        save_network(KIND, model, path, architecture, made | asdict(settings))
    return float(read_metadata(path)["origin"]["seconds"])


def train(networks: FrozenNetworks, text: str, settings: Settings, seed: int = 0) -> LevelsMapper:
    """Train a mapper for one text on random codes of the generator."""
    rng = torch.Generator().manual_seed(seed)
    with seeded(seed):
        model = LevelsMapper(networks.generator.w_dim, settings.groups).to(networks.device)
    target = plain_text(networks.clip, text)
    optimiser = torch.optim.Adam(model.parameters(), lr=settings.rate)
    for step in trange(settings.steps, desc=f"mapper: {text}", mininterval=5):
        networks.progress(step, settings.steps, "training the mapper")
        loss = _loss(networks, model, _codes(networks, settings.batch, rng), target, settings)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return model


def _codes(networks: FrozenNetworks, count: int, rng: torch.Generator) -> Tensor:
    """Random truncated codes (count,L,512)."""
    z = torch.randn(count, networks.generator.w_dim, generator=rng).to(networks.device)
    with torch.no_grad():
        return networks.generator.broadcast(networks.generator.map(z, TRUNCATION))


def _loss(
    networks: FrozenNetworks, model: LevelsMapper, w: Tensor, target: Tensor, settings: Settings
) -> Tensor:
    """The loss for codes w (B,L,512) and the embedding ``target`` (D,) of the text -> scalar."""
    edited = w + SCALE * model(w)
    with torch.autocast(networks.device, torch.bfloat16):
        images = networks.generator.synthesise(edited)
        loss = settings.clip * (1 - networks.clip.embed_images(images) @ target).mean()
        if networks.identity is not None and settings.identity:
            with torch.no_grad():
                person = networks.identity(networks.generator.synthesise(w))
            kept = F.cosine_similarity(networks.identity(images), person).mean()
            loss = loss + settings.identity * (1 - kept)
    return loss + settings.l2 * (edited - w).square().mean()
