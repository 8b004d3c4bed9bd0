"""Figures from the comparison's JSON lines alone: grids of kept images, and the Pareto plot."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from tmsa_core.baselines import METHODS
from tmsa_core.errors import RequestError
from tmsa_core.evaluation.comparison.results import (
    METRICS,
    Comparison,
    over_portraits,
    read_comparison,
)
from tmsa_core.evaluation.comparison.run import FACTORS
from tmsa_core.evaluation.metrics import Interval

RESULTS = Path("results")
GAP, BLOCK_GAP, HEADER, LABEL = 2, 10, 18, 190
BACKGROUND, INK = "white", "black"


@dataclass(frozen=True)
class Figure:
    """A figure: its default results, and what draws it from them and a number of portraits."""

    results: Path
    draw: Callable[[Comparison, int], Image.Image]
    caption: str


def kept_image(data: Comparison, method: str, prompt: str | None, image: int) -> Image.Image | None:
    """A kept image of a method, or of a "portrait" or its "inversion"; None if there is none."""
    row = data.kept_image(method, prompt, image)
    if row is None:
        return None
    return Image.open(io.BytesIO(base64.b64decode(str(row["webp"])))).convert("RGB")


def method_grid(data: Comparison, portraits: int) -> Image.Image:
    """A block for each portrait: methods by prompts (figures 5 and 6 of the paper)."""
    columns = ["portrait", "inversion", *data.prompts]
    blocks = []
    for i in data.kept()[:portraits]:
        rows = []
        for k, method in enumerate(data.methods):
            before = [kept_image(data, n, None, i) if not k else None for n in columns[:2]]
            after = [kept_image(data, method, prompt, i) for prompt in data.prompts]
            rows.append((METHODS[method].title, before + after))
        blocks.append(rows)
    return _blocks(columns, blocks)


def prompt_grid(data: Comparison, portraits: int) -> Image.Image:
    """A row for each portrait: itself, its inversion, the first method's edits, ours as a rule.

    Figure 10 of the paper.
    """
    columns = ["portrait", f"inversion ({data.run['inversion']})", *data.prompts]
    rows: list[tuple[str, list[Image.Image | None]]] = []
    for i in data.kept()[:portraits]:
        before = [kept_image(data, name, None, i) for name in ("portrait", "inversion")]
        rows.append(("", before + [kept_image(data, data.methods[0], p, i) for p in data.prompts]))
    return _blocks(columns, [rows])


def _blocks(
    columns: list[str], blocks: list[list[tuple[str, list[Image.Image | None]]]]
) -> Image.Image:
    found = next((p for block in blocks for _, row in block for p in row if p is not None), None)
    if found is None:
        raise RequestError("The results keep no images: run `tmsa evaluate` with --kept-images 6.")
    side = found.width
    label = LABEL if any(title for block in blocks for title, _ in block) else 0
    height = sum(len(b) * (side + GAP) + BLOCK_GAP for b in blocks) - BLOCK_GAP - GAP
    size = (label + len(columns) * (side + GAP) - GAP, HEADER + height)
    sheet = Image.new("RGB", size, BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    for k, title in enumerate(columns):
        draw.text((label + k * (side + GAP) + 3, 3), title, fill=INK)
    top = HEADER
    for block in blocks:
        for title, row in block:
            draw.text((3, top + side // 2 - 6), title, fill=INK)
            for k, image in enumerate(row):
                if image is not None:
                    sheet.paste(image, (label + k * (side + GAP), top))
            top += side + GAP
        top += BLOCK_GAP
    return sheet


def pareto(data: Comparison, portraits: int) -> Image.Image:
    """Identity against attribute success along alpha, a line for each method.

    The large dot is the working strength; bars are its 95 % bootstrap intervals. ``portraits``
    plays no part: every image that got all strengths counts.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Plot

    curves = {method: points for method in data.methods if (points := _curve(data, method))}
    if not curves:
        raise RequestError(
            "The results hold no images whose truth and person are known at several strengths: "
            "run `tmsa evaluate` on drawn portraits, with --curve-images 16."
        )
    plot = Plot(figsize=(7.5, 5.5), dpi=120, layout="constrained")
    axes = plot.add_subplot()
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
    axes.set_xlabel("identity kept (cosine)")
    axes.set_ylabel("attribute shown (share of edits)")
    axes.set_title("Along alpha: up and to the right is better")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    canvas = FigureCanvasAgg(plot)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def _curve(data: Comparison, method: str) -> list[tuple[Interval, Interval]]:
    """(success, identity) with intervals at every factor, over images that got all of them."""
    by_factor = {f: data.counted(method, factor=f) for f in FACTORS}
    every = [{(r["prompt"], r["image"]) for r in rows} for rows in by_factor.values()]
    shared = set.intersection(*every)

    points = []
    for rows in by_factor.values():
        chosen = [r for r in rows if (r["prompt"], r["image"]) in shared]
        success, identity = (
            over_portraits(chosen, METRICS[name].value) for name in ("success", "identity")
        )
        points.append((success, identity))
    known = shared and not any(math.isnan(x.mean) for x in points[0])
    return points if known else []


FIGURES = {
    "figure-5": Figure(RESULTS / "comparison.jsonl", method_grid, "methods x prompts x portraits"),
    "figure-6": Figure(RESULTS / "figure-6.jsonl", method_grid, "against global directions"),
    "figure-10": Figure(RESULTS / "figure-10.jsonl", prompt_grid, "portraits x prompts"),
    "pareto": Figure(RESULTS / "comparison.jsonl", pareto, "attribute success against identity"),
}


def write_figure(name: str, out: Path, results: Path | None, portraits: int) -> str:
    """Draw the figure of a name of ``FIGURES`` into ``out``; its caption."""
    figure = FIGURES[name]
    image = figure.draw(read_comparison(results or figure.results), portraits)
    out.parent.mkdir(parents=True, exist_ok=True)
    image.save(out)
    return figure.caption
