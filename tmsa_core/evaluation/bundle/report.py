"""Measures the avatar bundle against the known truth of drawn portraits.

Every figure comes from portraits that no network was trained on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import fmean

import torch
from torch import Tensor

from tmsa_core.avatars.visibility import visible
from tmsa_core.bundles import Bundle
from tmsa_core.editing.inversions import WITH_DETAILS
from tmsa_core.editing.shift import embed_text, semantic_shift
from tmsa_core.evaluation.bundle.inversion import (
    Draw,
    drawings,
    put_back,
    reconstruction,
)
from tmsa_core.evaluation.bundle.sharpness import sharpness_report
from tmsa_core.evaluation.json_lines import Row, RowKind, RowLog
from tmsa_core.evaluation.judges import BATCH, Evaluators, accuracies, edit_and_score, predict
from tmsa_core.evaluation.metrics import agreement, cosine, frechet_distance
from tmsa_core.evaluation.prompts import SIX, ZERO_SHOT, Prompt, fits
from tmsa_core.evaluation.subjects import Subjects, draw_subjects, render_portraits, synthesise
from tmsa_core.training.avatar.pixels import psnr
from tmsa_core.training.avatar.renders import held_out_portraits

INVERTED = 200  # portraits that compare the inversions
ROWS = RowKind("weights", frozenset({"weights", "report"}), "results of `tmsa evaluate avatar`")


@torch.inference_mode()
def samples_report(bundle: Bundle, subjects: Subjects) -> Row:
    """Measures random samples: the Frechet distance to renders in the classifier's features.

    Returns:
        frechet_samples, and frechet_renders, the same distance between two sets of renders, which
        is the lowest that samples can reach.
    """
    judge, generator = bundle.load("classifier"), bundle.load("generator")
    count = len(subjects.images)
    z = torch.randn(count, 512, generator=torch.Generator().manual_seed(5))
    samples = synthesise(generator, generator.broadcast(generator.map(z)))
    others = render_portraits(held_out_portraits(count, seed=1), generator.resolution)
    sets = (subjects.images, samples, others)
    real, fake, again = (torch.cat([judge.features(x) for x in s.split(BATCH)]) for s in sets)
    return {
        "frechet_samples": frechet_distance(real, fake),
        "frechet_renders": frechet_distance(real, again),
    }


@torch.inference_mode()
def inversion_report(bundle: Bundle, subjects: Subjects) -> Row:
    """Measures e4e: PSNR, identity, and the classifier's accuracy per attribute.

    Returns:
        psnr, identity, and for each attribute and the mean judge_NAME on the renders and e4e_NAME
        on their reconstructions.
    """
    judge, identity = bundle.load("classifier"), bundle.load("identity")
    made = synthesise(bundle.load("generator"), subjects.codes)
    sets = {"judge": subjects.images, "e4e": made}
    before, after = (torch.cat([identity(x) for x in s.split(BATCH)]) for s in sets.values())
    report = {"psnr": psnr(made, subjects.images), "identity": cosine(before, after)}
    for kind, images in sets.items():
        rates = accuracies(predict(judge, images), subjects.portraits)
        report |= {f"{kind}_{name}": rate for name, rate in rates.items()}
        report[f"{kind}_mean"] = fmean(rates.values())
    return report


@torch.inference_mode()
def zero_shot_report(bundle: Bundle, subjects: Subjects) -> Row:
    """Measures CLIP's zero-shot accuracy on renders, for each question of ``ZERO_SHOT``."""
    clip, portraits = bundle.load("clip"), subjects.portraits
    images = torch.cat([clip.embed_images(x) for x in subjects.images.split(BATCH)])
    report = {}
    for question in ZERO_SHOT:
        texts = torch.stack([embed_text(clip, text) for text, _ in question.answers])
        options = portraits.attributes[question.attribute]
        right = torch.full_like(options, -1)
        for i, (_, names) in enumerate(question.answers):
            right[fits(options, question.attribute, names)] = i
        asked = (right >= 0) & visible(portraits, question.attribute)
        report[question.name] = agreement((images @ texts.T).argmax(dim=1), right, asked)
    return report


