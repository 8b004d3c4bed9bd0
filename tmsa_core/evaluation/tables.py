"""Writes the measured results into the pages: ``python -m tmsa_core.evaluation.tables``.

Each table replaces the text between two markers, see ``markdown.fill``. The text around them is
written by hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tmsa_core.baselines.interface import FROZEN_ROLES
from tmsa_core.bundles import Bundle, open_bundle
from tmsa_core.evaluation.alignment.setup import ROWS as STUDY_ROWS
from tmsa_core.evaluation.alignment.setup import newest, study_weights
from tmsa_core.evaluation.alignment.tables import STUDY_TABLES
from tmsa_core.evaluation.bundle.report import ROWS as BUNDLE_ROWS
from tmsa_core.evaluation.bundle.tables import bundle_tables
from tmsa_core.evaluation.comparison.results import read_comparison
from tmsa_core.evaluation.comparison.tables import comparison_tables
from tmsa_core.evaluation.markdown import fill_pages

ROOT = Path(__file__).parent.parent.parent
PAGES = ("README.md", "docs/results.md", "docs/comparison.md", "docs/alignment.md")
OLDER = "*Measured with earlier networks than those of this version.*"


def all_tables(results: Path, bundle: Bundle) -> dict[str, str]:
    """Returns all tables by the names of their markers.

    Args:
        results: Folder with avatar.jsonl, comparison.jsonl and alignment.jsonl.
        bundle: The present networks; tables of other networks start with a line that says so.
    """
    rows = BUNDLE_ROWS.read(results / "avatar.jsonl")
    tables = _marked(bundle_tables(rows), rows[-1]["weights"] != bundle.fingerprint())
    comparison = results / "comparison.jsonl"
    if comparison.exists():
        data = read_comparison(comparison)
        older = data.run["weights"] != bundle.fingerprint(FROZEN_ROLES)
        older = older or data.mapper != bundle.fingerprint(("mapper",))
        tables |= _marked(comparison_tables(data), older)
    studies = STUDY_ROWS.read(results / "alignment.jsonl")
    for study, make in STUDY_TABLES.items():
        if found := newest(studies, study):
            older = found[-1]["weights"] != study_weights(bundle, study)
            tables |= _marked(make(found), older)
    return tables


def _marked(tables: Mapping[str, str], older: bool) -> dict[str, str]:
    return {name: f"{OLDER}\n\n{body}" if older else body for name, body in tables.items()}


def main() -> None:
    """Brings all pages up to date."""
    tables = all_tables(ROOT / "results", open_bundle("avatar"))
    fill_pages([ROOT / page for page in PAGES], tables)


if __name__ == "__main__":
    main()
