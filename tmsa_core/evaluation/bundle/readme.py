"""Tables of the README, made from the committed results alone, so that nobody types a number.

``python -m tmsa_core.evaluation.bundle.readme`` rewrites what stands between the markers,
``docs/comparison.md`` and ``docs/alignment.md``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from tmsa_core.bundles import open_bundle
from tmsa_core.evaluation.alignment.tables import alignment_page
from tmsa_core.evaluation.comparison.results import Comparison, read_comparison
from tmsa_core.evaluation.comparison.tables import document, summary
from tmsa_core.evaluation.markdown import table
from tmsa_core.evaluation.staleness import present_weights

Row = Mapping[str, object]

ROOT = Path(__file__).parent.parent.parent.parent
RESULTS = ROOT / "results" / "avatar.jsonl"
README = ROOT / "README.md"
START, END = "<!-- results start -->", "<!-- results end -->"
COMPARISON = ROOT / "results" / "comparison.jsonl"
COMPARISON_PAGE = ROOT / "docs" / "comparison.md"
ALIGNMENT = ROOT / "results" / "alignment.jsonl"
ALIGNMENT_PAGE = ROOT / "docs" / "alignment.md"
COMPARISON_START, COMPARISON_END = "<!-- comparison start -->", "<!-- comparison end -->"


def latest(rows: Sequence[Row]) -> list[Row]:
    """The rows of the run that was appended last: those with its weights."""
    return [row for row in rows if row["weights"] == rows[-1]["weights"]]


def read_results(path: Path) -> list[Row]:
    """All rows of a JSON-lines file."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def results_section(rows: Sequence[Row]) -> str:
    """The README's results in Markdown."""
    by_report = {str(row["report"]): row for row in rows}
    samples, inversion = by_report["samples"], by_report["inversion"]
    zero_shot = {
        k: v
        for k, v in by_report["zero_shot"].items()
        if k not in ("report", "portraits", "weights")
    }
    edits = [row for row in rows if row["report"] == "edit"]
    questions = ", ".join(f"{name} {_percent(value)}" for name, value in zero_shot.items())
    inversions = [row for row in rows if row["report"] == "reconstruction"]
    edited = [row for row in rows if row["report"] == "edit_by_inversion"]
    whole = [row for row in rows if row["report"] == "edit_put_back"]
    return "\n\n".join(
        (
            f"On {samples['portraits']} held-out portraits (weights `{samples['weights']}`):",
            _edits_table(edits),
            f"CLIP, zero-shot on renders: {questions}.",
            f"e4e: the classifier reads {_percent(inversion['e4e_mean'])} of the attributes of a "
            f"portrait correctly off its reconstruction ({_percent(inversion['judge_mean'])} off "
            f"the portrait itself); PSNR {inversion['psnr']:.1f} dB, identity "
            f"{inversion['identity']:.2f}.",
            *([_inversions_table(inversions, edited)] if inversions else []),
            *([_whole_table(whole)] if whole else []),
            f"Samples: Frechet distance to renders {samples['frechet_samples']:.1f} in the "
            "classifier's features "
            f"({samples['frechet_renders']:.1f} between two sets of renders).",
            _crispness(by_report["crispness"]),
        )
    )


def _crispness(row: Row) -> str:
    parts = ", ".join(
        f"{name.removeprefix('part_')} {100 * float(str(share)):.0f} %"
        for name, share in row.items()
        if name.startswith("part_")
    )
    return (
        f"Crispness: drawn from its own code, a held-out portrait comes within {row['psnr']:.1f} "
        f"dB of its render; the fine detail of the two correlates by {row['correlation']:.2f}, and "
        f"the generator's has {_percent(row['strength'])} of the strength. Of what single parts "
        f"draw in fine detail, the generator draws: {parts}."
    )


def _edits_table(rows: Sequence[Row]) -> str:
    head = (
        "text edit, alpha = 1",
        "shows it",
        "other attributes kept",
        "identity",
        "CLIP accuracy",
    )
    body = [
        (
            str(r["prompt"]),
            _percent(r["success"]),
            _percent(r["kept"]),
            f"{r['identity']:.2f}",
            _percent(r["clip"]),
        )
        for r in rows
    ]
    return table(head, body)


def _inversions_table(rows: Sequence[Row], edits: Sequence[Row]) -> str:
    """HFGI beside e4e; the last two columns are means over the six edits."""
    head = (
        f"inversion, {rows[0]['portraits']} held-out portraits",
        "perceptual distance",
        "pixels off by",
        "PSNR",
        "SSIM",
        "identity",
        "edits show it",
        "others kept",
    )
    edited = _by_inversion(edits)
    body = [
        (
            name,
            f"{r['perceptual']:.3f}",
            f"{50 * float(str(r['pixels'])):.1f} %",
            f"{r['psnr']:.1f} dB",
            f"{r['ssim']:.3f}",
            f"{r['identity']:.2f}",
            _percent(_mean(edited[name], "success")),
            _percent(_mean(edited[name], "kept")),
        )
        for r in rows
        for name in (str(r["inversion"]),)
    ]
    return table(head, body)


def _whole_table(edits: Sequence[Row]) -> str:
    """Whole images against the portraits they were made of; means over the six edits."""
    head = (
        "edits put back into the image, against the image itself",
        "shows it",
        "other attributes kept",
        "identity",
    )
    body = [
        (
            name,
            _percent(_mean(mine, "success")),
            _percent(_mean(mine, "kept")),
            f"{_mean(mine, 'identity'):.2f}",
        )
        for name, mine in _by_inversion(edits).items()
    ]
    return table(head, body)


def _by_inversion(edits: Sequence[Row]) -> dict[str, list[Row]]:
    """The rows of each inversion, in the order of the file."""
    groups: dict[str, list[Row]] = {}
    for edit in edits:
        groups.setdefault(str(edit["inversion"]), []).append(edit)
    return groups


def _mean(rows: Sequence[Row], figure: str) -> float:
    return sum(float(str(row[figure])) for row in rows) / len(rows)


def _percent(value: object) -> str:
    return f"{100 * float(str(value)):.1f} %"


def with_results(readme: str, rows: Sequence[Row]) -> str:
    """A README's text with the results between its markers replaced; ValueError without markers."""
    return between(readme, START, END, results_section(latest(rows)))


def with_comparison(readme: str, data: Comparison, present: str | None = None) -> str:
    """The same for the comparison of methods; present: see ``summary``."""
    return between(readme, COMPARISON_START, COMPARISON_END, summary(data, present))


def between(text: str, start: str, end: str, body: str) -> str:
    """A text with what stands between two markers replaced; ValueError without the markers."""
    before, marker, rest = text.partition(start)
    _, end_marker, after = rest.partition(end)
    if not marker or not end_marker:
        raise ValueError(f"README has no {start} ... {end}")
    return f"{before}{start}\n{body}\n{end}{after}"


def main() -> None:
    """Bring the README and the pages of the comparison and the alignment up to date."""
    readme = with_results(README.read_text(), read_results(RESULTS))
    present = present_weights(open_bundle("avatar"))
    if COMPARISON.exists():
        data = read_comparison(COMPARISON)
        readme = with_comparison(readme, data, present["comparison"])
        COMPARISON_PAGE.write_text(document(data, present["comparison"]))
    README.write_text(readme)
    ALIGNMENT_PAGE.write_text(alignment_page(read_results(ALIGNMENT), present))


if __name__ == "__main__":
    main()
