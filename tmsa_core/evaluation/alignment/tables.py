"""The page of the alignment's studies, ``docs/alignment.md``, from their JSON lines alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tmsa_core.evaluation.alignment.setup import COMMON_LENGTH, Row, newest
from tmsa_core.evaluation.markdown import table
from tmsa_core.evaluation.staleness import staleness_note
from tmsa_core.training.mapper.presets import paper_preset

FIGURES = ("cosine_to_truth", "success", "kept", "identity", "clip")
TITLES = ("cosine to truth", "shows it", "others kept", "identity", "CLIP accuracy")
GOAL = 0.95  # of success
CLAIM = 50
"""So many times fewer generator evaluations than the paper's schedule is what we set out for."""


def alignment_page(rows: Sequence[Row], present: Mapping[str, str] | None = None) -> str:
    """All studies that have been run, as one Markdown page.

    present: study -> fingerprint of the weights in the bundle now; the page says what is older.
    """
    sections = {
        "gap": ("The gap between texts and images", _gap),
        "losses": ("What each loss contributes", _losses),
        "curve": ("What the alignment costs", _curve),
        "merit": ("Many texts, many strengths", _merit),
    }
    parts = ["<!-- written by `make tables` from results/alignment.jsonl -->", "# The alignment"]
    parts.append(INTRODUCTION)
    for study, (title, write) in sections.items():
        found = newest(rows, study)
        if found:
            note = staleness_note(found[-1]["weights"], (present or {}).get(study))
            parts += [f"## {title}", *([note] if note else []), write(found)]
    return "\n\n".join([*parts, f"## The paper's figures\n\n{IMAGES}"]) + "\n"


def _gap(rows: Sequence[Row]) -> str:
    (gap,) = (row for row in rows if row["row"] == "gap")
    text, image = (_number(gap, f"{kind}_share_64") for kind in ("text", "image"))
    facts = (
        f"The mean image and the mean text lie {_number(gap, 'offset'):.2f} apart on the unit "
        f"sphere (cosine {_number(gap, 'cosine_of_means'):.2f}). 64 directions hold "
        f"{100 * image:.0f} % of what differs between images and {100 * text:.0f} % of what "
        "differs between texts; the rest of a text difference is nothing that an image could "
        "show. A map that inverts images as well as it can puts texts "
        f"{_number(gap, 'sharp_text_distance'):.2f} spreads of W from the mean, images "
        f"{_number(gap, 'sharp_image_distance'):.2f}; with strong noise on its inputs it is "
        f"{_number(gap, 'noisy_text_distance'):.2f} and "
        f"{_number(gap, 'noisy_image_distance'):.2f}."
    )
    tried = [row for row in rows if row["row"] == "treatment"]
    tables = [
        f"At {scale} ({tried[0]['portraits']} held-out portraits, six texts):\n\n"
        + _table("treatment", [r for r in tried if r["scale"] == scale], "treatment")
        for scale in dict.fromkeys(str(row["scale"]) for row in tried)
    ]
    return "\n\n".join((facts, *tables, _choice(tried), "![Treatments](figure-gap.webp)"))


def _choice(rows: Sequence[Row]) -> str:
    best = max(rows, key=lambda row: _number(row, "cosine_to_truth"))
    return (
        f"The treatment whose directions are truest is “{best['treatment']}”, at cosine "
        f"{_number(best, 'cosine_to_truth'):.2f}. The default is the last row with a trained map "
        "in place of the closed form: trained under noise from that start, its shifts are turned "
        "to what separates two clusters of its own samples, as far as the two agree, which also "
        "covers texts that no clusters stand for. For “smiling” the true direction is the mean of "
        "two kinds of smile; the clusters take one of them, so a lower cosine is no loss there. "
        "`--preset paper` keeps the published map and its raw shifts."
    )


def _losses(rows: Sequence[Row]) -> str:
    ablations = [row for row in rows if " x " not in str(row["variant"])]
    weights = [row for row in rows if " x " in str(row["variant"])]
    more = {"reconstruction": "reconstruction"}
    parts = [
        f"Mappers trained alike from random weights ({rows[0]['steps']} steps), each with losses "
        "left out; their raw shifts are tried at one common length, "
        f"{COMMON_LENGTH:g} of the spread of W. Reconstruction is the mean cosine of CLIP's "
        "embedding of an image and of what M and G make of that embedding:",
        _table("losses", ablations, "variant", more),
    ]
    if weights:
        parts += [
            "Sensitivity: one weight at a time, a quarter and four times of ours "
            "(sa 1, ia 1, iai 1, ada 0.5):",
            _table("weight", weights, "variant", more),
        ]
    return "\n\n".join(parts)


def _curve(rows: Sequence[Row]) -> str:
    # A mark beyond the end of a schedule, or within its bank, repeats the last point.
    points = {(str(row["schedule"]), _number(row, "evaluations")): row for row in rows}
    ordered = [points[place] for place in sorted(points)]
    head = ("schedule", "generator evaluations", *TITLES)
    body = [
        (str(r["schedule"]), f"{r['evaluations']:,}", *(f"{_number(r, f):.2f}" for f in FIGURES))
        for r in ordered
    ]
    return "\n\n".join(
        (
            "All maps are judged alike: raw shifts at one common length, against the true "
            f"direction and on {rows[0]['portraits']} held-out portraits.",
            table(head, body),
            _claim(rows),
            "![Quality against cost](figure-curve.webp)",
        )
    )


