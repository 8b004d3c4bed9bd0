"""Reads the rows of a comparison and averages them.

An edit counts if its inversion lacked what the prompt asks for. Intervals are 95 % bootstrap
intervals over portraits: all edits of one portrait are resampled together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from tmsa_core.baselines import METHODS
from tmsa_core.errors import RequestError
from tmsa_core.evaluation.comparison.run import ROWS
from tmsa_core.evaluation.json_lines import Row
from tmsa_core.evaluation.metrics import Interval, bootstrap

OURS = "tmsa"
RUN = ("domain", "weights", "inversion", "folder")
EDIT = ("method", "prompt", "image", "factor")


@dataclass(frozen=True)
class Metric:
    """A column of ``Comparison.edits`` with its title in tables."""

    title: str
    percent: bool = True

    def text(self, value: float | Interval) -> str:
        """Returns a number, or a mean with its interval; "-" if nothing was measured."""
        numbers = value if isinstance(value, Interval) else (value,)
        if math.isnan(numbers[0]):
            return "-"
        mean, *bounds = (f"{100 * x:.0f}" if self.percent else f"{x:.2f}" for x in numbers)
        interval = f" [{', '.join(bounds)}]" if bounds else ""
        return f"{mean}{' %' if self.percent else ''}{interval}"


METRICS = {
    "success": Metric("shows it"),
    "kept": Metric("other attributes kept"),
    "identity": Metric("identity", percent=False),
    "clip": Metric("CLIP accuracy"),
}


class Comparison:
    """The last run in a file of rows.

    Attributes:
        run: Its domain, weights, inversion and folder.
        mapper: Fingerprint of the last mapping network; rows of earlier ones are ignored.
        edits: One row for each edit, the last one if it was repeated. The columns of ``METRICS``
            are numbers, NaN if unknown; comparable lists the other attributes that are visible
            before and after the edit.
        others: The remaining rows, except images.
        methods: The methods, in the order of ``METHODS``.
        prompts: The prompts.
    """

    def __init__(self, rows: Sequence[Row]) -> None:
        self.run = {key: rows[-1].get(key) for key in RUN}
        own = [row for row in rows if self.run.items() <= row.items()]
        self.mapper = next((row["mapper"] for row in reversed(own) if "mapper" in row), "")
        own = [row for row in own if row.get("mapper", self.mapper) == self.mapper]
        self.others = [row for row in own if row["row"] not in ("edit", "image")]
        self._images = {_key(row)[:3]: row for row in own if row["row"] == "image"}
        self.edits = self._frame([row for row in own if row["row"] == "edit"])
        found = set(self.edits["method"])
        self.methods = [method for method in METHODS if method in found]
        self.prompts = list(dict.fromkeys(self.edits["prompt"]))

    def _frame(self, rows: Sequence[Row]) -> pd.DataFrame:
        names = {row["prompt"]: row["compared"] for row in self.find("prompt")}
        edits = []
        for row in {_key(row): row for row in rows}.values():
            comparable = [n for n in names[row["prompt"]] if n not in row["unseen"]]
            known = row["success"] is not None and comparable
            kept = 1 - len(row["changed"]) / len(comparable) if known else None
            edits.append(row | {"comparable": comparable, "kept": kept})
        frame = pd.DataFrame(edits, columns=[*EDIT, "lacking", "changed", "comparable", *METRICS])
        return frame.astype(dict.fromkeys(METRICS, float))

    def find(self, kind: str, **fields: object) -> list[Row]:
        """Returns rows of a kind that is neither "edit" nor "image"."""
        return [r for r in self.others if r["row"] == kind and fields.items() <= r.items()]

    def kept_image(self, method: str, prompt: str | None, image: int) -> Row | None:
        """Returns the row of a kept image; methods "portrait" and "inversion" have no prompt."""
        return self._images.get((method, prompt, image))

    def kept(self) -> list[int]:
        """Returns the numbers of the portraits that are kept as images."""
        return sorted({image for _, _, image in self._images})

    def counted(self, method: str, *prompts: str, factor: float = 1.0) -> pd.DataFrame:
        """Returns the edits that count.

        Args:
            method: Their method.
            prompts: Their prompts; none for all.
            factor: Their alpha as a multiple of the working alpha.
        """
        edits = self.edits
        own = (edits["method"] == method) & (edits["factor"] == factor) & edits["lacking"]
        return edits[own & edits["prompt"].isin(prompts or self.prompts)]

    def interval(self, metric: str, method: str, *prompts: str) -> Interval:
        """Returns the mean of a metric over some prompts or all, with its interval."""
        return over_portraits(self.counted(method, *prompts), metric)

    def ahead(self, margin: float) -> pd.DataFrame:
        """Returns where another method has a higher mean than TMSA.

        Only edits of the same portrait by both methods are compared, because methods that search
        edit fewer portraits.

        Args:
            margin: Smaller differences are ignored.

        Returns:
            Columns metric, method, prompt, theirs, ours, and shown, shown_ours: the means of
            "success".
        """
        found = []
        for method in (m for m in self.methods if m != OURS):
            both = self.counted(method).merge(
                self.counted(OURS), on=["prompt", "image"], suffixes=("", "_ours")
            )
            names = [*METRICS, *(f"{metric}_ours" for metric in METRICS)]
            for prompt, means in both.groupby("prompt", sort=False)[names].mean().iterrows():
                for metric in METRICS:
                    theirs, ours = means[metric], means[f"{metric}_ours"]
                    if theirs - ours > margin:
                        shown = (means["success"], means["success_ours"])
                        found.append((metric, method, prompt, theirs, ours, *shown))
        columns = ["metric", "method", "prompt", "theirs", "ours", "shown", "shown_ours"]
        order = list(METRICS)
        return pd.DataFrame(found, columns=columns).sort_values(
            "metric", key=lambda names: names.map(order.index), kind="stable"
        )

    def seconds(self, method: str, part: str) -> float:
        """Returns the median seconds over the texts; NaN if the run was stopped before.

        Args:
            method: The method.
            part: "text", measured on the first images of each text, or "image".
        """
        costs = pd.DataFrame(self.find("cost", method=method), columns=["prompt", part])
        return float(costs.groupby("prompt")[part].first().median())


def over_portraits(edits: pd.DataFrame, column: str) -> Interval:
    """Returns the mean of a column over the edits that have it, with its interval."""
    known = edits.dropna(subset=[column])
    return bootstrap(known[column].tolist(), known["image"].tolist())


def _key(row: Row) -> tuple[object, ...]:
    return tuple(row.get(name) for name in EDIT)


def read_comparison(path: Path) -> Comparison:
    """Returns the last run of a file.

    Raises:
        RequestError: The file has no edits, or contains something else.
    """
    rows = ROWS.read(path)
    if not rows:
        raise RequestError(f"{path} has no results: run `tmsa evaluate --images 64` first.")
    data = Comparison(rows)
    if data.edits.empty:
        raise RequestError(f"The last run of {path} has no edits yet: let `tmsa evaluate` finish.")
    return data
