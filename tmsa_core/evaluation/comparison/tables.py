"""The comparison's tables in Markdown: the README's, and all of ``docs/comparison.md``."""

from __future__ import annotations

import math
from collections.abc import Mapping

from tmsa_core.baselines import METHODS
from tmsa_core.evaluation import paper
from tmsa_core.evaluation.comparison.results import (
    METRICS,
    OURS,
    Comparison,
    comparable,
    names,
    over_portraits,
)
from tmsa_core.evaluation.markdown import table
from tmsa_core.evaluation.metrics import bootstrap
from tmsa_core.evaluation.staleness import staleness_note

CLOSE = 0.005  # differences of shares and cosines that no table shows


def spent(seconds: float) -> str:
    """Seconds as a table has them: three digits, or whole ones; "-" where nobody measured them."""
    if math.isnan(seconds):
        return "-"
    return f"{seconds:,.0f}" if seconds >= 100 else f"{seconds:.3g}"


def summary(data: Comparison, present: str | None = None) -> str:
    """The table of the README: every method over all prompts, and where ours is not ahead.

    present: fingerprint of the weights in the bundle now; the text says where the run is older.
    """
    note = staleness_note(data.run["weights"], present)
    images = {len({r["image"] for r in data.counted(m)}) for m in data.methods}
    count = f"{min(images)} to {max(images)}" if len(images) > 1 else str(max(images))
    return "\n\n".join(
        (
            f"Every method edits the same inversions ({count} {data.run['domain']} portraits, "
            f"{len(data.prompts)} prompts, weights `{data.run['weights']}`, mapper "
            f"`{data.mapper}`), each at the strength that one rule found for it. Means with 95 % "
            "bootstrap intervals, over portraits:",
            *([note] if note else []),
            methods_table(data),
            budgets(data),
            behind(data),
        )
    )


def methods_table(data: Comparison) -> str:
    """Methods by metrics and costs, over all prompts."""
    head = ("method", *(m.title for m in METRICS.values()), "edits", "s / image", "s / text")
    body = [
        (
            METHODS[m].title,
            *(METRICS[k].text(data.interval(k, m)) for k in METRICS),
            str(len(data.counted(m))),
            spent(data.seconds(m, "image")),
            spent(data.seconds(m, "text")),
        )
        for m in data.methods
    ]
    return table(head, body)


def budgets(data: Comparison) -> str:
    """What the run changed of the authors' settings, method by method; empty if nothing."""
    lines = []
    for method in data.methods:
        changed = data.find("strength", method=method)[-1].get("settings")
        if isinstance(changed, dict) and changed:
            parts = (
                f"{name} {here} (published: {there})" for name, (here, there) in changed.items()
            )
            lines.append(f"- {METHODS[method].title}: {', '.join(parts)}")
    if not lines:
        return "All methods ran with their published budgets."
    return (
        "Methods whose published budgets were cut to what the machine of the run affords; more "
        "would help them, so read their rows with that in mind:\n\n" + "\n".join(lines)
    )


def prompt_table(data: Comparison, metric: str) -> str:
    """Prompts by methods, one metric."""
    head = ("text", *(METHODS[m].title for m in data.methods))
    body = [
        (p, *(METRICS[metric].text(data.interval(metric, m, p)) for m in data.methods))
        for p in data.prompts
    ]
    return table(head, body)


def paper_table(data: Comparison, metric: str, printed: Mapping[str, tuple[float, ...]]) -> str:
    """A table of the paper in its rows and columns, what it prints beside what is measured here."""
    known = [p for p in printed if p in data.prompts]
    head = ("text", *paper.COLUMNS, *(f"*paper: {c}*" for c in paper.COLUMNS))
    body = []
    for prompt in known:
        ours = [
            f"{data.interval(metric, paper.METHOD_OF[c], prompt).mean:.2f}"
            if paper.METHOD_OF[c] in data.methods
            else "-"
            for c in paper.COLUMNS
        ]
        body.append((prompt.capitalize(), *ours, *(f"*{x:.2f}*" for x in printed[prompt])))
    return table(head, body)