@torch.inference_mode()
def edit_report(
    bundle: Bundle, subjects: Subjects, prompts: tuple[Prompt, ...] = SIX, draw: Draw | None = None
) -> list[Row]:
    """Edits portraits by the bundle's mapping network at alpha = 1 and scores them.

    Args:
        bundle: The bundle.
        subjects: Drawn portraits.
        prompts: The prompts.
        draw: Makes images of codes; the generator alone by default.

    Returns:
        One row for each prompt, see ``edit_and_score``.
    """
    generator, mapper = bundle.load("generator"), bundle.load("mapper")
    judges = Evaluators(*(bundle.load(role) for role in ("clip", "identity", "classifier")))
    draw = draw or (lambda codes, index: synthesise(generator, codes))
    every = torch.arange(len(subjects.codes))
    before = judges.read(draw(subjects.codes, every), subjects.portraits.traits)
    rows = []
    for prompt in prompts:
        shift = semantic_shift(mapper, judges.text(prompt.neutral), judges.text(prompt.target))
        moved = subjects.codes + shift
        row = edit_and_score(judges, before, prompt, _edited(draw, moved))
        rows.append({"alpha": 1.0} | row)
    return rows


def _edited(draw: Draw, codes: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda index: draw(codes[index], index)


@torch.inference_mode()
def inversions_report(bundle: Bundle, subjects: Subjects) -> list[Row]:
    """Compares the inversions.

    Returns:
        For each inversion a row "reconstruction"; all but e4e's also have the share of portraits
        that they bring closer than e4e. For each inversion and each of the six prompts a row
        "edit_by_inversion", see ``edit_report``, and a row "edit_put_back", which compares the
        whole images with the portraits.
    """
    every = torch.arange(len(subjects.codes))
    rows: list[Row] = []
    reference: Mapping[str, Tensor] = {}
    for name, draw in drawings(bundle, subjects).items():
        figures, distances = reconstruction(bundle, subjects, draw(subjects.codes, every))
        nearer = {f"nearer_{k}": fmean((distances[k] < reference[k]).tolist()) for k in reference}
        reference = reference or distances
        rows.append({"report": "reconstruction", "inversion": name} | figures | nearer)
        ways = {"edit_by_inversion": draw, "edit_put_back": put_back(draw, subjects)}
        for report, way in ways.items():
            edits = edit_report(bundle, subjects, draw=way)
            rows += [{"report": report, "inversion": name} | row for row in edits]
    return rows


def evaluate(bundle: Bundle, count: int, out: Path) -> list[Row]:
    """Runs every report that a file of rows lacks.

    Args:
        bundle: The bundle.
        count: Number of held-out portraits; the inversions are compared on at most ``INVERTED``.
        out: The file of rows.

    Returns:
        All rows of this bundle and this number of portraits.

    Raises:
        RequestError: ``out`` contains something else, or the portraits are too few.
    """
    weights = bundle.fingerprint()
    log = RowLog(out, ROWS, {"weights": weights, "of": count})
    side = bundle.load("generator").resolution
    subjects = draw_subjects(bundle.load("e4e"), count, side)
    reports: dict[str, Callable[[], list[Row]]] = {
        "samples": lambda: [samples_report(bundle, subjects)],
        "crispness": lambda: [sharpness_report(bundle)],
        "inversion": lambda: [inversion_report(bundle, subjects)],
        "zero_shot": lambda: [zero_shot_report(bundle, subjects)],
        "edit": lambda: edit_report(bundle, subjects),
    }
    for name, measure in reports.items():
        if not log.find(report=name):
            log.add([{"report": name, "portraits": count} | row for row in measure()])
    if any(map(bundle.has, WITH_DETAILS)) and not log.find(report="reconstruction"):
        few = min(count, INVERTED)
        own = draw_subjects(bundle.load("e4e"), few, side)
        log.add([{"portraits": few} | row for row in inversions_report(bundle, own)])
    return log.rows
