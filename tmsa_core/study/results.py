"""Table 1 of the TMSA paper from votes: how often each method was preferred."""

from __future__ import annotations

from collections.abc import Sequence

from tmsa_core.baselines import METHODS
from tmsa_core.evaluation import paper
from tmsa_core.evaluation.metrics import bootstrap
from tmsa_core.study.votes import Vote


def preference_table(votes: Sequence[Vote]) -> str:
    """Markdown: texts by methods, the share of votes among those that could have chosen it.

    Intervals are 95 % bootstrap intervals over votes. The columns in italics are the paper's.
    """
    if not votes:
        return "No votes so far."
    methods = [m for m in METHODS if any(m in vote.shown for vote in votes)]
    printed = [c for c in paper.COLUMNS if paper.METHOD_OF[c] in methods]
    titles = [METHODS[m].title for m in methods]
    lines = [("text", *titles, *(f"*paper: {c}*" for c in printed), "votes")]
    lines.append(("---",) * len(lines[0]))
    for prompt in dict.fromkeys(vote.prompt for vote in votes):
        own = [vote for vote in votes if vote.prompt == prompt]
        numbers = paper.PREFERENCE.get(prompt)
        theirs = [
            f"*{100 * numbers[paper.COLUMNS.index(c)]:.1f} %*" if numbers else "-" for c in printed
        ]
        lines.append((prompt, *(_share(own, m) for m in methods), *theirs, str(len(own))))
    lines.append(
        ("all", *(_share(votes, m) for m in methods), *("" for _ in printed), str(len(votes)))
    )
    visitors = len({vote.visitor for vote in votes})
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return (
        f"{len(votes)} votes of {visitors} visitors on drawn portraits; the paper's numbers in "
        f"italics are on photos of faces, another domain.\n\n{table}"
    )


def _share(votes: Sequence[Vote], method: str) -> str:
    chances = [float(vote.chosen == method) for vote in votes if method in vote.shown]
    if not chances:
        return "-"
    mean, low, high = bootstrap(chances)
    return f"{100 * mean:.1f} % [{100 * low:.0f}, {100 * high:.0f}]"
