"""How good one edit is, by two networks that take no part in making it look good.

Identity: the cosine of ArcFace embeddings of the crop before and after (section 4 of the TMSA
paper, Table 2). Text: how well CLIP finds that the target text fits the crop, beside the neutral
text (the comparison whose wins Table 3 counts). The neutral text stays true of most edits, a face
with glasses is a human face, so a target that fits as well as the neutral text is fully met.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from tmsa_core.datatypes import EditRequest, EditResult, PreparedFace
from tmsa_core.imaging.images import to_tensor

if TYPE_CHECKING:
    from tmsa_core.networks.clip import Clip


@dataclass(frozen=True)
class TextScore:
    """How well the target text of one edit is met before and after it, in [0, 1].

    The ratio of the probabilities that CLIP gives the target and the neutral text, at most 1.
    """

    target_text: str
    before: float
    after: float


@dataclass(frozen=True)
class Scores:
    """What was kept and what was reached.

    identity: cosine of the crop and its edit in [-1, 1], None without an identity network.
    inversion: the same for the crop and its inversion, the most an edit can keep. texts: one
    score per stacked edit.
    """

    identity: float | None
    inversion: float | None
    texts: tuple[TextScore, ...]

    @property
    def text(self) -> float:
        """The mean over all edits, after them; 1 where nothing was asked."""
        return _mean([score.after for score in self.texts], 1.0)

    @property
    def text_before(self) -> float:
        """The same before the edit."""
        return _mean([score.before for score in self.texts], 1.0)


class Scorer:
    """Scores edits with a bundle's CLIP and, where there is one, its identity network.

    embed_text: from a text to its (512,) embedding; the editor's own, which remembers.
    """

    def __init__(
        self, clip: Clip, embed_text: Callable[[str], Tensor], identity: nn.Module | None
    ) -> None:
        self._clip = clip
        self._embed_text = embed_text
        self._identity = identity

    @torch.inference_mode()
    def score(self, prepared: PreparedFace, result: EditResult) -> Scores:
        """Compare the edited crop with the crop it was made from."""
        return self.score_many(prepared, [result])[0]

    @torch.inference_mode()
    def score_many(self, prepared: PreparedFace, results: Sequence[EditResult]) -> list[Scores]:
        """Scores of several edits of one face; its own crops are looked at once."""
        device = self._clip.mean.device
        crops = [prepared.crop, prepared.inversion_crop, *(r.crop for r in results)]
        images = torch.cat([to_tensor(crop) for crop in crops]).to(device)  # (2+N,3,R,R)
        seen = self._clip.embed_images(images)
        kept: list[float | None] = [None] * (1 + len(results))
        if self._identity is not None:
            faces = self._identity(images)
            kept = (faces[1:] @ faces[0]).clamp(-1, 1).tolist()
        return [
            Scores(
                identity=kept[1 + i],
                inversion=kept[0],
                texts=tuple(self._texts(r, seen[0], seen[2 + i]) for r in result.requests),
            )
            for i, result in enumerate(results)
        ]

    def _texts(self, request: EditRequest, before: Tensor, after: Tensor) -> TextScore:
        texts = (request.neutral_text, request.target_text)
        answers = torch.stack([self._embed_text(text) for text in texts])  # (2,512)
        scale = self._clip.model.logit_scale.exp().float()
        logits = scale * torch.stack([before, after]) @ answers.to(before).T  # (2,2)
        met = (logits[:, 1] - logits[:, 0]).exp().clamp_max(1)
        return TextScore(request.target_text, *met.tolist())


def _mean(values: Sequence[float], empty: float) -> float:
    return sum(values) / len(values) if values else empty
