"""CLIP2StyleGAN: directions in CLIP's space, transferred to StyleGAN's W.

Paper: Abdal et al. 2022, "CLIP2StyleGAN: Unsupervised Extraction of StyleGAN Edit Directions".
Once per generator, it samples images and computes the principal components of their CLIP
embeddings. For each text, a direction in that subspace ranks the images; a support vector machine
separates the codes of the highest from those of the lowest, and its normal is the edit.

Reference implementation: RameenAbdal/CLIP2StyleGAN, which has the components but not the support
vector machine. Differences:

- The authors find components first and then texts that name them. Here the direction is the text
  direction projected onto all components, so no single component has to match the attribute.
- Their second step, which disentangles a direction from others, is left out.
- The drawn domain has 2,048 instead of 20,000 images, see ``SETTINGS``.
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
    """Settings.

    Attributes:
        samples: Random images.
        components: Principal components.
        extreme: Share of the images at each end of the ranking that is separated.
        margin: C of the support vector machine; small values give a wide margin.
    """

    samples: int = 20_000
    components: int = 50
    extreme: float = 0.1
    margin: float = 0.01


# Domains with other settings: a CPU synthesises so many portraits in half a minute.
SETTINGS = {"avatar": Settings(samples=2_048)}


def find_edit(networks: FrozenNetworks, w_plus: Tensor, texts: Texts) -> Edit:
    """The normal of the boundary, the same shift for all codes w_plus (B,L,512).

    Its length is the distance along it between the means of the two sides, so that alpha = 1 goes
    from one end of the attribute to the other.
    """
    prepare(networks)
    part = load_part(networks, PART)
    neutral, target = (embed_text(networks.clip, t) for t in (texts.neutral, texts.target))
    basis = part["components"]  # (components,D), orthonormal rows
    direction = basis.T @ (basis @ (target - neutral))
    settings = SETTINGS.get(networks.domain, Settings())
    shift = boundary_shift(part["embeddings"] @ direction, part["codes"], settings)
    return Edit(w_shift=shift.to(w_plus.device).expand(1, w_plus.shape[1], -1))


def boundary_shift(scores: Tensor, codes: Tensor, settings: Settings) -> Tensor:
    """The shift (512,) from the codes (N,512) with the lowest scores (N,) to the highest."""
    from sklearn.svm import LinearSVC

    count = max(2, int(settings.extreme * len(scores)))
    order = scores.argsort().cpu()
    low, high = codes[order[:count]].cpu(), codes[order[-count:]].cpu()
    machine = LinearSVC(C=settings.margin, random_state=0, max_iter=10_000)
    machine.fit(torch.cat([low, high]).numpy(), [0] * count + [1] * count)
    normal = F.normalize(torch.from_numpy(machine.coef_[0]).float(), dim=0)
    return normal * (normal @ (high.mean(dim=0) - low.mean(dim=0)))


@torch.inference_mode()
def prepare(networks: FrozenNetworks) -> float:
    """Sample images and compute the components if necessary; returns the seconds it took."""
    if not part_path(networks, PART).exists():
        from sklearn.decomposition import PCA

        settings = SETTINGS.get(networks.domain, Settings())
        start = time.perf_counter()
        codes, embeddings = _samples(networks, settings.samples)
        pca = PCA(settings.components, svd_solver="full").fit(embeddings.cpu().numpy())
        components = torch.from_numpy(pca.components_).float()
        parts = {"codes": codes, "embeddings": embeddings, "components": components}
        save_part(networks, PART, parts, time.perf_counter() - start, samples=settings.samples)
    return part_seconds(networks, PART)


def _samples(networks: FrozenNetworks, count: int) -> tuple[Tensor, Tensor]:
    """Codes (count,512) of random images and their embeddings (count,D)."""
    generator = networks.generator
    z = torch.randn(count, generator.w_dim, generator=torch.Generator().manual_seed(1))
    w = generator.map(z.to(networks.device))
    parts: list[Tensor] = []
    for some in tqdm(w.split(BATCH), desc="CLIP2StyleGAN", mininterval=5):
        networks.progress(len(parts) * BATCH, count, "embedding images")
        parts.append(networks.clip.embed_images(generator.synthesise(generator.broadcast(some))))
    return w, torch.cat(parts)
