"""Both spaces as maps (Figure 8 of the TMSA paper): where images and texts lie in CLIP's space,
and where the aligned W+ puts them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

from dataclasses import dataclass

import numpy as np

from tmsa_core.datatypes import PreparedFace
from tmsa_core.editing.editor import Editor
from tmsa_core.errors import RequestError, quoted

COLOURS = {"portrait": "#94a3b8", "text": "#6366f1", "your text": "#db2777", "yours": "#ea580c"}

METHODS = ("PCA", "t-SNE")


@dataclass(frozen=True)
class Point:
    """An image or a text in both spaces.

    kind: what it is, such as "portrait" or "text". clip: (512,) its embedding. code: (512,) its
    code in W, the mean of its rows of W+: an image's own, and M(E_T(text)) of a text.
    """

    name: str
    kind: str
    clip: np.ndarray
    code: np.ndarray


def image_point(editor: Editor, name: str, kind: str, face: PreparedFace) -> Point:
    """Where a prepared face lies."""
    code = face.w_plus.mean(dim=0)
    return Point(name, kind, editor.embed_image(face.crop).numpy(), code.numpy())


def text_point(editor: Editor, text: str, kind: str = "text") -> Point:
    """Where a text lies. Raises TextError."""
    code = editor.w_plus_of_text(text).mean(dim=0)
    return Point(text, kind, editor.embed_text(text).numpy(), code.numpy())


def place(points: Sequence[Point], method: str) -> tuple[np.ndarray, np.ndarray]:
    """(N,2) places in the map of CLIP's space, and in that of W.

    PCA keeps distances as far as a plane can; t-SNE keeps neighbours. Raises RequestError for
    another method or fewer than four points.
    """
    if method not in METHODS:
        raise RequestError(f"method is {quoted(method)}; use one of {', '.join(METHODS)}.")
    if len(points) < 4:
        raise RequestError("A map needs at least four points.")
    clouds = (np.stack([p.clip for p in points]), np.stack([p.code for p in points]))
    return tuple(_plane(cloud, method) for cloud in clouds)  # type: ignore[return-value]


def _plane(cloud: np.ndarray, method: str) -> np.ndarray:
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    if method == "PCA":
        return PCA(2, random_state=0).fit_transform(cloud)
    perplexity = min(30.0, (len(cloud) - 1) / 3)
    return TSNE(2, perplexity=perplexity, init="pca", random_state=0).fit_transform(cloud)


def spaces_figure(points: Sequence[Point], method: str) -> Figure:
    """The two maps with a point's name on hovering; own points stand out and are labelled."""
    from plotly.graph_objects import Scatter
    from plotly.subplots import make_subplots

    figure = make_subplots(1, 2, subplot_titles=("CLIP's space", "StyleGAN's space W+"))
    for column, places in enumerate(place(points, method), start=1):
        for kind, colour in COLOURS.items():
            which = [i for i, point in enumerate(points) if point.kind == kind]
            if not which:
                continue
            own = kind in ("your text", "yours")
            figure.add_trace(
                Scatter(
                    x=places[which, 0],
                    y=places[which, 1],
                    text=[points[i].name for i in which],
                    mode="markers+text" if own else "markers",
                    textposition="top center",
                    cliponaxis=False,
                    hovertemplate="%{text}<extra></extra>",
                    marker={
                        "color": colour,
                        "size": 13 if own else 8,
                        "symbol": "circle" if kind in ("portrait", "yours") else "diamond",
                    },
                    name=kind,
                    legendgroup=kind,
                    showlegend=column == 1,
                ),
                row=1,
                col=column,
            )
    figure.update_layout(
        height=460,
        font={"color": "#7c8aa0"},
        margin={"l": 40, "r": 40, "t": 40, "b": 10},
        legend={"orientation": "h"},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(148,163,184,0.08)",
    )
    figure.update_xaxes(showticklabels=False, zeroline=False, showgrid=False)
    figure.update_yaxes(showticklabels=False, zeroline=False, showgrid=False)
    return figure
