"""What the studies of the alignment share: a stage to try shifts on, truth, and appended rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from tmsa_core.avatars.params import ATTRIBUTES, TRAITS
from tmsa_core.bundles import Bundle
from tmsa_core.editing.shift import calibrate, embed_text
from tmsa_core.errors import RequestError, quoted
from tmsa_core.evaluation.held_out import make_subjects
from tmsa_core.evaluation.json_lines import Lines, cut_half_line
from tmsa_core.evaluation.judges import Evaluators, Reading, compared, score, shows
from tmsa_core.evaluation.prompts import Prompt, fits
from tmsa_core.evaluation.staleness import ROLES
from tmsa_core.networks.tmsa import Mapper
from tmsa_core.training.avatar.stylegan_mapping import LIFT
from tmsa_core.training.avatar.w_codes import read_code
from tmsa_core.training.mapper.bank import Bank, ImageEmbedder, synthetic_bank
from tmsa_core.training.mapper.cache import Parts, cached

Row = dict[str, object]
Direction = Callable[[Tensor, Tensor], Tensor]
"""(t0, t), (D,) each -> a shift (L,512)."""

BANK_SEED = 101
LINES = Lines("study", frozenset({"study", "weights"}), "rows of `tmsa measure`")
COMMON_LENGTH = 0.29  # of the spread of codes: where shifts are compared whatever their own length


@dataclass(frozen=True)
class StudySetup:
    """Held-out portraits, inverted and read once, and the networks that edit and judge them.

    before: what the judges read off the inversions ``codes`` (N,L,512).
    """

    bundle: Bundle
    embedder: ImageEmbedder
    judges: Evaluators
    codes: Tensor
    before: Reading

    @cached_property
    def texts(self) -> dict[str, Tensor]:
        """Embeddings of texts, filled as they are asked for."""
        return {}

    def text(self, text: str) -> Tensor:
        """t of one text, (D,)."""
        if text not in self.texts:
            self.texts[text] = embed_text(self.embedder.clip, text)
        return self.texts[text]


def draw(embedder: ImageEmbedder, codes: Tensor) -> Tensor:
    """(N,L,512) -> (N,3,R,R), clamped, in batches."""
    with torch.inference_mode(), embedder.autocast():
        parts = [embedder.generator.synthesise(w).clamp(-1, 1) for w in codes.split(embedder.batch)]
    return torch.cat(parts)


def set_up_study(bundle: Bundle, portraits: int) -> StudySetup:
    """Draw, invert and read ``portraits`` held-out portraits."""
    embedder = ImageEmbedder(bundle.load("generator"), bundle.load("clip"))
    judges = Evaluators(embedder.clip, bundle.load("identity"), bundle.load("classifier"))
    subjects = make_subjects(bundle, portraits)
    before = judges.read(draw(embedder, subjects.codes), subjects.portraits.traits)
    return StudySetup(bundle, embedder, judges, subjects.codes, before)


def check_study_setup(stage: StudySetup, prompts: Sequence[Prompt]) -> None:
    """Raise RequestError where all portraits show what a prompt asks for, so none is edited."""
    for prompt in prompts:
        if shows(stage.before, prompt).all():
            raise RequestError(
                f"All of {len(stage.codes)} portraits show {quoted(prompt.name)} already: use more "
                "of them with --portraits."
            )


def study_bank(stage: StudySetup, count: int, folder: Path) -> Bank:
    """Synthetic pairs to study maps on, kept in ``folder`` until the networks change."""
    weights = stage.bundle.fingerprint(("generator", "clip"))
    key = {"weights": weights, "count": count, "seed": BANK_SEED}

    def draw(parts: Parts) -> dict[str, Tensor]:
        bank = synthetic_bank(stage.embedder, count, BANK_SEED, lambda done: None, parts)
        return {"synthetic": bank.synthetic, "w": bank.w}

    kept = cached(folder, f"study-of-{count}", key, draw)
    empty = kept["w"].new_zeros(0, stage.embedder.generator.levels, kept["w"].shape[1])
    return Bank(kept["synthetic"], kept["w"], kept["synthetic"][:0], empty)


def try_shift(stage: StudySetup, prompt: Prompt, shift: Tensor, alpha: float = 1.0) -> Row:
    """Edit those that lack what a prompt asks for by alpha * shift (L,512), and judge.

    success: share that shows it. kept: mean over the other attributes of the share left alone;
    worst is the least kept of them. identity: mean cosine. clip: share that CLIP prefers to call
    the target.
    """
    lacking = (~shows(stage.before, prompt)).nonzero()[:, 0]
    before = stage.before[lacking]
    images = draw(stage.embedder, stage.codes[lacking] + alpha * shift)
    after = stage.judges.read(images, before.attributes.traits)
    rows = score(before, after, prompt, stage.text(prompt.target), stage.text(prompt.without))
    kept = _kept(rows, prompt)
    return {
        "prompt": prompt.name,
        "alpha": alpha,
        "portraits": len(rows),
        "success": _mean(row["success"] for row in rows),
        "kept": _mean(kept.values()),
        "worst": min(kept, key=lambda name: kept[name]),
        "worst_kept": min(kept.values()),
        "identity": _mean(row["identity"] for row in rows),
        "clip": _mean(row["clip"] for row in rows),
    }


def _kept(rows: Sequence[Row], prompt: Prompt) -> dict[str, float]:
    """name -> share of the images, on which it can be compared, that left it alone."""
    kept = {}
    for name in compared(prompt):
        seen = [row for row in rows if name not in row["unseen"]]
        if seen:
            kept[name] = 1 - sum(name in row["changed"] for row in seen) / len(seen)
    return kept


def true_direction(bank: Bank, prompt: Prompt) -> Tensor:
    """(512,) mean w of the samples that have what a prompt asks for, minus that of the others.

    Only the drawn world can tell: its codes spell the attributes.
    """
    spelt = read_code(bank.w - LIFT)[:, len(TRAITS) :]
    sizes = [len(attribute.options) for attribute in ATTRIBUTES.values()]
    parts = dict(zip(ATTRIBUTES, spelt.split(sizes, dim=1), strict=True))
    has = torch.ones(len(bank.w), dtype=torch.bool)
    for name, options in prompt.wanted:
        prior = torch.tensor(ATTRIBUTES[name].prior)
        unit = (prior * (1 - prior)).sum().sqrt()
        has &= fits((parts[name] * unit + prior).argmax(dim=1), name, options)
    return bank.w[has].mean(dim=0) - bank.w[~has].mean(dim=0)


class Log:
    """Rows of one study appended to a JSON-lines file; those that are there are not made again.

    Rows of other weights do not count.
    """

    def __init__(self, path: Path, study: str, bundle: Bundle) -> None:
        self.path = path
        self.common: Row = {"study": study, "weights": bundle.fingerprint(ROLES[study])}
        self.rows = [row for row in read_rows(path) if row.items() >= self.common.items()]
        cut_half_line(path)

    def add(self, key: Mapping[str, object], make: Callable[[], Row]) -> Row:
        """The row of a key: from the file, or made now and appended."""
        for row in self.rows:
            if row.items() >= key.items():
                return row
        row = self.common | dict(key) | make()
        row = {k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        self.rows.append(row)
        return row


def read_rows(path: Path) -> list[Row]:
    """The rows of a file but for a half-written last one; RequestError for other files."""
    return LINES.read(path)


def newest(rows: Sequence[Row], study: str) -> list[Row]:
    """The rows of a study with the weights, and of as many portraits, as its last row."""
    found = [row for row in rows if row["study"] == study]
    return [
        row
        for row in found
        if row["weights"] == found[-1]["weights"] and _asked(row) in (None, _asked(found[-1]))
    ]


def _asked(row: Row) -> object:
    """How many portraits a row was measured on; its ``portraits`` may be those that lacked it."""
    return row.get("of", row.get("portraits"))


def raw_direction(mapper: Mapper) -> Direction:
    """M(t) - M(t0) as the paper has it."""

    def direction(neutral: Tensor, target: Tensor) -> Tensor:
        with torch.inference_mode():
            w_neutral, w_target = mapper.from_text(torch.stack([neutral, target]))
        return w_target - w_neutral

    return direction


def judge(
    stage: StudySetup, bank: Bank, direction: Direction, prompts: Sequence[Prompt], length: float
) -> Row:
    """Mean figures of a way to make shifts, over the prompts.

    length: what all shifts are brought to, zero for each one's own. cosine_to_truth compares the
    mean row of a shift with the true direction.
    """
    rows, cosines = [], []
    for prompt in prompts:
        shift = direction(stage.text(prompt.neutral), stage.text(prompt.target))
        truth = true_direction(bank, prompt)
        cosines.append(float(F.cosine_similarity(shift.mean(dim=0), truth, dim=0)))
        rows.append(try_shift(stage, prompt, calibrate(shift, length)))
    figures = {
        name: _mean(row[name] for row in rows) for name in ("success", "kept", "identity", "clip")
    }
    return {"cosine_to_truth": _mean(cosines)} | figures


def _mean(values: Iterable[object]) -> float:
    numbers = [float(v) for v in values]  # type: ignore[arg-type]
    return sum(numbers) / len(numbers)
