"""Checks of the prompts of an edit, and notes on what the text encoder does not read."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from textwrap import shorten
from typing import TYPE_CHECKING

from torch import Tensor

from tmsa_core.datatypes import EditRequest
from tmsa_core.errors import TextError, listed, quoted
from tmsa_core.text.cleaning import MAX_CHARACTERS_CLEANED, clean_text

if TYPE_CHECKING:
    from tmsa_core.avatars.reading.reader import Reading
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


def unknown_words(text: str, read: Callable[[str], Reading]) -> tuple[str, ...]:
    """Words of a prompt that nothing in the domain looks like.

    Only the beginning of a text that is too long for an edit is searched.

    Raises:
        TextError: The text is not a string.
    """
    if not isinstance(text, str):
        raise TextError(f"The text is {quoted(text)}: write it as a text.")
    # The normal form first: one character may become 18.
    start = unicodedata.normalize("NFKC", text[:MAX_CHARACTERS_CLEANED])[:MAX_CHARACTERS_CLEANED]
    return read(start).unread if start.strip() else ()


def edit_notes(
    requests: Sequence[EditRequest],
    tokenizer: Tokenizer,
    shift: Callable[[str, str], Tensor],
    read: Callable[[str], Reading],
) -> tuple[str, ...]:
    """Sentences for the user on prompts that were cut, mean the same, or have unknown words.

    Args:
        requests: The edits.
        tokenizer: The tokenizer of the domain's text encoder.
        shift: From a neutral and a target text to the shift (L,512).
        read: From a text to what the text encoder makes of it.
    """
    notes: list[str] = []
    for request in requests:
        texts = (request.neutral_text, request.target_text)
        readings = [read(text) for text in texts]
        cut = [end for reading in readings if (end := tokenizer.cut_off(reading.text))]
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
        if words := [word for reading in readings for word in reading.unread]:
            notes.append(
                "Nothing that this editor draws looks like these words, which were left out: "
                f"{listed(dict.fromkeys(words))}."
            )
    return tuple(dict.fromkeys(notes))
