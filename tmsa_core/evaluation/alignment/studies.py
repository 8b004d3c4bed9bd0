"""The studies of the alignment by name, all appending to one JSON-lines file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tmsa_core.bundles import Bundle
from tmsa_core.domains import find_domain
from tmsa_core.errors import RequestError, quoted
from tmsa_core.evaluation.alignment import cost as cost_curve
from tmsa_core.evaluation.alignment import losses as loss_study
from tmsa_core.evaluation.alignment import many_prompts as merit
from tmsa_core.evaluation.alignment import modality_gap
from tmsa_core.evaluation.alignment.setup import Row, check_study_setup, read_rows, set_up_study
from tmsa_core.evaluation.prompts import ALL

STUDIES: dict[str, Callable[..., list[Row]]] = {
    "gap": modality_gap.run,
    "merit": merit.run,
    "losses": loss_study.run,
    "curve": cost_curve.run,
}


def run_study(
    name: str, bundle: Bundle, portraits: int, out: Path, work: Path, limit: int | None = None
) -> list[Row]:
    """Run one study on held-out portraits; it goes on where it stopped.

    limit: generator evaluations up to which ``curve`` goes. Raises RequestError for a study there
    is none of, a bundle without truth, a file of something else, and too few portraits.
    """
    if name not in STUDIES:
        raise RequestError(f"There is no study {quoted(name)}; use one of {', '.join(STUDIES)}.")
    if not find_domain(bundle.domain).has_truth:
        raise RequestError(
            "The studies need the true attributes of every image, which only drawn portraits have: "
            f"use the domain avatar, not {bundle.domain}."
        )
    if limit is not None and name != "curve":
        raise RequestError(f"Only the study curve has a limit, not {name}: leave --limit out.")
    read_rows(out)  # before any work
    stage = set_up_study(bundle, portraits)
    check_study_setup(stage, ALL)
    further = {} if limit is None else {"limit": limit}
    return STUDIES[name](stage, out, work, **further)
