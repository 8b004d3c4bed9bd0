"""One rule for the strength of every method.

The rule is the one that sets the length of TMSA's own shifts (``training.calibrate``): the goal is
to bring portraits as near to the target text as those portraits are that fit it best, the best
quarter standing for portraits that have the attribute; going further is no merit. Of a method's
strengths the weakest is taken that goes 95 % as much of that way, averaged over the prompts, as
any of them does. The rule sees validation portraits, CLIP and the texts, never a label, the
classifier or a portrait of the test.
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
    world: FrozenNetworks,
    method: Method,
    codes: Tensor,
    examples: Tensor,
    prompts: Sequence[Prompt],
) -> tuple[float, list[float]]:
    """The working strength of a method, and how far each of ``method.strengths`` got.

    codes: (N,L,w_dim) validation inversions. examples: (M,clip_dim) embeddings of validation
    images. How far: 0 is the inversion, 1 the best quarter of the examples. Prompts that the
    inversions fit better than those do cannot say; where none can, the strength is 1 and the list
    is empty.
    """
    every = [reach(world, method, codes, examples, prompt) for prompt in prompts]
    reached = [row for row in every if row]
    if not reached:
        return 1.0, []
    mean = torch.tensor(reached).clamp(max=1).mean(dim=0).tolist()
    alpha = first_crossing(method.strengths, mean, ENOUGH_SHARE * max(mean))
    return alpha, [round(x, 3) for x in mean]


def reach(
    world: FrozenNetworks, method: Method, codes: Tensor, examples: Tensor, prompt: Prompt
) -> list[float]:
    """How far towards the target text each strength of a method brings the codes (N,L,w_dim).

    Empty where the examples (M,clip_dim) that fit best are no nearer to it than the inversions.
    """
    target = embed_text(world.clip, prompt.target)
    edit = method.find_edit(world, codes, Texts(prompt.neutral, prompt.target))

    @torch.inference_mode()
    def similarity(alpha: float) -> float:
        images = edit.apply(world.generator, codes, alpha)
        return float((world.clip.embed_images(images) @ target).mean())

    best = float((examples @ target).topk(max(1, int(TOP_SHARE * len(examples)))).values.mean())
    start = similarity(0.0)
    if best <= start:
        return []
    return [(similarity(alpha) - start) / (best - start) for alpha in method.strengths]
