"""Chooses the working strength of every method by one rule.

The same rule sets the length of TMSA's own shifts (``training.mapper.calibrate``). Its goal is to
bring validation portraits as close to the target text, by CLIP, as the best-fitting quarter of
them. A method works at the weakest strength that covers 95 % of the largest share of this way that
any of its strengths covers, averaged over the prompts. The rule uses validation portraits, CLIP
and the texts, but no labels, no classifier and no test portraits.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from tmsa_core.baselines import FrozenNetworks, Method, Texts
from tmsa_core.editing.shift import embed_text
from tmsa_core.evaluation.prompts import Prompt
from tmsa_core.training.mapper.calibrate import ENOUGH_SHARE, TOP_SHARE, first_crossing


def tune(
    networks: FrozenNetworks,
    method: Method,
    codes: Tensor,
    examples: Tensor,
    prompts: Sequence[Prompt],
) -> tuple[float, list[float]]:
    """Chooses the working strength of a method.

    Args:
        networks: The networks of the domain.
        method: The method.
        codes: (N,L,w_dim) validation inversions.
        examples: (M,clip_dim) embeddings of validation images.
        prompts: The prompts; those that the inversions fit better than the best examples are
            ignored.

    Returns:
        The strength, and the mean share of the way that each of ``method.strengths`` covers: 0 is
        the inversion, 1 the best quarter of the examples. (1, []) if every prompt is ignored.
    """
    every = [reach(networks, method, codes, examples, prompt) for prompt in prompts]
    reached = [row for row in every if row]
    if not reached:
        return 1.0, []
    mean = torch.tensor(reached).clamp(max=1).mean(dim=0).tolist()
    alpha = first_crossing(method.strengths, mean, ENOUGH_SHARE * max(mean))
    return alpha, [round(x, 3) for x in mean]


def reach(
    networks: FrozenNetworks, method: Method, codes: Tensor, examples: Tensor, prompt: Prompt
) -> list[float]:
    """Returns the share of the way to the target text that each strength covers.

    Args:
        networks: The networks of the domain.
        method: The method.
        codes: (N,L,w_dim) inversions to edit.
        examples: (M,clip_dim) embeddings.
        prompt: The prompt. The list is empty if the best examples fit it no better than the
            inversions.
    """
    target = embed_text(networks.clip, prompt.target)
    edit = method.find_edit(networks, codes, Texts(prompt.neutral, prompt.target))

    @torch.inference_mode()
    def similarity(alpha: float) -> float:
        images = edit.apply(networks.generator, codes, alpha)
        return float((networks.clip.embed_images(images) @ target).mean())

    best = float((examples @ target).topk(max(1, int(TOP_SHARE * len(examples)))).values.mean())
    start = similarity(0.0)
    if best <= start:
        return []
    return [(similarity(alpha) - start) / (best - start) for alpha in method.strengths]
