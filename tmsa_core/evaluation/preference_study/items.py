"""The questions of a study: which of several edits of a portrait is best, in random order."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tmsa_core.errors import RequestError
from tmsa_core.evaluation import paper
from tmsa_core.evaluation.comparison.results import OURS, Comparison

FOUR = tuple(paper.METHOD_OF.values())


@dataclass(frozen=True)
class Item:
    """One question: images of one portrait, edited by several methods for one text.

    Attributes:
        key: Identifies the question in the file of votes. It depends on the images, so that votes
            on other images, for example of a later mapper, are never counted for these.
        prompt: The name of the prompt.
        target: Its target text.
        portrait: The inversion before the edit, WebP in base64.
        methods: The methods.
        images: Their edits in the same order, WebP in base64.
    """

    key: str
    prompt: str
    target: str
    portrait: str
    methods: tuple[str, ...]
    images: tuple[str, ...]


def make_items(data: Comparison, choices: Literal[2, 4] = 4) -> tuple[Item, ...]:
    """Returns all questions about the kept images of a comparison.

    Args:
        data: The comparison.
        choices: 4 shows the methods of the paper's Table 1 at once, 2 shows TMSA and one other.

    Raises:
        RequestError: The comparison has no such images.
    """
    others = [method for method in data.methods if method != OURS]
    groups = [FOUR] if choices == 4 else [(OURS, other) for other in others]
    targets = {str(row["prompt"]): str(row["target"]) for row in data.find("prompt")}
    items = []
    for image in data.kept():
        for prompt in data.prompts:
            for methods in groups:
                rows = [data.kept_image(method, prompt, image) for method in methods]
                portrait = data.kept_image("inversion", None, image)
                if portrait is None or any(row is None or not row["lacking"] for row in rows):
                    continue
                before, text = str(portrait["webp"]), targets[prompt]
                images = tuple(str(row["webp"]) for row in rows if row is not None)
                seen = "\n".join((text, before, *methods, *images))
                digest = hashlib.sha256(seen.encode()).hexdigest()[:16]
                key = f"{prompt}/{image}/{digest}"
                items.append(Item(key, prompt, text, before, methods, images))
    if not items:
        raise RequestError(
            "The results hold no images to choose from: run `tmsa evaluate --methods "
            f"{','.join(FOUR)}` first."
        )
    return tuple(items)


def order_for(visitor: str, items: Sequence[Item]) -> list[int]:
    """Returns a visitor's own order of the items, always the same, as their positions."""
    order = list(range(len(items)))
    random.Random(f"items {visitor}").shuffle(order)
    return order


def shuffle_for(visitor: str, item: Item) -> list[int]:
    """Returns the order in which a visitor sees an item's images, always the same, as positions."""
    order = list(range(len(item.methods)))
    random.Random(f"{item.key} {visitor}").shuffle(order)
    return order