def _claim(rows: Sequence[Row]) -> str:
    """How the cheap maps stand against the paper's schedule, as far as that was run."""
    paper = [row for row in rows if row["schedule"] == "paper"]
    if not paper:
        return "The paper's schedule was not run."
    levels = {f: max(_number(row, f) for row in paper) for f in ("cosine_to_truth", "success")}
    cheap = [
        row
        for row in rows
        if row["schedule"] != "paper" and all(_number(row, f) >= levels[f] for f in levels)
    ]
    preset = paper_preset("avatar")
    # every iteration draws its synthetic images, and both kinds again from their codes
    whole = 3 * preset.iterations * preset.batch
    ran = max(_number(row, "evaluations") for row in paper)
    said = (
        f"The paper's schedule takes {whole:,} evaluations; it was run for the first {ran:,.0f} of "
        f"them, where its best cosine to the truth was {levels['cosine_to_truth']:.2f} and "
        f"{100 * levels['success']:.0f} % of the edits showed what was asked"
    )
    if not cheap:
        return f"{said}. No cheaper map reached both."
    least = min(cheap, key=lambda row: _number(row, "evaluations"))
    cost = _number(least, "evaluations")
    return (
        f"{said}. The schedule “{least['schedule']}” is at "
        f"{_number(least, 'cosine_to_truth'):.2f} and {100 * _number(least, 'success'):.0f} % "
        f"after {cost:,.0f}, a {ran / cost:.0f}th of those and a {whole / cost:,.0f}th of the "
        f"whole schedule (the goal was a {CLAIM}th). What the paper's schedule would reach in the "
        "rest of its run was not measured."
    )


def _merit(found: Sequence[Row]) -> str:
    rows = [row for row in found if row["row"] == "edit"]
    truth = {str(r["prompt"]): _number(r, "success") for r in found if r["row"] == "truth"}
    full = [row for row in rows if row["alpha"] == 1.0]
    alphas = sorted({_number(row, "alpha") for row in rows})
    of = {str(row["prompt"]): row["of"] for row in full}
    success = {(row["prompt"], row["alpha"]): _number(row, "success") for row in rows}
    parts = [
        f"The bundle's own mapper as an edit uses it, {len(full)} texts, up to "
        f"{next(iter(of.values()))} held-out portraits that lack what is asked. At alpha = 1, and "
        "how many show it when the true direction of W is gone equally far:",
        table(
            ("text", TITLES[1], "along the truth", *TITLES[2:], "least kept"),
            [
                (
                    str(r["prompt"]),
                    f"{_number(r, 'success'):.2f}",
                    f"{truth[p]:.2f}" if (p := str(r["prompt"])) in truth else "-",
                    *(f"{_number(r, f):.2f}" for f in FIGURES[2:]),
                    f"{r['worst']} {_number(r, 'least_kept'):.2f}",
                )
                for r in full
            ],
        ),
        _residual(full, truth),
    ]
    if len(alphas) > 1:
        parts += [
            "How many show it, along alpha:",
            table(
                ("text", *(f"{a:g}" for a in alphas)),
                [
                    (p, *(f"{success[p, a]:.2f}" if (p, a) in success else "-" for a in alphas))
                    for p in of
                ],
            ),
            "![Along alpha](figure-merit.webp)",
        ]
    return "\n\n".join(parts)


def _residual(full: Sequence[Row], truth: Mapping[str, float]) -> str:
    """By how much texts miss the goal for success, and whether the truth misses it too."""
    short = {str(r["prompt"]): GOAL - _number(r, "success") for r in full}
    short = {p: gap for p, gap in short.items() if gap > 0}
    if not short:
        return f"All texts reach the goal: {100 * GOAL:.0f} % show it."
    drawn = [p for p in short if truth.get(p, 1.0) < GOAL]
    worst_first = sorted(short.items(), key=lambda item: -item[1])
    words = [f"{p} by {max(100 * gap, 0.1):.2g}" for p, gap in worst_first]
    sentence = f"The goal, {100 * GOAL:.0f} % show it, is missed in points by {', '.join(words)}."
    if drawn:
        sentence += (
            f" With {', '.join(drawn)} the true direction misses it as well: there the generator "
            "is a limit, whatever M makes of the text."
        )
    return sentence


def _table(
    title: str, rows: Sequence[Row], name: str, more: Mapping[str, str] | None = None
) -> str:
    further = more or {}
    head = (title, *further, *TITLES)
    fields = (*further.values(), *FIGURES)
    return table(head, [(str(r[name]), *(f"{_number(r, f):.2f}" for f in fields)) for r in rows])


def _number(row: Row, name: str) -> float:
    return float(str(row[name]))


INTRODUCTION = (
    "How the mapping network M comes to understand texts though it saw images only, measured on "
    "the drawn world, whose true directions and attributes are known. `tmsa measure gap`, "
    "`losses`, `curve` and `merit` made the numbers; nothing on this page was typed by hand. "
    "Cosine to truth compares a shift with the true direction of W; the other columns judge "
    "edited held-out portraits as everywhere else."
)
IMAGES = "\n\n".join(
    f"{title} (`tmsa figures figure-{number}`):\n\n![Figure {number}](figure-{number}.webp)"
    for number, title in (
        (7, "Figure 7, a text alone drawn through M and G"),
        (8, "Figure 8, both spaces with the texts in them"),
        (9, "Figure 9, portraits drawn again from their CLIP embedding"),
        (11, "Figure 11, of each pair of rows the lower one without in-domain adjustment"),
        (12, "Figure 12, of each pair of rows the lower one without adaption to e4e"),
    )
)
