"""Rows of a small comparison with known numbers."""

from __future__ import annotations

import base64
import io

from PIL import Image

from tmsa_core.evaluation.json_lines import Row

RUN: Row = {"domain": "avatar", "weights": "abc", "inversion": "e4e", "folder": None}
METHODS = ("tmsa", "styleclip_mapper", "tedigan", "clip2stylegan")
PROMPTS = ("beard", "smile")
COMPARED = ["gender", "hair_style", "clothes", "background"]
FACTORS = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0)


def webp(colour: str) -> str:
    """Returns a one-colour image as WebP in base64."""
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), colour).save(buffer, "WEBP")
    return base64.b64encode(buffer.getvalue()).decode()


def edit(method: str, prompt: str, image: int, factor: float = 1.0, **changes: object) -> Row:
    """Returns the row of a good edit, with changes."""
    row: Row = {
        "row": "edit",
        "image": image,
        "lacking": True,
        "method": method,
        "prompt": prompt,
        "target": f"with a {prompt}",
        "alpha": factor,
        "factor": factor,
        "success": True,
        "clip": True,
        "identity": 0.9,
        "ssim": 0.8,
        "l2": 0.01,
        "changed": [],
        "unseen": [],
    }
    return RUN | row | changes


def kept_row(method: str, prompt: str | None, image: int, colour: str = "red") -> Row:
    """Returns the row of a kept image."""
    row: Row = {"row": "image", "method": method, "image": image, "webp": webp(colour)}
    about: Row = {} if prompt is None else {"prompt": prompt, "lacking": True, "factor": 1.0}
    return RUN | row | about


def comparison_rows(images: int = 3) -> list[Row]:
    """Returns all rows of a run in which every edit is good."""
    rows: list[Row] = []
    for prompt in PROMPTS:
        texts = {"neutral": "face", "target": f"with a {prompt}", "without": "without"}
        rows.append(RUN | {"row": "prompt", "prompt": prompt, "compared": COMPARED} | texts)
    rows.append(RUN | {"row": "judge", "images": images, "mean": 0.99})
    for i in range(images):
        row: Row = {"row": "inversion", "image": i, "l2": 0.02, "psnr": 20.0, "ssim": 0.7}
        rows.append(RUN | row | {"identity": 0.8})
        rows += [kept_row(name, None, i) for name in ("portrait", "inversion")]
    for method in METHODS:
        strength: Row = {"row": "strength", "method": method, "alpha": 1.0, "portraits": 4}
        rows.append(
            RUN
            | strength
            | {"strengths": [0.5, 1.0], "reached": [0.4, 1.0], "once": 2.0, "settings": {}}
        )
        for prompt in PROMPTS:
            cost: Row = {"row": "cost", "method": method, "prompt": prompt}
            rows.append(RUN | cost | {"text": 0.5, "image": 0.01})
            for i in range(images):
                rows.append(kept_row(method, prompt, i))
                rows += [edit(method, prompt, i, factor) for factor in FACTORS]
    return rows