def behind(data: Comparison) -> str:
    """Where a baseline is ahead of ours, on which prompts, by how much, and why."""
    if OURS not in data.methods:
        return ""
    lines = []
    for metric in METRICS:
        for method in data.methods:
            ahead = [p for p in data.prompts if _lead(data, metric, method, p) > CLOSE]
            weak = [p for p in ahead if _lead(data, "success", method, p) < -CLOSE]
            for prompts in (weak, [p for p in ahead if p not in weak]):
                if prompts:
                    lines.append(
                        f"- {METRICS[metric].title}: {METHODS[method].title} on "
                        f"{', '.join(prompts)}, {_against(data, metric, method, *prompts)}; "
                        f"{_reason(data, metric, method, *prompts)}."
                    )
    if not lines:
        return "Ours is ahead, or level, on every prompt by every measure."
    return (
        "Where a baseline is ahead of ours, on average over the prompts named and the portraits "
        "that both edited:\n\n" + "\n".join(lines)
    )


def _lead(data: Comparison, metric: str, method: str, *prompts: str) -> float:
    """How far a method is ahead of ours on the same edits; 0 where a measure has no values."""
    theirs, ours = data.beside(metric, method, *prompts)
    return 0.0 if math.isnan(theirs) else theirs - ours


def _against(data: Comparison, metric: str, method: str, *prompts: str) -> str:
    theirs, ours = data.beside(metric, method, *prompts)
    if METRICS[metric].percent:
        return f"{100 * theirs:.0f} % against {100 * ours:.0f} %"
    return f"{theirs:.2f} against {ours:.2f}"


def _reason(data: Comparison, metric: str, method: str, *prompts: str) -> str:
    """Why, as far as the other measures tell."""
    success, kept, identity = (
        _lead(data, m, method, *prompts) for m in ("success", "kept", "identity")
    )
    shown = f"it shows what was asked in {_against(data, 'success', method, *prompts)}"
    if success < -CLOSE:
        if metric in ("kept", "identity"):
            return f"it edits less: {shown}"
        return f"it pleases CLIP more than it changes the image: {shown}"
    if metric in ("kept", "identity"):
        return f"at no smaller success: {shown}"
    harm = [what for what, lead in (("rest", kept), ("person", identity)) if lead < -CLOSE]
    if harm:
        return f"it changes more of the {' and of the '.join(harm)}"
    return "at no cost to the rest or the person"


def attributes_table(data: Comparison) -> str:
    """Attributes by methods: how often an edit of something else left each alone."""
    every = dict.fromkeys(name for row in data.edits for name in names(row, "compared"))
    head = ("attribute", *(METHODS[m].title for m in data.methods))
    body = [(name, *(_attribute_kept(data, m, name) for m in data.methods)) for name in every]
    return table(head, body)


def _attribute_kept(data: Comparison, method: str, name: str) -> str:
    rows = [row for row in data.counted(method) if name in comparable(row)]
    alone = over_portraits(rows, lambda row: float(name not in names(row, "changed")))
    return METRICS["kept"].text(alone)


def costs_table(data: Comparison) -> str:
    """Methods by seconds: once for a generator, for a text, for an image."""
    head = ("method", "once", "for a new text", "for an image")
    body = []
    for method in data.methods:
        once = data.find("strength", method=method)[-1]["once"]
        seconds = (data.seconds(method, what) for what in ("text", "image"))
        first = "trained with the bundle" if once is None else f"{spent(once)} s"
        cells = ("-" if math.isnan(s) else f"{spent(s)} s" for s in seconds)
        body.append((METHODS[method].title, first, *cells))
    return table(head, body)


