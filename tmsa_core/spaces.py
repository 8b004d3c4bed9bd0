"""Both spaces as maps (Figure 8 of the TMSA paper): where pictures and texts lie in CLIP's space,
and where the aligned W+ puts them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tmsa_core.datatypes import PreparedFace
from tmsa_core.editor import Editor
from tmsa_core.errors import RequestError
from tmsa_core.quoting import quoted

METHODS = ("PCA", "t-SNE")


@dataclass(frozen=True)
class Point:
    """A picture or a text in both spaces.

    kind: what it is, such as "portrait" or "text". clip: (512,) its embedding. code: (512,) its
    code in W, the mean of its rows of W+: a picture's own, and M(E_T(text)) of a text.
    """

    name: str
    kind: str
    clip: np.ndarray
    code: np.ndarray


def picture_point(editor: Editor, name: str, kind: str, face: PreparedFace) -> Point:
    """Where a prepared face lies."""
    code = face.w_plus.mean(dim=0)
    return Point(name, kind, editor.embed_picture(face.crop).numpy(), code.numpy())


def text_point(editor: Editor, text: str, kind: str = "text") -> Point:
    """Where a text lies. Raises TextError."""
    code = editor.draw_code(text).mean(dim=0)
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
