"""CLIP2StyleGAN (Abdal et al. 2022): directions of CLIP's space carried over to StyleGAN's W.

Once for a generator: random images with their codes and CLIP embeddings, and the principal
components of the embeddings. For a text: the direction of that subspace that agrees with it ranks
the images; a support vector machine separates the codes of the first from those of the last,
and its normal is the edit.

The authors name components after texts. Here a text takes its share of every component, which can
only help the method: no component has to be about that one attribute.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from tmsa_core.baselines.interface import (
    Edit,
    FrozenNetworks,
    Texts,
    load_part,
    part_path,
    part_seconds,
    save_part,
)
from tmsa_core.editing.shift import embed_text

PART = "clip2stylegan"
BATCH = 32


@dataclass(frozen=True)
class Settings:
    """samples: random images. components: of the PCA. extreme: share at each end that counts.

    margin: C of the support vector machine; small is a wide margin.
    """

    samples: int = 20_000
    components: int = 50
    extreme: float = 0.1
    margin: float = 0.01


SETTINGS = {"avatar": Settings(samples=2_048)}
"""Where a domain differs: a CPU draws that many portraits in half a minute."""


def find_edit(world: FrozenNetworks, w_plus: Tensor, texts: Texts) -> Edit:
    """The normal of the boundary, the same for every code.

    Its length is the distance of the means of the two sides along it, so that alpha = 1 goes from
    one end of the attribute to the other.
    """
    prepare(world)
    part = load_part(world, PART)
    neutral, target = (embed_text(world.clip, t) for t in (texts.neutral, texts.target))
    basis = part["components"]  # (components,clip_dim), orthonormal rows
    direction = basis.T @ (basis @ (target - neutral))
    settings = SETTINGS.get(world.domain, Settings())
    step = boundary_step(part["embeddings"] @ direction, part["codes"], settings)
    return Edit(w_shift=step.to(w_plus.device).expand(1, w_plus.shape[1], -1))


def boundary_step(scores: Tensor, codes: Tensor, settings: Settings) -> Tensor:
    """(w_dim,): from the codes (N,w_dim) with the lowest scores (N,) across to the highest."""
    from sklearn.svm import LinearSVC

    count = max(2, int(settings.extreme * len(scores)))
    order = scores.argsort().cpu()
    low, high = codes[order[:count]].cpu(), codes[order[-count:]].cpu()
    machine = LinearSVC(C=settings.margin, random_state=0, max_iter=10_000)
    machine.fit(torch.cat([low, high]).numpy(), [0] * count + [1] * count)
    normal = F.normalize(torch.from_numpy(machine.coef_[0]).float(), dim=0)
    return normal * (normal @ (high.mean(dim=0) - low.mean(dim=0)))


@torch.inference_mode()
def prepare(world: FrozenNetworks) -> float:
    """Draw the images and find the components unless that is done; the seconds that it took."""
    if not part_path(world, PART).exists():
        from sklearn.decomposition import PCA

        settings = SETTINGS.get(world.domain, Settings())
        start = time.perf_counter()
        codes, embeddings = _samples(world, settings.samples)
        pca = PCA(settings.components, svd_solver="full").fit(embeddings.cpu().numpy())
        components = torch.from_numpy(pca.components_).float()
        parts = {"codes": codes, "embeddings": embeddings, "components": components}
        save_part(world, PART, parts, time.perf_counter() - start, samples=settings.samples)
    return part_seconds(world, PART)


def _samples(world: FrozenNetworks, count: int) -> tuple[Tensor, Tensor]:
    """Codes (count,w_dim) of random images and their embeddings (count,clip_dim)."""
    generator = world.generator
    z = torch.randn(count, generator.w_dim, generator=torch.Generator().manual_seed(1))
    w = generator.map(z.to(world.device))
    parts: list[Tensor] = []
    for some in tqdm(w.split(BATCH), desc="CLIP2StyleGAN", mininterval=5):
        world.tick(len(parts) * BATCH, count)
        parts.append(world.clip.embed_images(generator.synthesise(generator.broadcast(some))))
    return w, torch.cat(parts)
