"""What a mapper's card says about its quality, measured on its generator's own samples.

No labels and no images are needed, so that the numbers of any two domains are made in one way.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from tmsa_core.bundles import Bundle
from tmsa_core.editing.shift import semantic_shift
from tmsa_core.training.mapper.bank import ImageEmbedder
from tmsa_core.training.mapper.calibrate import TOP_SHARE
from tmsa_core.training.mapper.calibration_texts import embed_pairs

SAMPLES = 8  # images that are edited
SEED = 1  # of these samples; not that of any bank
BANK = 256  # samples that stand for the generator, where the mapper carries none


@dataclass(frozen=True)
class MapperQuality:
    """How well edits at alpha = 1 do what their texts ask, averaged over the calibration texts.

    Attributes:
        round_trip: Mean cosine between the movement of an edited image in CLIP's space and that
            of the texts, from -1 to 1.
        calibration: How far an edited image comes from its own text match to that of the best
            quarter of samples: 0 is not at all, 1 is there.
        texts: Number of calibration texts.
        samples: Number of images that each text edits.
    """

    round_trip: float
    calibration: float
    texts: int
    samples: int


@torch.inference_mode()
def measure_mapper(bundle: Bundle, device: str = "cpu") -> MapperQuality:
    """Edit samples of a bundle's generator by its mapper, and compare them with the texts.

    Args:
        bundle: Its generator, CLIP and mapper are on this machine.
        device: Where the networks run.

    Raises:
        BundleError: A network is missing or damaged.
    """
    embedder = ImageEmbedder(bundle.load("generator", device), bundle.load("clip", device), device)
    mapper = bundle.load("mapper")
    texts = embed_pairs(embedder.clip, bundle.domain)
    rng = torch.Generator().manual_seed(SEED)
    w = embedder.generator.map(torch.randn(SAMPLES, 512, generator=rng).to(device))
    codes = embedder.generator.broadcast(w).cpu()  # (N,L,512)
    before = embedder.embed(codes)
    if mapper.references:
        bank = mapper.reference_embeddings
    else:
        bank, _ = embedder.pairs(torch.randn(BANK, 512, generator=rng))
    cosines, progress = [], []
    for neutral, target in texts:
        after = embedder.embed(codes + semantic_shift(mapper, neutral, target))
        wanted = (target - neutral)[None]
        cosines.append(F.cosine_similarity(after - before, wanted, dim=1).mean())
        match = bank @ target
        goal = match.topk(max(1, int(TOP_SHARE * len(match)))).values.mean()
        start = (before @ target).mean()
        progress.append(((after @ target).mean() - start) / (goal - start))
    round_trip, calibration = (float(torch.stack(v).mean()) for v in (cosines, progress))
    return MapperQuality(round(round_trip, 3), round(calibration, 3), len(texts), SAMPLES)
