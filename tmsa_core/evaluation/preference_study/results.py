"""Table 1 of the TMSA paper from votes: how often each method was preferred."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from tmsa_core.baselines import METHODS
from tmsa_core.evaluation import paper
from tmsa_core.evaluation.markdown import table
from tmsa_core.evaluation.metrics import bootstrap
from tmsa_core.evaluation.preference_study.votes import Vote
from tmsa_core.files import safe_cell

ALL = "all"
KEYS = ("at_once", "text", "method")


def shares(votes: Sequence[Vote]) -> pd.DataFrame:
    """Returns how often each method was chosen of the votes that showed it, per text and overall.

    Returns:
        at_once: the number of images shown. text: the prompt, or "all". votes: the number of votes
        that showed the method. share, low, high: the mean and its 95 % interval over votes.
        paper: the share printed in Table 1, NaN if it has none.
    """
    shown = [(len(v.shown), v.prompt, m, float(m == v.chosen)) for v in votes for m in v.shown]
    frame = pd.DataFrame(shown, columns=[*KEYS, "chosen"])
    frame["method"] = pd.Categorical(frame["method"], list(METHODS))
    frame = pd.concat([frame, frame.assign(text=ALL)])
    rows = [
        (*key, len(group), *bootstrap(group["chosen"].tolist()), _printed(*key))
        for key, group in frame.groupby(list(KEYS), sort=False, observed=True)
    ]
    columns = [*KEYS, "votes", "share", "low", "high", "paper"]
    return pd.DataFrame(rows, columns=columns).sort_values(
        "at_once", ascending=False, kind="stable"
    )


def shares_csv(votes: Sequence[Vote]) -> str:
    """Returns the shares as CSV with a header, numbers from 0 to 1."""
    found = shares(votes)
    found["text"] = found["text"].map(safe_cell)
    return found.to_csv(index=False, float_format="%.4f")


def preference_table(votes: Sequence[Vote]) -> str:
    """Returns texts x methods in Markdown, one table for fours and one for pairs.

    The columns in italics are the paper's, whose participants saw four images at once.
    """
    if not votes:
        return "No votes so far."
    visitors = len({vote.visitor for vote in votes})
    parts = [
        f"{len(votes)} votes of {visitors} visitors on drawn portraits, with 95 % bootstrap "
        "intervals over votes; the paper's numbers in italics are on photos of faces, another "
        "domain."
    ]
    for at_once, group in shares(votes).groupby("at_once", sort=False):
        counts = pd.Series([vote.prompt for vote in votes if len(vote.shown) == at_once])
        parts += [f"{at_once} images at once:", _table(group, counts.value_counts().to_dict())]
    return "\n\n".join(parts)


def _table(group: pd.DataFrame, counts: dict[str, int]) -> str:
    """Returns the shares of one number of images, a row for each text."""
    found = {(row.text, row.method): row for row in group.itertuples()}
    methods = [method for method in METHODS if method in set(group["method"])]
    compared = set(group.dropna(subset=["paper"])["method"])
    columns = [column for column in paper.COLUMNS if paper.METHOD_OF[column] in compared]
    body = []
    for text in dict.fromkeys(group["text"]):
        cells = [_cell(found.get((text, method))) for method in methods]
        numbers = [
            _printed(len(paper.COLUMNS), text, paper.METHOD_OF[column]) for column in columns
        ]
        printed = ["-" if pd.isna(number) else f"*{100 * number:.1f} %*" for number in numbers]
        count = sum(counts.values()) if text == ALL else counts[text]
        body.append((text, *cells, *printed, str(count)))
    titles = [METHODS[method].title for method in methods]
    return table(("text", *titles, *(f"*paper: {column}*" for column in columns), "votes"), body)


def _cell(row: Any) -> str:
    if row is None:
        return "-"
    return f"{100 * row.share:.1f} % [{100 * row.low:.0f}, {100 * row.high:.0f}]"


def _printed(at_once: int, text: str, method: str) -> float:
    """Returns the share that Table 1 prints for a text and a method; NaN if it has none."""
    columns = {paper.METHOD_OF[column]: i for i, column in enumerate(paper.COLUMNS)}
    if at_once != len(columns) or method not in columns or text not in paper.PREFERENCE:
        return math.nan
    return paper.PREFERENCE[text][columns[method]]
