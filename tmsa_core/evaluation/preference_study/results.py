"""Table 1 of the TMSA paper from votes: how often each method was preferred."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

from tmsa_core.baselines import METHODS
from tmsa_core.evaluation import paper
from tmsa_core.evaluation.markdown import table
from tmsa_core.evaluation.metrics import Interval, bootstrap
from tmsa_core.evaluation.preference_study.votes import Vote
from tmsa_core.files import safe_cell

ALL = "all"
HEAD = ("at_once", "text", "method", "votes", "share", "low", "high", "paper")


@dataclass(frozen=True)
class Share:
    """How often a method was chosen of those that showed it, with its 95 % interval over votes.

    at_once: how many images were shown. votes: how many showed the method. paper: the number
    printed in Table 1, None where it has none.
    """

    at_once: int
    text: str
    method: str
    votes: int
    interval: Interval
    paper: float | None


def shares(votes: Sequence[Vote]) -> list[Share]:
    """Every method's share of the votes on each text, and on all; pairs and fours apart."""
    found = []
    for at_once in sorted({len(vote.shown) for vote in votes}, reverse=True):
        group = [vote for vote in votes if len(vote.shown) == at_once]
        methods = [m for m in METHODS if any(m in vote.shown for vote in group)]
        for text in dict.fromkeys((*(vote.prompt for vote in group), ALL)):
            own = [vote for vote in group if text in (vote.prompt, ALL)]
            for method in methods:
                chosen = [float(v.chosen == method) for v in own if method in v.shown]
                share = bootstrap(chosen)
                printed = _printed(text, method) if at_once == len(paper.COLUMNS) else None
                found.append(Share(at_once, text, method, len(chosen), share, printed))
    return found


def shares_csv(votes: Sequence[Vote]) -> str:
    """The shares as CSV with a header, numbers from 0 to 1."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(HEAD)
    for s in shares(votes):
        numbers = [f"{x:.4f}" for x in s.interval] if s.votes else [""] * 3
        printed = "" if s.paper is None else s.paper
        cells = (s.at_once, s.text, s.method, s.votes, *numbers, printed)
        writer.writerow([safe_cell(cell) for cell in cells])
    return text.getvalue()


def preference_table(votes: Sequence[Vote]) -> str:
    """Markdown: texts by methods, one table for fours and one for pairs.

    The columns in italics are the paper's, whose participants saw four at once.
    """
    if not votes:
        return "No votes so far."
    visitors = len({vote.visitor for vote in votes})
    parts = [
        f"{len(votes)} votes of {visitors} visitors on drawn portraits, with 95 % bootstrap "
        "intervals over votes; the paper's numbers in italics are on photos of faces, another "
        "domain."
    ]
    every = shares(votes)
    for at_once in dict.fromkeys(share.at_once for share in every):
        group = [share for share in every if share.at_once == at_once]
        parts += [f"{at_once} images at once:", _table(group, votes)]
    return "\n\n".join(parts)


def _table(group: Sequence[Share], votes: Sequence[Vote]) -> str:
    """The shares of one number of images, a row for each text."""
    methods = list(dict.fromkeys(share.method for share in group))
    compared = [s.method for s in group if s.paper is not None]
    columns = [c for c in paper.COLUMNS if paper.METHOD_OF[c] in compared]
    titles = (METHODS[m].title for m in methods)
    body = []
    for text in dict.fromkeys(share.text for share in group):
        row = {share.method: share for share in group if share.text == text}
        printed = (row[paper.METHOD_OF[c]].paper for c in columns)
        count = sum(len(v.shown) == group[0].at_once and text in (v.prompt, ALL) for v in votes)
        body.append(
            (
                text,
                *(_cell(row[m]) for m in methods),
                *("-" if number is None else f"*{100 * number:.1f} %*" for number in printed),
                str(count),
            )
        )
    return table(("text", *titles, *(f"*paper: {c}*" for c in columns), "votes"), body)


def _cell(share: Share) -> str:
    if not share.votes:
        return "-"
    mean, low, high = (100 * x for x in share.interval)
    return f"{mean:.1f} % [{low:.0f}, {high:.0f}]"


def _printed(text: str, method: str) -> float | None:
    """The number of Table 1 for a text and a method."""
    column = next((c for c in paper.COLUMNS if paper.METHOD_OF[c] == method), None)
    if column is None or text not in paper.PREFERENCE:
        return None
    return paper.PREFERENCE[text][paper.COLUMNS.index(column)]
