"""How good the avatar bundle is, measured against the truth that only a drawn world has.

Every figure comes from portraits that no stage trained on, and is appended to a JSON-lines file.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from tmsa_core.avatars.params import ATTRIBUTES, Portraits
from tmsa_core.avatars.visibility import visible
from tmsa_core.bundles import Bundle
from tmsa_core.editing.shift import embed_text, semantic_shift
from tmsa_core.evaluation.avatar_images import batches, rendered, synthesise
from tmsa_core.evaluation.bundle.sharpness import sharpness_report
from tmsa_core.evaluation.held_out import Subjects, make_subjects
from tmsa_core.evaluation.judges import JUDGED
from tmsa_core.evaluation.metrics import agreement, cosine, frechet_distance
from tmsa_core.evaluation.prompts import SIX, ZERO_SHOT, Prompt, ZeroShot, fits
from tmsa_core.networks.attributes import AttributeNet
from tmsa_core.networks.clip import Clip
from tmsa_core.training.avatar.pixels import psnr
from tmsa_core.training.avatar.renders import held_out_portraits

Draw = Callable[[Tensor, Tensor], Tensor]


def predict(judge: AttributeNet, images: Tensor) -> dict[str, Tensor]:
    """name -> (N,) likeliest option of each image."""
    parts = [judge.predict(x) for x in batches(images)]
    return {name: torch.cat([p[name] for p in parts]) for name in ATTRIBUTES}


@torch.inference_mode()
def samples_report(bundle: Bundle, subjects: Subjects) -> dict[str, float]:
    """Sample quality: Frechet distance to renders in the classifier's features.

    ``renders`` is the same distance between two sets of renders, the least there can be.
    """
    judge, generator = bundle.load("classifier"), bundle.load("generator")
    count = len(subjects.portraits)
    z = torch.randn(count, 512, generator=torch.Generator().manual_seed(5))
    made = synthesise(generator, generator.broadcast(generator.map(z)))
    others = rendered(held_out_portraits(count, seed=1))
    sets = (subjects.renders, made, others)
    real, fake, again = (torch.cat([judge.features(x) for x in batches(s)]) for s in sets)
    return {
        "frechet_samples": frechet_distance(real, fake),
        "frechet_renders": frechet_distance(real, again),
    }


@torch.inference_mode()
def inversion_report(bundle: Bundle, subjects: Subjects) -> dict[str, float]:
    """e4e: PSNR, identity and, per attribute, how often its reconstruction shows the truth.

    ``judge_*`` is the classifier's own accuracy on the renders.
    """
    judge, identity = bundle.load("classifier"), bundle.load("identity")
    remade = synthesise(bundle.load("generator"), subjects.codes)
    on_renders, on_remade = predict(judge, subjects.renders), predict(judge, remade)
    report: dict[str, float] = {"psnr": psnr(remade, subjects.renders)}
    before = torch.cat([identity(x) for x in batches(subjects.renders)])
    after = torch.cat([identity(x) for x in batches(remade)])
    report["identity"] = cosine(before, after)
    for name in ATTRIBUTES:
        truth, seen = subjects.portraits.attributes[name], visible(subjects.portraits, name)
        report[f"judge_{name}"] = agreement(on_renders[name], truth, seen)
        report[f"e4e_{name}"] = agreement(on_remade[name], truth, seen)
    for kind in ("judge", "e4e"):
        report[f"{kind}_mean"] = sum(report[f"{kind}_{n}"] for n in ATTRIBUTES) / len(ATTRIBUTES)
    return report


@torch.inference_mode()
def zero_shot_report(bundle: Bundle, subjects: Subjects) -> dict[str, float]:
    """CLIP's zero-shot accuracy on renders, one figure for each question."""
    clip = bundle.load("clip")
    images = torch.cat([clip.embed_images(x) for x in batches(subjects.renders)])
    return {q.name: _zero_shot(clip, images, subjects.portraits, q) for q in ZERO_SHOT}


def _zero_shot(clip: Clip, images: Tensor, portraits: Portraits, question: ZeroShot) -> float:
    texts = torch.stack([embed_text(clip, text) for text, _ in question.answers])
    chosen = (images @ texts.T).argmax(dim=1)
    index = portraits.attributes[question.attribute]
    right = torch.full_like(index, -1)
    for i, (_, options) in enumerate(question.answers):
        right[fits(index, question.attribute, options)] = i
    asked = (right >= 0) & visible(portraits, question.attribute)
    return agreement(chosen, right, asked)


