"""Measures the bundle's own mapper on many prompts, at alpha = 1 and along alpha.

Each edit is compared with moving equally far along the true direction of W. Where that fails too,
the generator cannot draw what is asked for; the mapper did not misunderstand the text.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path

from tqdm import tqdm

from tmsa_core.editing.shift import calibrate, semantic_shift
from tmsa_core.editing.shift_refinement import row_norm
from tmsa_core.evaluation.alignment.setup import (
    StudySetup,
    open_log,
    study_bank,
    true_direction,
    try_shift,
)
from tmsa_core.evaluation.json_lines import Row
from tmsa_core.evaluation.prompts import ALL, Prompt

PAIRS = 4_096  # whose codes define the true directions
ALPHAS = (-2.0, -1.0, -0.5, 0.5, 1.0, 1.5, 2.0, 3.0)


def run(setup: StudySetup, out: Path, work: Path, prompts: tuple[Prompt, ...] = ALL) -> list[Row]:
    """Measures every prompt at every alpha; keeps the rows that are in ``out``."""
    log, mapper, text = (
        open_log(out, "merit", setup.bundle),
        setup.bundle.load("mapper"),
        setup.judges.text,
    )
    shifts = {p.name: semantic_shift(mapper, text(p.neutral), text(p.target)) for p in prompts}
    one_first = sorted(ALPHAS, key=lambda alpha: (alpha != 1.0, alpha))
    for alpha, prompt in tqdm(list(product(one_first, prompts)), desc="edits"):
        key = {"row": "edit", "prompt": prompt.name, "alpha": alpha, "of": len(setup.codes)}
        if not log.find(**key):
            log.add([key | try_shift(setup, prompt, shifts[prompt.name], alpha)])
    bank = study_bank(setup, PAIRS, work)
    for prompt in tqdm(prompts, desc="true directions"):
        key = {"row": "truth", "prompt": prompt.name, "of": len(setup.codes)}
        if not log.find(**key):
            shift = shifts[prompt.name]
            true = true_direction(bank, prompt).expand_as(shift)
            log.add([key | try_shift(setup, prompt, calibrate(true, float(row_norm(shift))))])
    return log.rows
