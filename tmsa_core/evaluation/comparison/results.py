"""The comparison's results as numbers, from its JSON lines alone.

An edit counts where its inversion lacked what the prompt asks for. Intervals are 95 % bootstrap
intervals over portraits: all edits of a portrait are drawn together.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tmsa_core.baselines import METHODS
from tmsa_core.errors import RequestError
from tmsa_core.evaluation.comparison.run import read_rows, same_run
from tmsa_core.evaluation.judges import Row
from tmsa_core.evaluation.metrics import Interval, bootstrap

OURS = "tmsa"
RUN = ("domain", "weights", "inversion", "folder")


@dataclass(frozen=True)
class Metric:
    """A figure of merit of one edit: its value from a line, or None where it has none."""

    title: str
    value: Callable[[Row], float | None]
    percent: bool = True

    def text(self, interval: Interval) -> str:
        """The mean with its interval."""
        if interval.mean != interval.mean:  # not a number: nothing was measured
            return "-"
        if self.percent:
            mean, low, high = (f"{100 * x:.0f}" for x in interval)
            return f"{mean} % [{low}, {high}]"
        mean, low, high = (f"{x:.2f}" for x in interval)
        return f"{mean} [{low}, {high}]"


def _number(name: str) -> Callable[[Row], float | None]:
    def value(row: Row) -> float | None:
        return None if row[name] is None else float(str(row[name]))

    return value


def _flag(name: str) -> Callable[[Row], float | None]:
    return lambda row: None if row[name] is None else float(bool(row[name]))


def _kept(row: Row) -> float | None:
    """Share of the other attributes that can be compared and are as they were."""
    if row["success"] is None:
        return None
    return 1 - len(names(row, "changed")) / len(comparable(row))


def names(row: Row, field: str) -> list[str]:
    """A list of attribute names in a line."""
    value = row[field]
    return [str(name) for name in value] if isinstance(value, list) else []


def comparable(row: Row) -> set[str]:
    """The other attributes that can be seen both before and after an edit."""
    return {*names(row, "compared")} - {*names(row, "unseen")}


METRICS = {
    "success": Metric("shows it", _flag("success")),
    "kept": Metric("other attributes kept", _kept),
    "identity": Metric("identity", _number("identity"), percent=False),
    "clip": Metric("CLIP accuracy", _flag("clip")),
}


class Comparison:
    """The lines of the last run in a file, each edit once.

    run: domain, weights, inversion and folder. mapper: the fingerprint of the last mapping
    network; lines of earlier ones do not count.
    """

    def __init__(self, rows: Sequence[Row]) -> None:
        self.run = {key: rows[-1].get(key) for key in RUN}
        own = [row for row in rows if same_run(row, self.run)]
        self.mapper = next((str(row["mapper"]) for row in reversed(own) if "mapper" in row), "")
        own = [row for row in own if row.get("mapper", self.mapper) == self.mapper]
        compared = {r["prompt"]: r["compared"] for r in own if r["row"] == "prompt"}
        edits = {_key(r): r for r in own if r["row"] == "edit"}
        self.edits = [row | {"compared": compared[row["prompt"]]} for row in edits.values()]
        self._images = {_key(r)[:3]: r for r in own if r["row"] == "image"}
        self.others = [row for row in own if row["row"] not in ("edit", "image")]
        self.methods = [m for m in METHODS if any(r["method"] == m for r in self.edits)]
        self.prompts = list(dict.fromkeys(str(r["prompt"]) for r in self.edits))

    def find(self, kind: str, **fields: object) -> list[Row]:
        """Lines of a kind that are no edits."""
        return [r for r in self.others if r["row"] == kind and fields.items() <= r.items()]

    def kept_image(self, method: str, prompt: str | None, image: int) -> Row | None:
        """The line of a kept image; the methods "portrait" and "inversion" have no prompt."""
        return self._images.get((method, prompt, image))

    def kept(self) -> list[int]:
        """Numbers of the portraits that are kept as images."""
        return sorted({int(str(image)) for _, _, image in self._images})

    def counted(self, method: str, *prompts: str, factor: float = 1.0) -> list[Row]:
        """The edits that count, of some prompts or of all, at a share of the working strength."""
        return [
            row
            for row in self.edits
            if row["method"] == method
            and row["lacking"]
            and row["factor"] == factor
            and (not prompts or row["prompt"] in prompts)
        ]

    def interval(self, metric: str, method: str, *prompts: str) -> Interval:
        """The mean of a metric over some prompts or all, and its interval."""
        return over_portraits(self.counted(method, *prompts), METRICS[metric].value)

    def beside(self, metric: str, method: str, *prompts: str) -> tuple[float, float]:
        """Means of a metric, a method's and ours, over the edits that count with both.

        A method that searches edits fewer portraits; only those are held against ours. Not
        numbers where there are none.
        """
        value = METRICS[metric].value
        theirs, ours = (
            {
                (row["prompt"], row["image"]): found
                for row in self.counted(name, *prompts)
                if (found := value(row)) is not None
            }
            for name in (method, OURS)
        )
        shared = theirs.keys() & ours.keys()
        if not shared:
            return math.nan, math.nan
        return tuple(statistics.fmean(of[key] for key in shared) for of in (theirs, ours))

    def seconds(self, method: str, what: str) -> float:
        """Median over texts: ``text``, of the first images of each, or ``image``.

        Not a number where a run was stopped before it had noted them.
        """
        first = {row["prompt"]: row for row in reversed(self.find("cost", method=method))}
        if not first:
            return math.nan
        return statistics.median(float(str(row[what])) for row in first.values())


def over_portraits(rows: Sequence[Row], value: Callable[[Row], float | None]) -> Interval:
    """The mean of a value over edits that have it, and its interval."""
    found = [(v, int(str(row["image"]))) for row in rows if (v := value(row)) is not None]
    return bootstrap([v for v, _ in found], [image for _, image in found])


def _key(row: Row) -> tuple[object, ...]:
    return tuple(row.get(name) for name in ("method", "prompt", "image", "factor"))


def read_comparison(path: Path) -> Comparison:
    """The last run of a file, which is only read; RequestError if it has no edits."""
    rows = read_rows(path)
    if not rows:
        raise RequestError(f"{path} holds no results: run `tmsa evaluate --images 64` first.")
    data = Comparison(rows)
    if not data.edits:
        raise RequestError(f"The last run of {path} has no edits yet: let `tmsa evaluate` go on.")
    return data
