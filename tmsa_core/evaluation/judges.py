"""What is measured on every edited image, by networks that took no part in the edit.

CLIP is the one exception: every method steers by it, and Table 3 of the paper judges by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tmsa_core.avatars.params import ATTRIBUTES, Portraits
from tmsa_core.avatars.visibility import visible
from tmsa_core.evaluation.metrics import ssim
from tmsa_core.evaluation.prompts import Prompt, fits
from tmsa_core.networks.attributes import AttributeNet
from tmsa_core.networks.clip import Clip

JUDGED = tuple(
    name
    for name in ATTRIBUTES
    if name not in ("frame_shape", "frame_colour", "headwear_colour", "eye_colour")
)
"""Attributes whose preservation is counted; those left out are parts of another one."""

BATCH = 32
Row = dict[str, object]


@dataclass(frozen=True)
class Reading:
    """What the judges see in N images (N,3,R,R).

    person: (N,E) identity embeddings, None without an identity network. seen: (N,clip_dim).
    attributes: the options that the classifier reads, None outside the drawn world.
    """

    images: Tensor
    person: Tensor | None
    seen: Tensor
    attributes: Portraits | None

    def __getitem__(self, index: Tensor) -> Reading:
        return Reading(
            self.images[index],
            None if self.person is None else self.person[index],
            self.seen[index],
            None if self.attributes is None else self.attributes[index],
        )


@dataclass(frozen=True)
class Evaluators:
    """CLIP, the identity network, and the classifier that was trained on renders alone."""

    clip: Clip
    identity: nn.Module | None
    classifier: AttributeNet | None

    @torch.inference_mode()
    def read(self, images: Tensor, traits: Mapping[str, Tensor] | None = None) -> Reading:
        """Look at images (N,3,R,R) in [-1,1]; traits are those of the drawn portraits."""
        parts = images.split(BATCH)
        person = attributes = None
        if self.identity is not None:
            person = torch.cat([self.identity(x) for x in parts])
        if self.classifier is not None and traits is not None:
            found = [self.classifier.predict(x) for x in parts]
            options = {name: torch.cat([f[name] for f in found]).cpu() for name in ATTRIBUTES}
            attributes = Portraits(traits, options)
        return Reading(
            images, person, torch.cat([self.clip.embed_images(x) for x in parts]), attributes
        )


def shows(reading: Reading, prompt: Prompt) -> Tensor | None:
    """(N,) bool: whether the image shows what was asked; None where nobody can tell."""
    if reading.attributes is None or not prompt.wanted:
        return None
    options = reading.attributes.attributes
    return torch.stack([fits(options[name], name, o) for name, o in prompt.wanted]).all(dim=0)


@torch.inference_mode()
def score(
    before: Reading, after: Reading, prompt: Prompt, target: Tensor, without: Tensor
) -> list[Row]:
    """One row for each image, inversions ``before`` and edits ``after`` (N each).

    target, without: (clip_dim,) embeddings of the texts with and without the attribute.
    success: the classifier sees what was asked. clip: CLIP prefers the target to the text without
    it. identity, ssim, l2 (mean squared difference in [-1,1]): edit against inversion. changed:
    other attributes that the edit changed; unseen: those that could not be compared.
    """
    success = shows(after, prompt)
    preferred = after.seen @ target > after.seen @ without
    alike = ssim(after.images, before.images)
    l2 = (after.images - before.images).square().mean(dim=(1, 2, 3))
    same = (
        None if before.person is None else F.cosine_similarity(before.person, after.person, dim=1)
    )
    changed, unseen = _changes(before, after, prompt)
    return [
        {
            "success": None if success is None else bool(success[i]),
            "clip": bool(preferred[i]),
            "identity": None if same is None else round(float(same[i]), 4),
            "ssim": round(float(alike[i]), 4),
            "l2": round(float(l2[i]), 5),
            "changed": changed[i],
            "unseen": unseen[i],
        }
        for i in range(len(after.images))
    ]


def compared(prompt: Prompt) -> list[str]:
    """The attributes that an edit should leave alone."""
    excluded = {name for name, _ in prompt.wanted} | set(prompt.implied)
    return [name for name in JUDGED if name not in excluded]


def _changes(
    before: Reading, after: Reading, prompt: Prompt
) -> tuple[list[list[str]], list[list[str]]]:
    """For each image: names of changed attributes, and of those that cannot be seen in both."""
    count = len(after.images)
    changed: list[list[str]] = [[] for _ in range(count)]
    unseen: list[list[str]] = [[] for _ in range(count)]
    if before.attributes is None or after.attributes is None:
        return changed, unseen
    for name in compared(prompt):
        seen = visible(before.attributes, name) & visible(after.attributes, name)
        differs = before.attributes.attributes[name] != after.attributes.attributes[name]
        for i in range(count):
            if not seen[i]:
                unseen[i].append(name)
            elif differs[i]:
                changed[i].append(name)
    return changed, unseen