def strengths_table(data: Comparison) -> str:
    """Methods by working strength, with how far each strength tried brought the portraits."""
    head = ("method", "alpha", "portraits", "how far towards the text, by alpha")
    body = []
    for method in data.methods:
        row = data.find("strength", method=method)[-1]
        tried = zip(names(row, "strengths"), names(row, "reached"), strict=False)
        curve = ", ".join(f"{alpha}: {reached}" for alpha, reached in tried)
        cells = (METHODS[method].title, f"{row['alpha']:.3g}", str(row["portraits"]), curve or "-")
        body.append(cells)
    return table(head, body)


def _changes(data: Comparison) -> str:
    """What the run cut, and what no run does as the authors do."""
    always = [
        f"- {METHODS[m].title}: {METHODS[m].changed}" for m in data.methods if METHODS[m].changed
    ]
    return "\n\n".join((budgets(data), *(("In every run:", "\n".join(always)) if always else ())))


def _inversions(data: Comparison) -> str:
    rows = list({row["image"]: row for row in data.find("inversion")}.values())
    parts = [
        f"{title} {mean:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"
        for title, field, digits in (
            ("PSNR", "psnr", 1),
            ("SSIM", "ssim", 2),
            ("mean squared difference in [-1, 1]", "l2", 3),
            ("identity", "identity", 2),
        )
        for mean, low, high in [bootstrap([float(str(r[field])) for r in rows if field in r])]
    ]
    return f"The inversions themselves, {len(rows)} images: {', '.join(parts)}."


def _judge(data: Comparison) -> str:
    rows = data.find("judge")
    if not rows:
        return ""
    return (
        "The scoring classifier, trained on renders alone and used by no method, reads "
        f"{100 * float(str(rows[-1]['mean'])):.1f} % of the attributes of these portraits "
        "correctly."
    )


def document(data: Comparison, present: str | None = None) -> str:
    """All tables of a run as one Markdown page."""
    sections = [
        ("# Every method on known truth", summary(data, present)),
        ("## How the strengths were found", f"{RULE}\n\n{strengths_table(data)}"),
        ("## What is not as the authors have it", _changes(data)),
        ("## What it costs", f"{COSTS}\n\n{costs_table(data)}"),
        *((f"## {_heading(METRICS[m].title)}", prompt_table(data, m)) for m in METRICS),
        ("## Table 2 of the paper: identity", _beside(data, "identity", paper.IDENTITY)),
        ("## Table 3 of the paper: CLIP accuracy", _beside(data, "clip", paper.CLIP_ACCURACY)),
        ("## Each other attribute left alone", attributes_table(data)),
        ("## Judges", "\n\n".join(filter(None, (_judge(data), _inversions(data))))),
    ]
    text = "\n\n".join(f"{title}\n\n{body}" for title, body in sections)
    return f"<!-- written by `make tables` from results/comparison.jsonl -->\n\n{text}\n"


def _heading(title: str) -> str:
    """A title with a capital at its head, its other letters as they are."""
    return title[:1].upper() + title[1:]


def _beside(data: Comparison, metric: str, printed: Mapping[str, tuple[float, ...]]) -> str:
    note = (
        f"Measured here on the domain `{data.run['domain']}`; the columns in italics are printed "
        "in the paper and were measured on **photos of faces, another domain**, with other "
        "networks. Compare within either half, not across."
    )
    return f"{note}\n\n{paper_table(data, metric, printed)}"


RULE = (
    "One rule for all, the one that sets the length of TMSA's own shifts. The goal is to bring "
    "validation portraits as near to the target text, in CLIP's eyes, as those portraits are that "
    "fit it best (the best quarter). A method works at the weakest strength that goes 95 % as much "
    "of that way, on average over the prompts, as any of its strengths does. The rule sees no "
    "label, no classifier and no test portrait. All other settings are the authors', but for what "
    "the next section names. 0 is the inversion, 1 the goal:"
)
COSTS = (
    "Seconds on the machine of the run. A search for every image counts under the image, "
    "whatever serves all images of a text under the text:"
)
