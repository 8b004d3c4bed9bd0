"""Scores of one edit: the identity it kept, and how well it matches the target text.

Identity is the cosine of ArcFace embeddings of the crop before and after the edit (section 4 of
the TMSA paper, Table 2). Text match compares how well CLIP finds that the target and the neutral
text fit the crop (the comparison whose wins Table 3 counts). The neutral text stays true of most
edits, because a face with glasses is still a human face; so a target that fits as well as the
neutral text counts as fully reached.

Neither network is an independent judge: every edit follows CLIP's embeddings, so the text match
favours the editor, and HFGI is trained with the identity network, so identity favours HFGI.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from tmsa_core.datatypes import EditResult, PreparedFace
from tmsa_core.imaging.images import to_tensor
from tmsa_core.networks.identity import IdentityNet
from tmsa_core.text.cleaning import clean_text

if TYPE_CHECKING:
    from tmsa_core.networks.clip import Clip


@dataclass(frozen=True)
class TextScore:
    """Text match of one edit.

    Attributes:
        target_text: The target text.
        before: Match of the crop before the edit, in [0, 1]: the ratio of the probabilities that
            CLIP gives the target and the neutral text, at most 1.
        after: The same for the edited crop.
    """

    target_text: str
    before: float
    after: float


@dataclass(frozen=True)
class Scores:
    """Scores of one result, which may stack several edits.

    Attributes:
        identity: Cosine of the crop and its edit in [-1, 1], None without an identity network.
        inversion: Cosine of the crop and its inversion, the most that an edit can keep.
        texts: One text match for each stacked edit.
    """

    identity: float | None
    inversion: float | None
    texts: tuple[TextScore, ...]

    @property
    def text(self) -> float:
        """Mean text match after the edits; 1 where there are none."""
        return fmean(score.after for score in self.texts) if self.texts else 1.0

    @property
    def text_before(self) -> float:
        """Mean text match before the edits; 1 where there are none."""
        return fmean(score.before for score in self.texts) if self.texts else 1.0


def score_edit(
    prepared: PreparedFace,
    result: EditResult,
    clip: Clip,
    identity: IdentityNet | None,
    embed_text: Callable[[str], Tensor],
) -> Scores:
    """Compare an edited crop with the crop it was made from.

    Args:
        prepared: The face before the edit.
        result: What ``Editor.edit`` returned for it.
        clip: Embeds the crops.
        identity: Embeds the faces; None leaves both identity scores out.
        embed_text: From a cleaned text to its embedding (512,).
    """
    crops = (prepared.crop, prepared.inversion_crop, result.crop)
    images = torch.cat([to_tensor(crop) for crop in crops]).to(clip.mean.device)  # (3,3,R,R)
    cosines: list[float | None] = [None, None]
    if identity is not None:
        faces = identity(images)  # (3,512)
        cosines = (faces[1:] @ faces[0]).clamp(-1, 1).tolist()
    embeddings = clip.embed_images(images[::2])  # (2,512): before, after
    scale = clip.model.logit_scale.exp().float()
    texts = []
    for request in result.requests:
        pair = (request.neutral_text, request.target_text)
        prompts = torch.stack([embed_text(clean_text(text)) for text in pair])  # (2,512)
        logits = scale * embeddings @ prompts.to(embeddings).T  # (2,2)
        match = (logits[:, 1] - logits[:, 0]).exp().clamp_max(1)
        texts.append(TextScore(request.target_text, *match.tolist()))
    return Scores(identity=cosines[1], inversion=cosines[0], texts=tuple(texts))
