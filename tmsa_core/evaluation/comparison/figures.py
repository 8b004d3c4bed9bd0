"""Draws figures from a comparison's rows alone: grids of kept images, and the Pareto plot."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from PIL import Image

from tmsa_core.baselines import METHODS
from tmsa_core.errors import RequestError
from tmsa_core.evaluation.comparison.results import (
    Comparison,
    over_portraits,
    read_comparison,
)
from tmsa_core.evaluation.comparison.run import FACTORS
from tmsa_core.evaluation.metrics import Interval
from tmsa_core.evaluation.plots import new_plot, plot_image
from tmsa_core.imaging.contact_sheet import contact_sheet

RESULTS = Path("results")
_BEFORE = ("portrait", "inversion")


@dataclass(frozen=True)
class Figure:
    """A figure: its default results, and a function of them and a number of portraits."""

    results: Path
    draw: Callable[[Comparison, int], Image.Image]
    caption: str


def kept_image(data: Comparison, method: str, prompt: str | None, image: int) -> Image.Image | None:
    """Returns a kept image of a method, of "portrait" or "inversion"; None if it was not kept."""
    row = data.kept_image(method, prompt, image)
    if row is None:
        return None
    return Image.open(io.BytesIO(base64.b64decode(row["webp"]))).convert("RGB")


def method_grid(data: Comparison, portraits: int) -> Image.Image:
    """Returns methods x prompts for each portrait (Figures 5 and 6 of the paper)."""
    rows, labels = [], []
    for i in _kept(data, portraits):
        for method in data.methods:
            first = method == data.methods[0]
            before = [kept_image(data, n, None, i) if first else None for n in _BEFORE]
            rows.append(before + [kept_image(data, method, prompt, i) for prompt in data.prompts])
            labels.append(METHODS[method].title)
    return contact_sheet(rows, [*_BEFORE, *data.prompts], labels)


def prompt_grid(data: Comparison, portraits: int) -> Image.Image:
    """Returns portraits x prompts, by the first method (Figure 10 of the paper)."""
    columns = ["portrait", f"inversion ({data.run['inversion']})", *data.prompts]
    rows = [
        [kept_image(data, name, None, i) for name in _BEFORE]
        + [kept_image(data, data.methods[0], prompt, i) for prompt in data.prompts]
        for i in _kept(data, portraits)
    ]
    return contact_sheet(rows, columns)


def _kept(data: Comparison, portraits: int) -> list[int]:
    kept = data.kept()[:portraits]
    if not kept:
        raise RequestError("The results keep no images: run `tmsa evaluate` with --kept-images 6.")
    return kept


def pareto(data: Comparison, portraits: int) -> Image.Image:
    """Plots identity against success along alpha, a line for each method.

    The large dot is the working strength; bars are its 95 % bootstrap intervals. ``portraits`` is
    ignored: every image that was edited at all strengths counts.
    """
    curves = {method: points for method in data.methods if (points := _curve(data, method))}
    if not curves:
        raise RequestError(
            "The results hold no images whose truth and person are known at several strengths: "
            "run `tmsa evaluate` on drawn portraits, with --curve-images 16."
        )
    plot, (axes,) = new_plot(1, (7.5, 5.5))
    for k, method in enumerate(data.methods):
        if method not in curves:
            continue
        colour, points = f"C{k}", curves[method]
        axes.plot([p[1][0] for p in points], [p[0][0] for p in points], "o-", color=colour, ms=3)
        success, identity = points[FACTORS.index(1.0)]
        axes.errorbar(
            identity.mean,
            success.mean,
            xerr=[[identity.mean - identity.low], [identity.high - identity.mean]],
            yerr=[[success.mean - success.low], [success.high - success.mean]],
            fmt="o", ms=8, capsize=2, color=colour, label=METHODS[method].title,
        )  # fmt: skip
    axes.set(
        xlabel="identity kept (cosine)",
        ylabel="attribute shown (share of edits)",
        title="Along alpha: up and to the right is better",
    )
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    return plot_image(plot)


def _curve(data: Comparison, method: str) -> list[tuple[Interval, Interval]]:
    """Returns (success, identity) at every factor, over the edits that have all factors."""
    edits = pd.concat([data.counted(method, factor=factor) for factor in FACTORS])
    edits = edits.dropna(subset=["success", "identity"])
    complete = edits.groupby(["prompt", "image"])["factor"].transform("size") == len(FACTORS)
    groups = [group for _, group in edits[complete].groupby("factor")]
    return [(over_portraits(g, "success"), over_portraits(g, "identity")) for g in groups]


FIGURES = {
    "figure-5": Figure(RESULTS / "comparison.jsonl", method_grid, "methods x prompts x portraits"),
    "figure-6": Figure(RESULTS / "figure-6.jsonl", method_grid, "against global directions"),
    "figure-10": Figure(RESULTS / "figure-10.jsonl", prompt_grid, "portraits x prompts"),
    "pareto": Figure(RESULTS / "comparison.jsonl", pareto, "attribute success against identity"),
}


def write_figure(name: str, out: Path, results: Path | None, portraits: int) -> str:
    """Draws the figure of a name of ``FIGURES`` into a file; returns its caption."""
    figure = FIGURES[name]
    image = figure.draw(read_comparison(results or figure.results), portraits)
    out.parent.mkdir(parents=True, exist_ok=True)
    image.save(out)
    return figure.caption
