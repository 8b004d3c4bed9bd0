"""Tables of the comparison in Markdown, from its rows alone."""

from __future__ import annotations

import math
from collections.abc import Mapping

from tmsa_core.baselines import METHODS
from tmsa_core.evaluation import paper
from tmsa_core.evaluation.comparison.results import METRICS, Comparison, over_portraits
from tmsa_core.evaluation.markdown import table
from tmsa_core.evaluation.metrics import bootstrap

MARGIN = 0.005  # smaller differences of shares and cosines are rounded away in the tables
INVERSION = {"psnr": ("PSNR, dB", 1), "ssim": ("SSIM", 2), "l2": ("mean squared difference", 3)}


def comparison_tables(data: Comparison) -> dict[str, str]:
    """Returns all tables by the names of their markers."""
    return {
        "comparison": summary_table(data),
        "methods": methods_table(data),
        "ahead": ahead_table(data),
        "strengths": strengths_table(data),
        "budgets": budgets_table(data),
        "differences": differences_table(data),
        "costs": costs_table(data),
        **{f"prompts-{metric}": prompts_table(data, metric) for metric in METRICS},
        "paper-identity": paper_table(data, "identity", paper.IDENTITY),
        "paper-clip": paper_table(data, "clip", paper.CLIP_ACCURACY),
        "attributes": attributes_table(data),
        "judges": judges_table(data),
    }


def seconds_text(seconds: float) -> str:
    """Returns seconds with three significant digits, or as a whole number from 100 on."""
    if math.isnan(seconds):
        return "-"
    return f"{seconds:,.0f}" if seconds >= 100 else f"{seconds:.3g}"


def _titles(data: Comparison) -> list[str]:
    return [METHODS[method].title for method in data.methods]


def summary_table(data: Comparison) -> str:
    """Returns methods x metrics over all prompts, without intervals."""
    head = ("method", *(metric.title for metric in METRICS.values()), "seconds per image")
    body = [
        (
            METHODS[m].title,
            *(METRICS[k].text(data.interval(k, m).mean) for k in METRICS),
            seconds_text(data.seconds(m, "image")),
        )
        for m in data.methods
    ]
    return table(head, body)


def methods_table(data: Comparison) -> str:
    """Returns methods x metrics over all prompts, with intervals and costs."""
    head = ("method", *(metric.title for metric in METRICS.values()), "edits", "s/image", "s/text")
    body = [
        (
            METHODS[m].title,
            *(METRICS[k].text(data.interval(k, m)) for k in METRICS),
            str(len(data.counted(m))),
            seconds_text(data.seconds(m, "image")),
            seconds_text(data.seconds(m, "text")),
        )
        for m in data.methods
    ]
    return table(head, body)


def ahead_table(data: Comparison) -> str:
    """Returns the prompts and metrics by which another method is better than TMSA."""
    head = ("metric", "method", "prompt", "its mean", "TMSA", "it shows it", "TMSA shows it")
    body = []
    for row in data.ahead(MARGIN).itertuples():
        metric, shows = METRICS[row.metric], METRICS["success"]
        numbers = (metric.text(row.theirs), metric.text(row.ours))
        shown = (shows.text(row.shown), shows.text(row.shown_ours))
        body.append((metric.title, METHODS[row.method].title, row.prompt, *numbers, *shown))
    return table(head, body)


def strengths_table(data: Comparison) -> str:
    """Returns each method's working alpha, and the way that each strength tried covers."""
    body = []
    for method in data.methods:
        row = data.find("strength", method=method)[-1]
        tried = zip(row["strengths"], row["reached"], strict=False)
        covered = ", ".join(f"{alpha}: {share}" for alpha, share in tried)
        alpha, count = f"{row['alpha']:.3g}", str(row["portraits"])
        body.append((METHODS[method].title, alpha, count, covered or "-"))
    return table(("method", "alpha", "portraits", "share of the way, by alpha"), body)


def budgets_table(data: Comparison) -> str:
    """Returns the settings of this run that differ from the published ones."""
    body = [
        (METHODS[method].title, name, str(here), str(published))
        for method in data.methods
        for name, (here, published) in data.find("strength", method=method)[-1]["settings"].items()
    ]
    return table(("method", "setting", "here", "published"), body)


def differences_table(data: Comparison) -> str:
    """Returns what every run does differently from the methods' authors."""
    changed = [METHODS[method] for method in data.methods if METHODS[method].changed]
    return table(("method", "difference"), [(m.title, m.changed) for m in changed])


def costs_table(data: Comparison) -> str:
    """Returns seconds per generator, per text and per image."""
    body = []
    for method in data.methods:
        once = data.find("strength", method=method)[-1]["once"]
        seconds = (data.seconds(method, part) for part in ("text", "image"))
        first = "trained with the bundle" if once is None else seconds_text(once)
        body.append((METHODS[method].title, first, *(seconds_text(s) for s in seconds)))
    return table(("method", "once, s", "per new text, s", "per image, s"), body)


def prompts_table(data: Comparison, metric: str) -> str:
    """Returns prompts x methods for one metric."""
    body = [
        (p, *(METRICS[metric].text(data.interval(metric, m, p)) for m in data.methods))
        for p in data.prompts
    ]
    return table(("prompt", *_titles(data)), body)


def paper_table(data: Comparison, metric: str, printed: Mapping[str, tuple[float, ...]]) -> str:
    """Returns a table of the paper in its rows and columns: measured here, then as printed."""
    head = ("prompt", *paper.COLUMNS, *(f"*paper: {column}*" for column in paper.COLUMNS))
    body = []
    for prompt in (prompt for prompt in printed if prompt in data.prompts):
        means = [data.interval(metric, paper.METHOD_OF[c], prompt).mean for c in paper.COLUMNS]
        here = ["-" if math.isnan(mean) else f"{mean:.2f}" for mean in means]
        body.append((prompt.capitalize(), *here, *(f"*{x:.2f}*" for x in printed[prompt])))
    return table(head, body)


def attributes_table(data: Comparison) -> str:
    """Returns attributes x methods: the share of edits of something else that keep each."""
    columns = {}
    for method in data.methods:
        edits = data.counted(method).explode("comparable").dropna(subset=["comparable"])
        pairs = zip(edits["comparable"], edits["changed"], strict=True)
        edits["alone"] = [float(name not in changed) for name, changed in pairs]
        columns[method] = dict(list(edits.groupby("comparable")))
    names = dict.fromkeys(name for row in data.find("prompt") for name in row["compared"])
    body = []
    for name in names:
        found = [columns[method].get(name) for method in data.methods]
        kept = (
            "-" if f is None else METRICS["kept"].text(over_portraits(f, "alone")) for f in found
        )
        body.append((name, *kept))
    return table(("attribute", *_titles(data)), body)


def judges_table(data: Comparison) -> str:
    """Returns the accuracy of the classifier, and the quality of the inversions."""
    body = [
        ("classifier: attributes read correctly", f"{100 * row['mean']:.1f} %", str(row["images"]))
        for row in data.find("judge")[-1:]
    ]
    rows = {row["image"]: row for row in data.find("inversion")}.values()
    for field, (title, digits) in (INVERSION | {"identity": ("identity", 2)}).items():
        values = [row[field] for row in rows if field in row]
        if values:
            mean, low, high = (f"{x:.{digits}f}" for x in bootstrap(values))
            body.append((f"inversions: {title}", f"{mean} [{low}, {high}]", str(len(values))))
    return table(("measure", "value", "images"), body)
