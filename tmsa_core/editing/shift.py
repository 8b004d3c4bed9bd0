"""From two prompts to a semantic shift in W+ (section 3.3 of the TMSA paper).

dw = M(t_target) - M(t_neutral), where t is the mean of CLIP's text embeddings over the 80
templates. A mapping network M with reference images refines the shift by them
(``shift_refinement``); one with a calibrated length scales it to that length.
"""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from tmsa_core.avatars.reading.compose import NOUN
from tmsa_core.avatars.reading.reader import Reading, reader_for
from tmsa_core.datatypes import Levels
from tmsa_core.editing.shift_refinement import cluster_step, refine, row_norm
from tmsa_core.errors import RequestError, quoted
from tmsa_core.networks.tmsa import Mapper
from tmsa_core.text.cleaning import clean_text

if TYPE_CHECKING:
    from tmsa_core.networks.clip import Clip

# Embeddings closer than this differ by wording alone. Measured in the avatar domain: "face", "a
# portrait of a person" and unknown words lie within 0.03 of "human face", the faintest attributes
# 0.1 away.
SAME_MEANING = 0.05
# Rows of W+, as StyleCLIP divides them.
LEVEL_NAMES = {
    "all": slice(None),
    "coarse": slice(0, 4),
    "medium": slice(4, 8),
    "fine": slice(8, None),
}


def read_text(clip: Clip, text: str) -> Reading:
    """What the text encoder makes of a text.

    CLIP's full tokenizer spells every word, so that a text is embedded as it is. A compact
    vocabulary knows few words, so that a reader says the text in these.

    Raises:
        TextError: As in ``clean_text``.
    """
    from tmsa_core.text.tokenizer import CompactTokenizer  # imports open_clip, which takes long

    if isinstance(clip.tokenizer, CompactTokenizer):
        return reader_for(clip.tokenizer.words).read(clean_text(text))
    return Reading(clean_text(text), "", (), is_verbatim=True)


@torch.inference_mode()
def embed_text(clip: Clip, text: str) -> Tensor:
    """t: the mean embedding of a text over the 80 templates, a unit vector (512,).

    The text is embedded as ``read_text`` says it. What it removes is subtracted, relative to any
    face, so that an edit moves away from it.
    """
    reading = read_text(clip, text)
    embedding = _embed_known(clip, reading.text)
    if reading.against:
        away = _embed_known(clip, reading.against) - _embed_known(clip, NOUN)
        embedding = F.normalize(embedding - away, dim=0)
    return embedding


def _embed_known(clip: Clip, text: str) -> Tensor:
    """The mean embedding of a text that the encoder knows, a unit vector (512,).

    Templates in which the text would be cut are left out. If none is left, the bare text is
    embedded, as far as the encoder reads it.
    """
    from tmsa_core.text.templates import prompt_bank  # imports open_clip, which takes long

    prompts = [prompt for prompt in prompt_bank(text) if clip.tokenizer.fits(prompt)]
    return F.normalize(clip.embed_texts(prompts or [clean_text(text)]).mean(dim=0), dim=0)


@torch.inference_mode()
def semantic_shift(mapper: Mapper, neutral: Tensor, target: Tensor) -> Tensor:
    """The shift dw = M(t_target) - M(t_neutral), refined and scaled to the calibrated length.

    Without references and calibration this is the paper's raw difference. With both, the length
    is the one that the refinement finds, but at least the calibrated one. Texts of the same
    meaning give exact zeros, because the calibrated length would make an edit of their wording.

    Args:
        mapper: The mapping network M.
        neutral: Embedding of the neutral text, (512,).
        target: Embedding of the target text, (512,).

    Returns:
        The shift, (L,512).
    """
    if (target - neutral).norm() < SAME_MEANING:
        return torch.zeros_like(mapper.latent_avg)
    shift, length = shift_direction(mapper, neutral, target), float(mapper.shift_length)
    if length and mapper.references:
        length = max(length, float(row_norm(shift)))
    return calibrate(shift, length)


@torch.inference_mode()
def shift_direction(mapper: Mapper, neutral: Tensor, target: Tensor) -> Tensor:
    """M(t_target) - M(t_neutral), refined by the mapper's references if it has any.

    Takes embeddings (512,) and returns (L,512), not yet calibrated.
    """
    w_neutral, w_target = mapper.from_text(torch.stack([neutral, target]))  # each (L,512)
    shift = w_target - w_neutral
    if not mapper.references:
        return shift
    embeddings, codes = mapper.reference_embeddings, mapper.reference_codes
    return refine(shift, cluster_step(embeddings, codes, target - neutral))


def calibrate(shift: Tensor, length: float) -> Tensor:
    """Scale a shift (L,512) to a ``row_norm`` of ``length``; 0 keeps it unchanged."""
    return shift * (length / row_norm(shift)) if length else shift


def level_rows(levels: Levels, count: int) -> list[int]:
    """The rows of W+ that ``levels`` names.

    Args:
        levels: A key of ``LEVEL_NAMES`` or indices.
        count: Number L of rows.

    Raises:
        RequestError: The name is unknown or an index is not a row.
    """
    if isinstance(levels, str):
        if levels not in LEVEL_NAMES:
            raise RequestError(
                f"levels is {quoted(levels)}; use {', '.join(LEVEL_NAMES)} or indices 0 to "
                f"{count - 1}."
            )
        return list(range(count))[LEVEL_NAMES[levels]]
    if not isinstance(levels, Iterable):
        raise RequestError(
            f"levels is {quoted(levels)}; use a name such as 'all', or a list of indices."
        )
    rows = list(levels)
    for row in rows:
        if isinstance(row, bool) or not isinstance(row, Integral) or not 0 <= row < count:
            raise RequestError(
                f"levels holds {quoted(row)}; use whole numbers from 0 to {count - 1}."
            )
    return [int(row) for row in rows]


def level_mask(levels: Levels, count: int) -> Tensor:
    """A mask (count,1): ones in the ``level_rows`` of ``levels``, zeros elsewhere."""
    mask = torch.zeros(count, 1)
    mask[level_rows(levels, count)] = 1
    return mask


def keep_largest(shift: Tensor, threshold: float) -> Tensor:
    """Set the ``threshold`` share of the smallest components of a shift (L,512) to zero."""
    if threshold == 0:
        return shift
    cut = torch.quantile(shift.abs().flatten(), threshold)
    return torch.where(shift.abs() >= cut, shift, torch.zeros_like(shift))
