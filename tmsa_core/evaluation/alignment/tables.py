"""Tables of the studies of the alignment in Markdown, from their rows alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pandas as pd

from tmsa_core.evaluation.json_lines import Row
from tmsa_core.evaluation.markdown import table

FIGURES = {
    "cosine_to_truth": "cosine to truth",
    "success": "shows it",
    "kept": "others kept",
    "identity": "identity",
    "clip": "CLIP accuracy",
}


def _table(frame: pd.DataFrame, columns: Mapping[str, str]) -> str:
    """Returns the named columns: field -> title. Floats get two decimals."""
    body = [[_cell(value) for value in row] for row in frame[list(columns)].itertuples(index=False)]
    return table(list(columns.values()), body)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "-" if pd.isna(value) else f"{value:.2f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def gap_tables(rows: Sequence[Row]) -> dict[str, str]:
    """Returns measures of the gap, and the treatments at each one's own and at a common length."""
    frame = pd.DataFrame(rows)
    gap = next(row for row in rows if row["row"] == "gap")
    measures = {
        "distance of the mean image and the mean text": "offset",
        "cosine of the mean image and the mean text": "cosine_of_means",
        "variance of images in 64 directions": "image_share_64",
        "variance of texts in the same directions": "text_share_64",
        "texts by a map for images: distance from the mean": "sharp_text_distance",
        "images by the same map": "sharp_image_distance",
        "texts by a map trained with noise: distance from the mean": "noisy_text_distance",
        "images by the same noisy map": "noisy_image_distance",
    }
    tables = {
        "gap": table(("measure", "value"), [(t, f"{gap[f]:.2f}") for t, f in measures.items()])
    }
    tried = frame[frame["row"] == "treatment"]
    for scale, found in tried.groupby("scale", sort=False):
        name = f"gap-{str(scale).replace(' ', '-')}"
        tables[name] = _table(found, {"treatment": "treatment", **FIGURES})
    return tables


def losses_tables(rows: Sequence[Row]) -> dict[str, str]:
    """Returns the variants without some losses, and those with other weights."""
    frame = pd.DataFrame(rows)
    weights = frame["variant"].str.contains(" x ", regex=False)
    columns = {"variant": "variant", "reconstruction": "reconstruction", **FIGURES}
    return {
        "losses": _table(frame[~weights], columns),
        "loss-weights": _table(frame[weights], columns),
    }


def curve_tables(rows: Sequence[Row]) -> dict[str, str]:
    """Returns quality by generator evaluations; a repeated point counts once."""
    frame = pd.DataFrame(rows).drop_duplicates(["schedule", "evaluations"], keep="last")
    frame = frame.sort_values(["schedule", "evaluations"])
    columns = {"schedule": "schedule", "evaluations": "generator evaluations", **FIGURES}
    return {"curve": _table(frame, columns)}


def merit_tables(rows: Sequence[Row]) -> dict[str, str]:
    """Returns the edits at alpha = 1, and the share that shows it along alpha."""
    frame = pd.DataFrame(rows)
    edits, truth = frame[frame["row"] == "edit"], frame[frame["row"] == "truth"]
    full = edits[edits["alpha"] == 1.0].copy()
    full["truth"] = full["prompt"].map(truth.set_index("prompt")["success"])
    least = zip(full["worst"], full["worst_kept"], strict=True)
    full["least"] = [f"{name} {share:.2f}" for name, share in least]
    columns = {
        "prompt": "prompt",
        "success": "shows it",
        "truth": "along the true direction",
        **{name: FIGURES[name] for name in ("kept", "identity", "clip")},
        "least": "least kept",
    }
    along = edits.pivot(index="prompt", columns="alpha", values="success").loc[full["prompt"]]
    titles = {alpha: f"{alpha:g}" for alpha in along.columns}
    return {
        "merit": _table(full, columns),
        "merit-alpha": _table(along.reset_index(), {"prompt": "prompt", **titles}),
    }


STUDY_TABLES: Mapping[str, Callable[[Sequence[Row]], dict[str, str]]] = {
    "gap": gap_tables,
    "losses": losses_tables,
    "curve": curve_tables,
    "merit": merit_tables,
}
"""Study -> what makes its tables, by the names of their markers."""
