"""Quick alignment: a mapper in closed form, from the networks of a domain only.

Ridge regression on a bank of synthetic pairs. The penalty is the one with the best score of
``round_trip``; ``calibrate.py`` sets the length of shifts. It needs no images, labels or gradients,
and takes minutes on a GPU at 1024 pixels and about a minute on a CPU for the drawn domain.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from tmsa_core.bundles import Bundle, open_bundle
from tmsa_core.devices import find_device, report_out_of_memory
from tmsa_core.domains import find_domain
from tmsa_core.editing.shift import calibrate
from tmsa_core.errors import BundleError, RequestError
from tmsa_core.networks.tmsa import Mapper
from tmsa_core.progress import Progress, no_progress
from tmsa_core.training.mapper.bank import MESSAGE, Bank, ImageEmbedder, synthetic_bank
from tmsa_core.training.mapper.cache import Parts, kept
from tmsa_core.training.mapper.calibrate import FACTORS, calibrate_mapper
from tmsa_core.training.mapper.calibration_texts import TextPairs, embed_pairs
from tmsa_core.training.mapper.closed_form import closed_form
from tmsa_core.training.mapper.export import check_writable, save_mapper

PAIRS = 4_096  # synthetic pairs
MIN_PAIRS = 64
SAMPLED = 80  # percentage of the work that the sampling of pairs is shown as
NOISES = (0.3, 0.6, 0.9, 1.2, 1.6, 2.4)  # penalties to try
SUBJECTS = 8  # images that are edited to compare penalties
TRIED_TEXTS = 6  # calibration texts for these edits
TRIED_LENGTH = 0.25  # length of these edits in units of the codes' spread: visible, yet realistic
CALIBRATED = 4  # images that are edited with all texts to calibrate the length


@dataclass(frozen=True)
class QuickReport:
    """The result of a quick alignment and its cost.

    Attributes:
        domain: Key of the domain.
        path: The mapper's file.
        pairs: Synthetic pairs.
        evaluations: Generator evaluations.
        seconds: Duration.
        noise: The chosen penalty, as a noise length.
        round_trip: Its score, the mean cosine of image and text movements.
    """

    domain: str
    path: Path
    pairs: int
    evaluations: int
    seconds: float
    noise: float
    round_trip: float


@report_out_of_memory
def quick_align(
    domain: str,
    *,
    pairs: int = PAIRS,
    device: str = "auto",
    seed: int = 0,
    folder: Path | None = None,
    progress: Progress = no_progress,
    replace: bool = False,
) -> QuickReport:
    """Compute a mapper for a domain and add it to the domain's bundle.

    The pairs are cached until the mapper is saved, so that the same call continues after a stop.
    All arguments are checked before any work.

    Args:
        domain: Key of the domain.
        pairs: Number of synthetic pairs.
        device: "cpu", "cuda" or "auto".
        seed: Seed of the synthetic pairs.
        folder: The bundle's folder, if not the usual one.
        progress: Called with the percentage done, 100, and the current step.
        replace: Whether an existing mapper may be overwritten.

    Returns:
        The report.

    Raises:
        RequestError: If the domain or the device is unknown, or there are too few pairs.
        BundleError: If the generator or CLIP is missing, a mapper exists already, or the folder
            cannot be written to.
    """
    # 1. Check the arguments.
    started = time.monotonic()
    find_domain(domain)
    if pairs < MIN_PAIRS:
        raise RequestError(f"pairs is {pairs}; a closed form needs at least {MIN_PAIRS}.")
    bundle = open_bundle(domain, folder)
    device = find_device(device, mps=False)
    _check_no_mapper(bundle, replace)
    for role in ("generator", "clip"):
        bundle.path(role)
    check_writable(bundle)
    # 2. Sample the bank.
    embedder = ImageEmbedder(bundle.load("generator", device), bundle.load("clip", device), device)
    key = {"weights": bundle.fingerprint(("generator", "clip")), "count": pairs, "seed": seed}
    parts = Parts(bundle.cache / domain / "quick.parts", key)
    bank = _sample_bank(embedder, pairs, seed, parts, progress)
    # 3. Fit the mapper with the best penalty, and calibrate it.
    texts = embed_pairs(embedder.clip, domain)
    progress(SAMPLED, 100, "Choosing the regularisation")
    tried = Parts(parts.folder, {**key, "noises": NOISES, "factors": FACTORS})
    mapper, noise, score = choose_mapper(bank, embedder, texts, tried)
    progress(90, 100, "Calibrating the strength of edits")
    calibrate_mapper(mapper, bank, embedder, texts, CALIBRATED, tried)
    # 4. Save it.
    seconds, evaluations = round(time.monotonic() - started, 1), embedder.evaluations
    origin: dict[str, object] = {
        "command": f"python -m tmsa_core train {domain} --quick",
        "seed": seed,
        "pairs": pairs,
        "evaluations": evaluations,
        "noise": noise,
        "round_trip": round(score, 4),
    }
    path = save_mapper(mapper, bundle, origin, seconds)
    parts.clear()
    progress(100, 100, "Done")
    return QuickReport(domain, path, pairs, evaluations, seconds, noise, round(score, 4))


def _check_no_mapper(bundle: Bundle, replace: bool) -> None:
    """Raise BundleError if a mapper, on this machine or committed, would be overwritten."""
    entry = bundle.files.get("mapper")
    committed = entry is not None and entry.sha256 is not None
    if not replace and (committed or bundle.has("mapper")):
        raise BundleError(
            f"The {bundle.domain} bundle already has a mapper, and a quick alignment would "
            f"overwrite it: use `python -m tmsa_core train {bundle.domain} --quick` to replace it."
        )


def _sample_bank(
    embedder: ImageEmbedder, pairs: int, seed: int, parts: Parts, progress: Progress
) -> Bank:
    """Sample the pairs; they count as the first ``SAMPLED`` per cent of the work."""

    def report(done: int, total: int, message: str) -> None:
        progress(SAMPLED * done // total, 100, f"{message}: {done} of {total}")

    report(0, pairs, MESSAGE)
    return synthetic_bank(embedder, pairs, seed, report, parts)


def choose_mapper(
    bank: Bank, embedder: ImageEmbedder, texts: TextPairs, parts: Parts | None = None
) -> tuple[Mapper, float, float]:
    """Fit a mapper for every penalty in ``NOISES``, and choose the one with the best round trip.

    Args:
        bank: Pairs to fit.
        embedder: Tries the mappers.
        texts: Pairs of texts.
        parts: Keeps the scores; None to keep nothing.

    Returns:
        The mapper, its penalty as a noise length, and its score.
    """
    length = TRIED_LENGTH * bank.spread()
    subjects = bank.subjects(SUBJECTS)
    tried = []
    for number, noise in enumerate(NOISES):
        mapper = closed_form(bank, noise)

        def try_it(mapper: Mapper = mapper) -> Tensor:
            score = round_trip(mapper, embedder, subjects, texts[:TRIED_TEXTS], length)
            return torch.tensor(score, dtype=torch.float64)

        tried.append((float(kept(parts, number, try_it)), noise, mapper))
    score, noise, mapper = max(tried, key=lambda row: row[:2])
    return mapper, noise, score


@torch.inference_mode()
def round_trip(
    mapper: Mapper, embedder: ImageEmbedder, subjects: Tensor, texts: TextPairs, length: float
) -> float:
    """Mean of cos(E_I(G(w + dw)) - E_I(G(w)), t - t0): do edits move images as texts move?

    Args:
        mapper: Gives the shifts dw = M(t) - M(t0).
        embedder: G and E_I.
        subjects: Codes w (N,L,512).
        texts: The pairs (t0, t).
        length: Length that every shift is scaled to.

    Returns:
        The mean, at most 1.
    """
    before = embedder.embed(subjects)
    cosines = []
    for neutral, target in texts:
        w_neutral, w_target = mapper.from_text(torch.stack([neutral, target]))
        shift = calibrate(w_target - w_neutral, length)
        moved = embedder.embed(subjects + shift) - before
        cosines.append(F.cosine_similarity(moved, (target - neutral)[None], dim=1).mean())
    return float(torch.stack(cosines).mean())
