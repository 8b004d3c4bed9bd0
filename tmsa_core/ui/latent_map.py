"""Maps of CLIP's space and of W+, as in Figure 8 of the TMSA paper."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tmsa_core.datatypes import PreparedFace
from tmsa_core.editing.editor import Editor
from tmsa_core.errors import RequestError, quoted

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

COLOURS = {
    "portrait": "#94a3b8",
    "text": "#6366f1",
    "your text": "#db2777",
    "your portrait": "#ea580c",
}
METHODS = ("PCA", "t-SNE")
RANDOM_PORTRAITS = 64  # enough to show where portraits lie; more take longer


@dataclass(frozen=True)
class Point:
    """An image or a text in both spaces.

    Attributes:
        name: What the map shows when the pointer is on the point.
        kind: A key of ``COLOURS``.
        clip: (512,) CLIP embedding.
        w: (512,) mean over the rows of W+: of the image's w_plus, or of M(E_T(text)).
    """

    name: str
    kind: str
    clip: np.ndarray
    w: np.ndarray


def image_point(editor: Editor, name: str, kind: str, face: PreparedFace) -> Point:
    """Embed a prepared face."""
    w = face.w_plus.mean(dim=0)  # (L, 512) -> (512,)
    return Point(name, kind, editor.embed_image(face.crop).numpy(), w.numpy())


def text_point(editor: Editor, text: str, kind: str = "text") -> Point:
    """Embed a text; TextError if it is empty or too long."""
    w = editor.w_plus_of_text(text).mean(dim=0)  # (L, 512) -> (512,)
    return Point(text, kind, editor.embed_text(text).numpy(), w.numpy())


def random_points(editor: Editor, progress: Callable[..., Any]) -> list[Point]:
    """Generate and embed the random portraits of seeds 0 to ``RANDOM_PORTRAITS`` - 1."""
    points = []
    for seed in range(RANDOM_PORTRAITS):
        if seed % 8 == 0:
            progress((seed, RANDOM_PORTRAITS), desc="Generating portraits", unit="portraits")
        face = editor.sample(seed)
        points.append(image_point(editor, f"portrait {seed}", "portrait", face))
    return points


def project(points: Sequence[Point], method: str) -> tuple[np.ndarray, np.ndarray]:
    """Project the points of both spaces to two dimensions.

    Args:
        points: At least four.
        method: "PCA", which preserves distances as well as a plane can, or "t-SNE", which
            preserves neighbours.

    Returns:
        Coordinates (N, 2) in CLIP's space and in W.

    Raises:
        RequestError: The method is unknown, or there are fewer than four points.
    """
    if method not in METHODS:
        raise RequestError(f"method is {quoted(method)}; use one of {', '.join(METHODS)}.")
    if len(points) < 4:
        raise RequestError("A map needs at least four points.")
    clip, w = np.stack([p.clip for p in points]), np.stack([p.w for p in points])
    return _project_space(clip, method), _project_space(w, method)


def _project_space(vectors: np.ndarray, method: str) -> np.ndarray:
    """(N, 512) -> (N, 2)."""
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    if method == "PCA":
        return PCA(2, random_state=0).fit_transform(vectors)
    perplexity = min(30.0, (len(vectors) - 1) / 3)
    return TSNE(2, perplexity=perplexity, init="pca", random_state=0).fit_transform(vectors)


def map_figure(points: Sequence[Point], method: str) -> Figure:
    """Draw both maps that ``project`` makes; the visitor's own points are larger and labelled."""
    from plotly.subplots import make_subplots

    figure = make_subplots(1, 2, subplot_titles=("CLIP's space", "StyleGAN's space W+"))
    for column, coordinates in enumerate(project(points, method), start=1):
        for kind in COLOURS:
            chosen = [i for i, point in enumerate(points) if point.kind == kind]
            if chosen:
                names = [points[i].name for i in chosen]
                trace = _trace(kind, coordinates[chosen], names, showlegend=column == 1)
                figure.add_trace(trace, row=1, col=column)
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


def _trace(kind: str, coordinates: np.ndarray, names: list[str], showlegend: bool) -> Any:
    """The plotly trace of all points of a kind; coordinates: (N, 2)."""
    from plotly.graph_objects import Scatter

    own = kind.startswith("your ")
    return Scatter(
        x=coordinates[:, 0],
        y=coordinates[:, 1],
        text=names,
        mode="markers+text" if own else "markers",
        textposition="top center",
        cliponaxis=False,
        hovertemplate="%{text}<extra></extra>",
        marker={
            "color": COLOURS[kind],
            "size": 13 if own else 8,
            "symbol": "circle" if kind.endswith("portrait") else "diamond",
        },
        name=kind,
        legendgroup=kind,
        showlegend=showlegend,
    )