@torch.inference_mode()
def edit_report(
    bundle: Bundle,
    subjects: Subjects,
    prompts: tuple[Prompt, ...] = SIX,
    alpha: float = 1.0,
    draw: Draw | None = None,
) -> list[dict[str, float | str]]:
    """Text edits of inverted portraits that lack the attribute, judged by the classifier.

    success: share whose edit shows what was asked. kept: mean share of the other attributes,
    as read off the inversion, that the edit leaves alone. worst_kept: the least kept of them.
    clip: share that CLIP classes as the target rather than as the text without it. identity: mean
    cosine of the identity embedding before and after. draw: the images of codes (N,L,512) of
    the subjects in rows (N,); by default the generator's own.
    """
    judge, identity, clip = (bundle.load(r) for r in ("classifier", "identity", "clip"))
    generator, mapper = bundle.load("generator"), bundle.load("mapper")
    draw = draw or (lambda codes, _: synthesise(generator, codes))
    before = draw(subjects.codes, torch.arange(len(subjects.codes)))
    read = predict(judge, before)
    rows: list[dict[str, float | str]] = []
    for prompt in prompts:
        lacking = ~_shows(read, prompt)
        neutral, target = embed_text(clip, prompt.neutral), embed_text(clip, prompt.target)
        without = embed_text(clip, prompt.without)
        shift = semantic_shift(mapper, neutral, target)
        after = draw(subjects.codes[lacking] + alpha * shift, lacking.nonzero()[:, 0])
        now = predict(judge, after)
        traits = subjects.portraits[lacking].traits
        was = Portraits(traits, {k: v[lacking] for k, v in read.items()})
        kept = _kept(was, Portraits(traits, now), prompt)
        faces = [torch.cat([identity(x) for x in batches(s)]) for s in (before[lacking], after)]
        seen = torch.cat([clip.embed_images(x) for x in batches(after)])
        rows.append(
            {
                "prompt": prompt.name,
                "alpha": alpha,
                "portraits": int(lacking.sum()),
                "success": float(_shows(now, prompt).float().mean()),
                "kept": sum(kept.values()) / len(kept),
                "worst_kept": min(kept.values()),
                "worst": min(kept, key=lambda k: kept[k]),
                "identity": cosine(*faces),
                "clip": float((seen @ target > seen @ without).float().mean()),
            }
        )
    return rows


def _shows(read: Mapping[str, Tensor], prompt: Prompt) -> Tensor:
    shown = [fits(read[name], name, options) for name, options in prompt.wanted]
    return torch.stack(shown).all(dim=0)


def _kept(before: Portraits, after: Portraits, prompt: Prompt) -> dict[str, float]:
    """Share of portraits on which each attribute that the prompt does not ask for is unchanged.

    An attribute counts where it can be seen both before and after.
    """
    excluded = {name for name, _ in prompt.wanted} | set(prompt.implied)
    return {
        name: agreement(
            before.attributes[name],
            after.attributes[name],
            visible(before, name) & visible(after, name),
        )
        for name in JUDGED
        if name not in excluded
    }


def evaluate(bundle: Bundle, count: int, out: Path) -> list[dict[str, object]]:
    """Run every report on ``count`` held-out portraits and append the rows to ``out``."""
    subjects = make_subjects(bundle, count)
    rows: list[dict[str, object]] = [
        {"report": "samples"} | samples_report(bundle, subjects),
        {"report": "crispness"} | sharpness_report(bundle),
        {"report": "inversion"} | inversion_report(bundle, subjects),
        {"report": "zero_shot"} | zero_shot_report(bundle, subjects),
        *({"report": "edit"} | row for row in edit_report(bundle, subjects)),
    ]
    common = {"portraits": count, "weights": bundle.fingerprint()}
    append_rows(out, [common | row for row in rows])
    return [common | row for row in rows]


def append_rows(out: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Add JSON lines to a file."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("a") as file:
        for row in rows:
            file.write(json.dumps(row, default=_short) + "\n")


def _short(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 4)
