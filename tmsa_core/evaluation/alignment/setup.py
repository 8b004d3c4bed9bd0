"""What the studies of the alignment share: portraits to edit, true directions and rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import torch
import torch.nn.functional as F
from torch import Tensor

from tmsa_core.avatars.params import ATTRIBUTES, TRAITS
from tmsa_core.bundles import Bundle
from tmsa_core.editing.shift import calibrate
from tmsa_core.evaluation.json_lines import Row, RowKind, RowLog
from tmsa_core.evaluation.judges import Evaluators, Reading, edit_and_score
from tmsa_core.evaluation.prompts import Prompt, fits
from tmsa_core.evaluation.subjects import draw_subjects
from tmsa_core.networks.tmsa import Mapper
from tmsa_core.progress import no_progress
from tmsa_core.training.avatar.stylegan_mapping import LIFT
from tmsa_core.training.avatar.w_codes import read_code
from tmsa_core.training.mapper.bank import Bank, ImageEmbedder, synthetic_bank
from tmsa_core.training.mapper.cache import Parts, cached

Direction = Callable[[Tensor, Tensor], Tensor]
"""Embeddings of the neutral and the target text (D,) -> a shift (L,512)."""

JUDGES = ("classifier", "identity")
TRAINED_WITH = ("generator", "clip", "e4e")
STUDY_ROLES: Mapping[str, tuple[str, ...]] = {
    "gap": (*TRAINED_WITH, *JUDGES),
    "losses": (*TRAINED_WITH, *JUDGES),
    "curve": (*TRAINED_WITH, *JUDGES),
    "merit": (*TRAINED_WITH, "mapper", *JUDGES),
}
"""Networks that each study depends on; its rows contain their fingerprint."""

BANK_SEED = 101
ROWS = RowKind("study", frozenset({"study", "weights"}), "rows of `tmsa measure`")
COMMON_LENGTH = 0.29  # of the spread of codes, to compare directions at one length


def study_weights(bundle: Bundle, study: str) -> str:
    """Returns the fingerprint of the networks that a study depends on."""
    return bundle.fingerprint(STUDY_ROLES[study])


def open_log(path: Path, study: str, bundle: Bundle) -> RowLog:
    """Returns the rows of a study with the present networks; see ``RowLog``."""
    return RowLog(path, ROWS, {"study": study, "weights": study_weights(bundle, study)})


@dataclass(frozen=True)
class StudySetup:
    """Held-out portraits and the networks that edit and score them.

    Attributes:
        bundle: The bundle.
        embedder: Its generator and CLIP.
        judges: The networks that score.
        codes: (N,L,512) inversions of the portraits.
        before: What the judges see in the inversions.
    """

    bundle: Bundle
    embedder: ImageEmbedder
    judges: Evaluators
    codes: Tensor
    before: Reading


@torch.inference_mode()
def synthesise_half(embedder: ImageEmbedder, codes: Tensor) -> Tensor:
    """Generates images in bfloat16: (N,L,512) -> (N,3,R,R), clamped to [-1,1], in batches."""
    with embedder.autocast():
        parts = codes.split(embedder.batch)
        return torch.cat([embedder.generator.synthesise(w).clamp(-1, 1) for w in parts])


def set_up_study(bundle: Bundle, portraits: int) -> StudySetup:
    """Renders, inverts and reads ``portraits`` held-out portraits."""
    embedder = ImageEmbedder(bundle.load("generator"), bundle.load("clip"))
    judges = Evaluators(embedder.clip, bundle.load("identity"), bundle.load("classifier"))
    subjects = draw_subjects(bundle.load("e4e"), portraits, embedder.generator.resolution)
    before = judges.read(synthesise_half(embedder, subjects.codes), subjects.portraits.traits)
    return StudySetup(bundle, embedder, judges, subjects.codes, before)


def study_bank(setup: StudySetup, count: int, folder: Path) -> Bank:
    """Returns synthetic pairs, cached in ``folder`` until the networks change."""
    weights = setup.bundle.fingerprint(("generator", "clip"))
    key = {"weights": weights, "count": count, "seed": BANK_SEED}

    def make(parts: Parts) -> dict[str, Tensor]:
        bank = synthetic_bank(setup.embedder, count, BANK_SEED, no_progress, parts)
        return {"synthetic": bank.synthetic, "w": bank.w}

    kept = cached(folder, f"study-of-{count}", key, make)
    empty = kept["w"].new_zeros(0, setup.embedder.generator.levels, kept["w"].shape[1])
    return Bank(kept["synthetic"], kept["w"], kept["synthetic"][:0], empty)


def try_shift(setup: StudySetup, prompt: Prompt, shift: Tensor, alpha: float = 1.0) -> Row:
    """Edits the portraits that lack what a prompt asks for by alpha * shift (L,512).

    Returns:
        prompt, alpha, portraits and mean scores, see ``edit_and_score``.
    """

    def edit(index: Tensor) -> Tensor:
        return synthesise_half(setup.embedder, setup.codes[index] + alpha * shift)

    return {"alpha": alpha} | edit_and_score(setup.judges, setup.before, prompt, edit)


def true_direction(bank: Bank, prompt: Prompt) -> Tensor:
    """Returns (512,), the mean w of samples with the attributes asked for, minus that of others.

    Only the avatar domain allows this: its codes contain the attributes.
    """
    decoded = read_code(bank.w - LIFT)[:, len(TRAITS) :]
    sizes = [len(attribute.options) for attribute in ATTRIBUTES.values()]
    parts = dict(zip(ATTRIBUTES, decoded.split(sizes, dim=1), strict=True))
    has = torch.ones(len(bank.w), dtype=torch.bool)
    for name, options in prompt.wanted:
        # The code of an attribute is its one-hot vector, centred and scaled by its prior.
        prior = torch.tensor(ATTRIBUTES[name].prior)
        unit = (prior * (1 - prior)).sum().sqrt()
        has &= fits((parts[name] * unit + prior).argmax(dim=1), name, options)
    return bank.w[has].mean(dim=0) - bank.w[~has].mean(dim=0)


def newest(rows: Sequence[Row], study: str) -> list[Row]:
    """Returns the rows of a study with the weights and number of portraits of its last row."""
    found = [row for row in rows if row["study"] == study]
    return [
        row
        for row in found
        if row["weights"] == found[-1]["weights"]
        and _portraits(row) in (None, _portraits(found[-1]))
    ]


def _portraits(row: Row) -> object:
    """Returns how many portraits a study used; "portraits" may be those that were edited."""
    return row.get("of", row.get("portraits"))


def raw_direction(mapper: Mapper) -> Direction:
    """Returns M(t) - M(t0), as published."""

    def direction(neutral: Tensor, target: Tensor) -> Tensor:
        with torch.inference_mode():
            w_neutral, w_target = mapper.from_text(torch.stack([neutral, target]))
        return w_target - w_neutral

    return direction


def judge(
    setup: StudySetup, bank: Bank, direction: Direction, prompts: Sequence[Prompt], length: float
) -> Row:
    """Averages the scores of a direction over prompts.

    Args:
        setup: The portraits and networks.
        bank: Pairs that define the true directions.
        direction: What is scored.
        prompts: The prompts.
        length: The length to which all shifts are scaled; 0 keeps their own.

    Returns:
        cosine_to_truth, which compares the mean row of a shift with the true direction, and
        success, kept, identity and clip.
    """
    rows = []
    for prompt in prompts:
        texts = setup.judges.text(prompt.neutral), setup.judges.text(prompt.target)
        shift = direction(*texts)
        cosine = F.cosine_similarity(shift.mean(dim=0), true_direction(bank, prompt), dim=0)
        scores = try_shift(setup, prompt, calibrate(shift, length))
        rows.append({"cosine_to_truth": float(cosine)} | scores)
    names = ("cosine_to_truth", "success", "kept", "identity", "clip")
    return {name: fmean(row[name] for row in rows) for name in names}
