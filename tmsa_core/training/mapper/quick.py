"""Quick alignment: a mapper for a domain in closed form, from its weights alone.

A bank of synthetic pairs, ridge regression, the penalty chosen by the label-free round trip, the
shift's strength by the two-cluster rule. Minutes on a GPU at 1024 pixels, about a minute for
avatars on a CPU. No image, no label, no gradient.
"""

from __future__ import annotations

import time
from collections.abc import Callable
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
from tmsa_core.training.mapper.bank import Bank, ImageEmbedder, synthetic_bank
from tmsa_core.training.mapper.cache import Parts
from tmsa_core.training.mapper.calibrate import calibrate_mapper
from tmsa_core.training.mapper.calibration_texts import TextPairs, embed_pairs
from tmsa_core.training.mapper.closed_form import closed_form
from tmsa_core.training.mapper.export import FILE, check_writable, mapper_folder, save_mapper

Progress = Callable[[float, str], None]
"""Told the share that is done, 0 to 1, and what is under way."""

PAIRS = 4_096
MIN_PAIRS = 64
NOISES = (0.3, 0.6, 0.9, 1.2, 1.6, 2.4)
SUBJECTS = 8
TRIED_TEXTS = 6
CALIBRATED = 4  # subjects for the strength, with all texts
TRIED_LENGTH = 0.25  # of the spread of codes: a clear edit that stays among portraits


@dataclass(frozen=True)
class QuickReport:
    """What a quick alignment made and what it cost.

    evaluations: images that the generator drew. noise: the chosen penalty, as a length.
    round_trip: its figure, the mean cosine of image and text movements.
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
    progress: Progress | None = None,
    replace: bool = False,
) -> QuickReport:
    """Make a mapper for ``domain`` and enter it in the domain's bundle.

    The pairs stay in the cache until the mapper is made, so that the same call continues where an
    earlier one was stopped.

    Args:
        folder: The bundle's folder, if not the usual one.
        replace: Whether a mapper that is already there may be overwritten.

    Raises:
        RequestError: For an unknown domain or device, or too few pairs.
        BundleError: If the generator or CLIP is missing, a mapper is already there, or the folder
            cannot be written. All checks come before any work.
    """
    started = time.monotonic()
    find_domain(domain)
    if pairs < MIN_PAIRS:
        raise RequestError(f"pairs is {pairs}; a closed form needs at least {MIN_PAIRS}.")
    tell = progress or (lambda share, what: None)
    bundle = open_bundle(domain, folder)
    device = find_device(device, mps=False)
    _check_free(bundle, replace)
    embedder = open_embedder(bundle, device)
    check_writable(bundle)
    done = 0

    def tick(count: int) -> None:
        nonlocal done
        done += count
        tell(0.8 * done / pairs, f"Drawing and embedding images: {done} of {pairs}")

    tell(0.0, "Drawing and embedding images")
    key = {"weights": bundle.fingerprint(("generator", "clip")), "count": pairs, "seed": seed}
    parts = Parts(bundle.cache / domain / "quick.parts", key)
    bank = synthetic_bank(embedder, pairs, seed, tick, parts)
    texts = embed_pairs(embedder.clip, domain)
    tell(0.8, "Choosing how strongly to regularise")
    mapper, noise, figure = choose_mapper(bank, embedder, texts)
    tell(0.95, "Calibrating the strength of edits")
    calibrate_mapper(mapper, bank, embedder, texts, CALIBRATED)
    report = QuickReport(
        domain,
        mapper_folder(bundle) / FILE,
        pairs,
        embedder.evaluations,
        round(time.monotonic() - started, 1),
        noise,
        round(figure, 4),
    )
    save_mapper(mapper, bundle, _origin(report, seed), report.seconds)
    parts.clear()
    tell(1.0, "Done")
    return report


def _check_free(bundle: Bundle, replace: bool) -> None:
    """Raise BundleError where a mapper would be lost: one that is here, or the committed one."""
    entry = bundle.files.get("mapper")
    committed = entry is not None and entry.sha256 is not None
    if not replace and (committed or bundle.has("mapper")):
        raise BundleError(
            f"The {bundle.domain} bundle comes with a mapper or has one already, and a quick "
            "alignment would overwrite it: use `python -m tmsa_core train "
            f"{bundle.domain} --quick` to replace it."
        )


def open_embedder(bundle: Bundle, device: str) -> ImageEmbedder:
    """Generator and CLIP of a bundle; BundleError before anything is loaded if one is missing."""
    for role in ("generator", "clip"):
        bundle.path(role)
    return ImageEmbedder(bundle.load("generator", device), bundle.load("clip", device), device)


def choose_mapper(
    bank: Bank, embedder: ImageEmbedder, texts: TextPairs
) -> tuple[Mapper, float, float]:
    """The closed form whose round trip is best: (mapper, its noise, its figure)."""
    length = TRIED_LENGTH * bank.spread()
    subjects = bank.subjects(SUBJECTS)
    some = texts[:TRIED_TEXTS]
    tried = []
    for noise in NOISES:
        mapper = closed_form(bank, noise)
        figure = round_trip(mapper, embedder, subjects, some, length)
        tried.append((figure, noise, mapper))
    figure, noise, mapper = max(tried, key=lambda row: row[:2])
    return mapper, noise, figure


def _origin(report: QuickReport, seed: int) -> dict[str, object]:
    return {
        "command": f"python -m tmsa_core train {report.domain} --quick",
        "seed": seed,
        "pairs": report.pairs,
        "evaluations": report.evaluations,
        "noise": report.noise,
        "round_trip": report.round_trip,
    }


@torch.inference_mode()
def round_trip(
    mapper: Mapper, embedder: ImageEmbedder, subjects: Tensor, texts: TextPairs, length: float
) -> float:
    """Mean of cos(E_I(G(w + dw)) - E_I(G(w)), t - t0), every shift dw of the given length.

    subjects: codes w (N,L,512).
    """
    before = embedder.embed(subjects)
    cosines = []
    for neutral, target in texts:
        w_neutral, w_target = mapper.from_text(torch.stack([neutral, target]))
        shift = calibrate(w_target - w_neutral, length)
        moved = embedder.embed(subjects + shift) - before
        cosines.append(F.cosine_similarity(moved, (target - neutral)[None], dim=1).mean())
    return float(torch.stack(cosines).mean())
