"""Scores edited images with networks that take no part in the edit.

There are two exceptions. Every method follows CLIP, and Table 3 of the paper scores by CLIP. The
identity network also trains HFGI.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tmsa_core.avatars.params import ATTRIBUTES, Portraits
from tmsa_core.avatars.visibility import visible
from tmsa_core.editing.shift import embed_text
from tmsa_core.errors import RequestError, quoted
from tmsa_core.evaluation.json_lines import Row
from tmsa_core.evaluation.metrics import agreement, ssim
from tmsa_core.evaluation.prompts import Prompt, fits
from tmsa_core.networks.attributes import AttributeNet
from tmsa_core.networks.clip import Clip

PARTS_OF_OTHERS = ("frame_shape", "frame_colour", "headwear_colour", "eye_colour")
JUDGED = tuple(name for name in ATTRIBUTES if name not in PARTS_OF_OTHERS)
"""Attributes that an edit should keep; the others are details of one of these."""

BATCH = 32


@dataclass(frozen=True)
class Reading:
    """What the scoring networks see in N images.

    Attributes:
        images: (N,3,R,R) in [-1,1].
        identity: (N,E) identity embeddings; None without an identity network.
        clip: (N,clip_dim) CLIP embeddings.
        attributes: The attributes that the classifier predicts; None for images that were not
            drawn.
    """

    images: Tensor
    identity: Tensor | None
    clip: Tensor
    attributes: Portraits | None

    def __getitem__(self, index: Tensor) -> Reading:
        return Reading(
            self.images[index],
            None if self.identity is None else self.identity[index],
            self.clip[index],
            None if self.attributes is None else self.attributes[index],
        )


@dataclass(frozen=True)
class Evaluators:
    """The scoring networks: CLIP, identity, and a classifier trained on renders alone."""

    clip: Clip
    identity: nn.Module | None
    classifier: AttributeNet | None
    _texts: dict[str, Tensor] = field(default_factory=dict)

    def text(self, text: str) -> Tensor:
        """Returns the CLIP embedding (clip_dim,) of a text; computes it once."""
        if text not in self._texts:
            self._texts[text] = embed_text(self.clip, text)
        return self._texts[text]

    @torch.inference_mode()
    def read(self, images: Tensor, traits: Mapping[str, Tensor] | None = None) -> Reading:
        """Runs the networks on images.

        Args:
            images: (N,3,R,R) in [-1,1].
            traits: Traits (N,) of the drawn portraits; None for other images, whose attributes
                are then not predicted.
        """
        parts = images.split(BATCH)
        identity = attributes = None
        if self.identity is not None:
            identity = torch.cat([self.identity(x) for x in parts])
        if self.classifier is not None and traits is not None:
            attributes = Portraits(traits, predict(self.classifier, images))
        clip = torch.cat([self.clip.embed_images(x) for x in parts])
        return Reading(images, identity, clip, attributes)


def predict(classifier: AttributeNet, images: Tensor) -> dict[str, Tensor]:
    """Returns, for each attribute, the likeliest option (N,) of each image (N,3,R,R)."""
    parts = [classifier.predict(x) for x in images.split(BATCH)]
    return {name: torch.cat([part[name] for part in parts]).cpu() for name in ATTRIBUTES}


def accuracies(predicted: Mapping[str, Tensor], portraits: Portraits) -> dict[str, float]:
    """Returns, for each attribute, the share of portraits that show it and are predicted correctly.

    Args:
        predicted: Options (N,) of each attribute, as ``predict`` returns them.
        portraits: The N portraits. NaN stands for an attribute that none of them shows.
    """
    return {
        name: agreement(predicted[name], portraits.attributes[name], visible(portraits, name))
        for name in ATTRIBUTES
    }


def shows(reading: Reading, prompt: Prompt) -> Tensor | None:
    """Returns (N,) bool: the image shows what the prompt asks for; None where no truth exists."""
    if reading.attributes is None or not prompt.wanted:
        return None
    options = reading.attributes.attributes
    return torch.stack([fits(options[name], name, o) for name, o in prompt.wanted]).all(dim=0)


def compared(prompt: Prompt) -> list[str]:
    """Returns the attributes that an edit with this prompt should keep."""
    excluded = {name for name, _ in prompt.wanted} | set(prompt.implied)
    return [name for name in JUDGED if name not in excluded]


@torch.inference_mode()
def score(
    before: Reading, after: Reading, prompt: Prompt, target: Tensor, without: Tensor
) -> list[Row]:
    """Scores N edits.

    Args:
        before: The N inversions.
        after: The N edited images.
        prompt: The prompt of the edits.
        target: (clip_dim,) embedding of the text with the attribute.
        without: (clip_dim,) embedding of the text without it.

    Returns:
        One row for each image. success: the classifier sees what was asked for. clip: CLIP prefers
        target to without. identity (cosine), ssim and l2 (mean squared difference in [-1,1])
        compare edit and inversion. changed: other attributes that the edit changed. unseen: those
        that are hidden before or after, so that they cannot be compared.
    """
    count = len(after.images)
    nothing = [None] * count
    success = shows(after, prompt)
    same = nothing
    if before.identity is not None and after.identity is not None:
        same = F.cosine_similarity(before.identity, after.identity, dim=1).tolist()
    pairs = list(zip(after.images.split(BATCH), before.images.split(BATCH), strict=True))
    changed, unseen = _changes(before, after, prompt)
    columns = {
        "success": nothing if success is None else success.tolist(),
        "clip": (after.clip @ target > after.clip @ without).tolist(),
        "identity": same,
        "ssim": torch.cat([ssim(a, b) for a, b in pairs]).tolist(),
        "l2": torch.cat([(a - b).square().mean(dim=(1, 2, 3)) for a, b in pairs]).tolist(),
        "changed": changed,
        "unseen": unseen,
    }
    return [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]


def _changes(
    before: Reading, after: Reading, prompt: Prompt
) -> tuple[list[list[str]], list[list[str]]]:
    """Returns, for each image, the changed attributes and those that cannot be compared."""
    changed: list[list[str]] = [[] for _ in after.images]
    unseen: list[list[str]] = [[] for _ in after.images]
    if before.attributes is None or after.attributes is None:
        return changed, unseen
    for name in compared(prompt):
        seen = visible(before.attributes, name) & visible(after.attributes, name)
        differs = before.attributes.attributes[name] != after.attributes.attributes[name]
        for i in range(len(changed)):
            if not seen[i]:
                unseen[i].append(name)
            elif differs[i]:
                changed[i].append(name)
    return changed, unseen


def summarise(rows: Sequence[Row], prompt: Prompt) -> Row:
    """Averages rows of ``score`` on drawn portraits.

    Returns:
        success, identity and clip: means over the rows. kept: mean over the other attributes of
        the share of images that keep each. worst, worst_kept: the attribute that is kept least.
    """
    kept = {}
    for name in compared(prompt):
        seen = [row for row in rows if name not in row["unseen"]]
        if seen:
            kept[name] = 1 - sum(name in row["changed"] for row in seen) / len(seen)
    worst = min(kept, key=lambda name: kept[name])
    means = {name: fmean(row[name] for row in rows) for name in ("success", "identity", "clip")}
    return means | {"kept": fmean(kept.values()), "worst": worst, "worst_kept": kept[worst]}


def edit_and_score(
    judges: Evaluators, before: Reading, prompt: Prompt, edit: Callable[[Tensor], Tensor]
) -> Row:
    """Edits the drawn portraits that lack what a prompt asks for, and averages their scores.

    Args:
        judges: The scoring networks.
        before: All inversions.
        prompt: The prompt.
        edit: Takes indices (M,) into ``before``, returns the edited images (M,3,R,R).

    Returns:
        prompt, portraits (the number of edits), and what ``summarise`` returns.

    Raises:
        RequestError: All portraits show it already.
    """
    check_lacking(before, [prompt])
    lacking = (~shows(before, prompt)).nonzero()[:, 0]
    own = before[lacking]
    after = judges.read(edit(lacking), own.attributes.traits)
    rows = score(own, after, prompt, judges.text(prompt.target), judges.text(prompt.without))
    return {"prompt": prompt.name, "portraits": len(rows)} | summarise(rows, prompt)


def check_lacking(before: Reading, prompts: Sequence[Prompt]) -> None:
    """Raises RequestError if all portraits show what a prompt asks for, so that none is edited."""
    for prompt in prompts:
        if shows(before, prompt).all():
            raise RequestError(
                f"All of {len(before.images)} portraits show {quoted(prompt.name)} already: use "
                "more of them with --portraits."
            )
