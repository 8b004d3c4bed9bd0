"""Figures of merit of the bundle's own mapper: many prompts, at alpha = 1 and along alpha."""

from __future__ import annotations

from itertools import product
from pathlib import Path

from tqdm import tqdm

from tmsa_core.evaluation.alignment import TRAINED_WITH, Log, Row, Stage, try_shift
from tmsa_core.evaluation.more_prompts import ALL
from tmsa_core.evaluation.prompts import Prompt
from tmsa_core.shift import semantic_shift

ALPHAS = (-2.0, -1.0, -0.5, 0.5, 1.0, 1.5, 2.0, 3.0)


def run(stage: Stage, out: Path, work: Path, prompts: tuple[Prompt, ...] = ALL) -> list[Row]:
    """Every prompt at every alpha; rows that are in ``out`` already are kept."""
    roles = (*TRAINED_WITH, "mapper")
    log, mapper = Log(out, "merit", stage.bundle, roles), stage.bundle.load("mapper")
    shifts = {
        p.name: semantic_shift(mapper, stage.text(p.neutral), stage.text(p.target)) for p in prompts
    }
    first_the_full_edit = sorted(ALPHAS, key=lambda alpha: (alpha != 1.0, alpha))
    for alpha, prompt in tqdm(list(product(first_the_full_edit, prompts)), desc="edits"):
        key = {"row": "edit", "prompt": prompt.name, "alpha": alpha, "of": len(stage.codes)}
        log.add(key, lambda p=prompt, a=alpha: try_shift(stage, p, shifts[p.name], a))
    return log.rows
