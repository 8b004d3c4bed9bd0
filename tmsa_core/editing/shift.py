"""From two texts to a semantic shift in W+ (section 3.3 of the TMSA paper).

dw = M(t_target) - M(t_neutral), where t is the average of CLIP's text embedding over the text
put into the 80 templates of the prompt bank. A mapper that carries reference images refines
the shift by them (``clusters``), one that is calibrated brings it to a length.
"""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from tmsa_core.datatypes import Levels
from tmsa_core.editing.shift_refinement import cluster_step, refine, row_norm
from tmsa_core.errors import RequestError, quoted
from tmsa_core.networks.tmsa import Mapper
from tmsa_core.text.templates import clean_text, prompt_bank

if TYPE_CHECKING:
    from tmsa_core.networks.clip import Clip

SAME_MEANING = 0.05
"""Embeddings closer than this differ by wording alone. In the drawn world "face", "a portrait of a
person" and words never seen lie within 0.03 of "human face", and the faintest traits 0.1 away."""
LEVEL_NAMES = {"coarse": (0, 4), "medium": (4, 8), "fine": (8, None)}


@torch.inference_mode()
def embed_text(clip: Clip, text: str) -> Tensor:
    """t: the mean of E_T over the prompt bank of one text -> (512,) unit vector.

    A template that leaves no room for the whole text is passed over: its prompt would lose the
    text's last words. A text with no room in any is embedded as it is, as far as it is read.
    """
    prompts = [prompt for prompt in prompt_bank(text) if clip.tokenizer.fits(prompt)]
    return F.normalize(clip.embed_texts(prompts or [clean_text(text)]).mean(dim=0), dim=0)


@torch.inference_mode()
def semantic_shift(mapper: Mapper, neutral: Tensor, target: Tensor) -> Tensor:
    """dw = M(t_target) - M(t_neutral), refined and brought to the calibrated length.

    neutral, target: (512,) text embeddings -> (L,512). Without references and calibration it is the
    paper's raw difference. With both it is as long as ``cluster_step`` and M together find, but at
    least the calibrated length. Texts of the same meaning give a true zero: at the calibrated
    length their difference would be an edit that nobody asked for.
    """
    if (target - neutral).norm() < SAME_MEANING:
        return torch.zeros_like(mapper.latent_avg)
    shift, length = shift_direction(mapper, neutral, target), float(mapper.shift_length)
    if length and mapper.references:
        length = max(length, float(row_norm(shift)))
    return calibrate(shift, length)


@torch.inference_mode()
def shift_direction(mapper: Mapper, neutral: Tensor, target: Tensor) -> Tensor:
    """M(t_target) - M(t_neutral), turned to what separates the mapper's references, if it has any.

    neutral, target: (512,) -> (L,512), not yet calibrated.
    """
    w_neutral, w_target = mapper.from_text(torch.stack([neutral, target]))
    shift = w_target - w_neutral
    if not mapper.references:
        return shift
    embeddings, codes = mapper.reference_embeddings, mapper.reference_codes
    return refine(shift, cluster_step(embeddings, codes, target - neutral))


def calibrate(shift: Tensor, length: float) -> Tensor:
    """A shift (L,512) scaled to ``length``, its root mean square norm per level; 0 leaves it."""
    return shift * (length / row_norm(shift)) if length else shift


def level_mask(levels: Levels, count: int) -> Tensor:
    """(count,1) ones on the W+ rows that ``levels`` names, zeros elsewhere.

    coarse is rows 0-3, medium 4-7, fine the rest, as StyleCLIP divides them. Raises RequestError
    for other names and for indices outside the rows there are.
    """
    mask = torch.zeros(count, 1)
    if isinstance(levels, str):
        if levels == "all":
            return mask + 1
        if levels not in LEVEL_NAMES:
            names = ", ".join(("all", *LEVEL_NAMES))
            raise RequestError(
                f"levels is {quoted(levels)}; use {names} or indices 0 to {count - 1}."
            )
        start, stop = LEVEL_NAMES[levels]
        mask[start:stop] = 1
        return mask
    if not isinstance(levels, Iterable):
        raise RequestError(
            f"levels is {quoted(levels)}; use a name such as 'all', or a list of indices."
        )
    for i in levels:
        if isinstance(i, bool) or not isinstance(i, Integral) or not 0 <= i < count:
            raise RequestError(
                f"levels holds {quoted(i)}; use whole numbers from 0 to {count - 1}."
            )
        mask[i] = 1
    return mask


def keep_largest(shift: Tensor, threshold: float) -> Tensor:
    """A shift (L,512) with the ``threshold`` share of its smallest components set to zero."""
    if threshold == 0:
        return shift
    cut = torch.quantile(shift.abs().flatten(), threshold)
    return torch.where(shift.abs() >= cut, shift, torch.zeros_like(shift))
