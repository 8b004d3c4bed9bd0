"""Checks of the prompts of an edit, and notes on what the text encoder does not read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from textwrap import shorten
from typing import TYPE_CHECKING

from torch import Tensor

from tmsa_core.datatypes import EditRequest
from tmsa_core.errors import TextError, listed, quoted
from tmsa_core.text.cleaning import MAX_CHARACTERS_CLEANED, clean_text

if TYPE_CHECKING:
    from tmsa_core.text.tokenizer import Tokenizer

TOKEN_LIMIT = 77  # of CLIP's text encoder


def check_prompt(text: str, name: str, tokenizer: Tokenizer) -> str:
    """Clean a prompt and check its length.

    Args:
        text: The prompt.
        name: How the error calls it, such as "target text".
        tokenizer: Counts its tokens.

    Returns:
        The cleaned prompt.

    Raises:
        TextError: The prompt is empty, not a string or too long.
    """
    cleaned = clean_text(text, name)
    count = tokenizer.token_count(cleaned)
    if count > TOKEN_LIMIT:
        raise TextError(
            f"The {name} is too long: {count} tokens, and CLIP reads at most {TOKEN_LIMIT}, so "
            "say it in fewer words."
        )
    return cleaned


def unknown_words(text: str, tokenizer: Tokenizer) -> tuple[str, ...]:
    """Words of a prompt that the text encoder does not know and leaves out.

    Only the beginning of a text that is too long for an edit is searched.

    Raises:
        TextError: The text is not a string.
    """
    if not isinstance(text, str):
        raise TextError(f"The text is {quoted(text)}: write it as a text.")
    return tokenizer.unknown_words(text[:MAX_CHARACTERS_CLEANED])


def edit_notes(
    requests: Sequence[EditRequest], tokenizer: Tokenizer, shift: Callable[[str, str], Tensor]
) -> tuple[str, ...]:
    """Sentences for the user on prompts that were cut, mean the same, or have unknown words.

    Args:
        requests: The edits.
        tokenizer: The tokenizer of the domain's text encoder.
        shift: From a neutral and a target text to the shift (L,512).
    """
    notes: list[str] = []
    for request in requests:
        texts = (request.neutral_text, request.target_text)
        cut = [end for text in texts if (end := tokenizer.cut_off(clean_text(text)))]
        for end in cut:
            notes.append(
                "The text is longer than the text encoder reads, which left out its end, "
                f"“{shorten(end, 60, placeholder=' …')}”: say it in fewer words."
            )
        if not cut and not shift(*texts).any():
            notes.append(
                "The two texts mean the same to the text encoder, so nothing moved: "
                "say in the target text what should change."
            )
        if words := [word for text in texts for word in unknown_words(text, tokenizer)]:
            notes.append(
                "The text encoder does not know these words and left them out: "
                f"{listed(dict.fromkeys(words))}."
            )
    return tuple(dict.fromkeys(notes))
