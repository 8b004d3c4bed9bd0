"""The studies of the alignment by name; all append to one file of rows."""

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
from tmsa_core.evaluation.alignment.setup import ROWS, set_up_study
from tmsa_core.evaluation.json_lines import Row
from tmsa_core.evaluation.judges import check_lacking
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
    """Runs one study on held-out portraits; keeps the rows that are in ``out``.

    Args:
        name: A name of ``STUDIES``.
        bundle: The bundle of the avatar domain.
        portraits: Number of portraits.
        out: The file of rows.
        work: Folder for banks and trained mappers.
        limit: The highest number of generator evaluations, for "curve" only.

    Returns:
        All rows of the study.

    Raises:
        RequestError: The study is unknown, the bundle has no truth, ``out`` contains something
            else, or the portraits are too few.
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
    ROWS.read(out)  # refuse another file before any work
    setup = set_up_study(bundle, portraits)
    check_lacking(setup.before, ALL)
    further = {} if limit is None else {"limit": limit}
    return STUDIES[name](setup, out, work, **further)
