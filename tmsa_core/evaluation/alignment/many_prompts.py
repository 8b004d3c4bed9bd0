"""Figures of merit of the bundle's own mapper: many prompts, at alpha = 1 and along alpha.

Beside each stands what the true direction of W shows when it is gone equally far: where that fails
too it is the generator that does not draw what is asked, not the text that was misunderstood.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path

from tqdm import tqdm

from tmsa_core.editing.shift import calibrate, semantic_shift
from tmsa_core.editing.shift_refinement import row_norm
from tmsa_core.evaluation.alignment.setup import (
    Log,
    Row,
    StudySetup,
    study_bank,
    true_direction,
    try_shift,
)
from tmsa_core.evaluation.prompts import ALL, Prompt

PAIRS = 4_096  # whose codes say what the true directions are
ALPHAS = (-2.0, -1.0, -0.5, 0.5, 1.0, 1.5, 2.0, 3.0)


def run(stage: StudySetup, out: Path, work: Path, prompts: tuple[Prompt, ...] = ALL) -> list[Row]:
    """Every prompt at every alpha; rows that are in ``out`` already are kept."""
    log, mapper = Log(out, "merit", stage.bundle), stage.bundle.load("mapper")
    shifts = {
        p.name: semantic_shift(mapper, stage.text(p.neutral), stage.text(p.target)) for p in prompts
    }
    first_the_full_edit = sorted(ALPHAS, key=lambda alpha: (alpha != 1.0, alpha))
    for alpha, prompt in tqdm(list(product(first_the_full_edit, prompts)), desc="edits"):
        key = {"row": "edit", "prompt": prompt.name, "alpha": alpha, "of": len(stage.codes)}
        log.add(key, lambda p=prompt, a=alpha: try_shift(stage, p, shifts[p.name], a))
    bank = study_bank(stage, PAIRS, work)
    for prompt in tqdm(prompts, desc="true directions"):
        true = true_direction(bank, prompt).expand_as(shifts[prompt.name])
        as_far = calibrate(true, float(row_norm(shifts[prompt.name])))
        key = {"row": "truth", "prompt": prompt.name, "of": len(stage.codes)}
        log.add(key, lambda p=prompt, s=as_far: try_shift(stage, p, s))
    return log.rows
