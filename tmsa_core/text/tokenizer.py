"""CLIP's tokenizer, with its full or with a small vocabulary.

CLIP's byte-pair encoding has 49,408 tokens, and a network that reads only a few hundred words
would need an embedding row for each. ``CompactTokenizer`` keeps open_clip's cleaning, splitting and
byte pairs, but knows only a fixed list of words and numbers only their tokens. Other words are left
out of the encoding; ``unknown_words`` lists them.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Protocol

import torch
from open_clip.tokenizer import SimpleTokenizer
from torch import Tensor

PADDING, START = 0, 1
LONGEST_WORD = 64  # characters; the tokens of longer ones are estimated


class Tokenizer(Protocol):
    """The methods that an editor calls."""

    def __call__(self, texts: str | Sequence[str]) -> Tensor:
        """Token ids (N,context_length) int64; a longer text is cut and ends with the end token."""

    def token_count(self, text: str) -> int:
        """Number of CLIP's tokens of the whole text, with start and end."""

    def fits(self, text: str) -> bool:
        """Whether the text is encoded to its end."""

    def cut_off(self, text: str) -> str:
        """The end of the text that is cut off; empty if it fits."""

    def unknown_words(self, text: str) -> tuple[str, ...]:
        """Words that are left out of the encoding."""


class FullTokenizer:
    """CLIP's own tokenizer of 77 tokens, which knows every text; see ``Tokenizer``."""

    def __init__(self) -> None:
        self._bpe = SimpleTokenizer()
        self.context_length: int = self._bpe.context_length

    def __call__(self, texts: str | Sequence[str]) -> Tensor:
        """Token ids (N,context_length) int64."""
        return self._bpe(texts)

    def token_count(self, text: str) -> int:
        """Number of tokens of the whole text, with start and end."""
        return len(self._bpe.encode(text)) + 2

    def fits(self, text: str) -> bool:
        """Whether the text is encoded to its end."""
        return self.token_count(text) <= self.context_length

    def cut_off(self, text: str) -> str:
        """The end of the text that is cut off; empty if it fits."""
        return self._bpe.decode(self._bpe.encode(text)[self.context_length - 2 :]).strip()

    def unknown_words(self, text: str) -> tuple[str, ...]:
        """Always empty: unknown words are spelt by several tokens."""
        return ()


class CompactTokenizer:
    """A tokenizer for a list of words; see ``Tokenizer``.

    Padding is 0, the start token 1, and the end token the highest id, because open_clip's text
    tower pools at the position of the highest id. The numbering does not depend on the order of
    the words.

    Args:
        words: The words it knows.
        context_length: Number of tokens of an encoded text, at least 3.
    """

    def __init__(self, words: Sequence[str], context_length: int) -> None:
        if context_length < 3:
            raise ValueError(f"context_length is {context_length}; use at least 3")
        self.context_length = context_length
        self._bpe = SimpleTokenizer()
        pieces = sorted({piece for word in words for piece in self._split(word)})
        byte_pairs = {piece: self._bpe.encode(piece) for piece in pieces}
        used = sorted({token for tokens in byte_pairs.values() for token in tokens})
        compact = {token: START + 1 + i for i, token in enumerate(used)}
        self.words: tuple[str, ...] = tuple(pieces)
        self.end = START + 1 + len(used)
        self._encodings = {p: [compact[t] for t in byte_pairs[p]] for p in pieces}
        self._originals = dict(zip(compact.values(), compact, strict=True))

    @property
    def vocab_size(self) -> int:
        """Number of embedding rows: padding, start, the tokens of the words, end."""
        return self.end + 1

    def __call__(self, texts: str | Sequence[str]) -> Tensor:
        """Token ids (N,context_length) int64."""
        batch = [texts] if isinstance(texts, str) else texts
        result = torch.full((len(batch), self.context_length), PADDING, dtype=torch.long)
        for row, text in enumerate(batch):
            tokens = [START, *self.encode(text)[: self.context_length - 2], self.end]
            result[row, : len(tokens)] = torch.tensor(tokens)
        return result

    def encode(self, text: str) -> list[int]:
        """All ids of the known words, without start, end and padding."""
        return [token for piece in self._split(text) for token in self._encodings.get(piece, ())]

    def decode(self, tokens: Sequence[int] | Tensor) -> str:
        """The text of some ids, without start, end and padding."""
        originals = [self._originals[int(t)] for t in tokens if int(t) in self._originals]
        return self._bpe.decode(originals).strip()

    def token_count(self, text: str) -> int:
        """Number of CLIP's tokens of the whole text, of unknown words too, with start and end."""
        return sum(self._bpe_count(piece) for piece in self._split(text)) + 2

    def fits(self, text: str) -> bool:
        """Whether the known words are encoded to the end of the text."""
        return len(self.encode(text)) + 2 <= self.context_length

    def cut_off(self, text: str) -> str:
        """The known words at the end of the text that are cut off."""
        return self.decode(self.encode(text)[self.context_length - 2 :])

    def unknown_words(self, text: str) -> tuple[str, ...]:
        """Words, numbers and symbols that are left out, once each, without punctuation."""
        unknown: dict[str, None] = {}
        for chunk in self._clean(text).split():
            pieces = [piece for piece in self._bpe.pat.findall(chunk) if _is_word(piece)]
            missing = [piece for piece in pieces if piece not in self._encodings]
            # A chunk without a known piece is listed whole: "don't" instead of "don" and "'t".
            whole = bool(missing) and len(missing) == len(pieces)
            unknown |= dict.fromkeys([_without_marks(chunk)] if whole else missing)
        return tuple(unknown)

    def _clean(self, text: str) -> str:
        """open_clip's cleaning: lower case, with mended encoding and single spaces."""
        plain = text.isascii() and text.isprintable() and "&" not in text
        return text.lower() if plain else self._bpe.clean_fn(text)  # which is slow

    def _split(self, text: str) -> list[str]:
        """Words, digits and runs of other characters, as open_clip splits them."""
        return self._bpe.pat.findall(self._clean(text))

    def _bpe_count(self, piece: str) -> int:
        """Number of tokens of one piece; of a very long one its bytes, which are never fewer."""
        if known := self._encodings.get(piece):
            return len(known)
        if len(piece) > LONGEST_WORD:
            return len(piece.encode(errors="replace"))
        return len(self._bpe.encode(piece))


def _is_word(piece: str) -> bool:
    """Whether a piece has a letter, a number or a symbol such as an emoji."""
    categories = [unicodedata.category(c) for c in piece]
    return any(category[0] in "LN" or category == "So" for category in categories)


def _without_marks(chunk: str) -> str:
    """The chunk without punctuation at its ends."""
    kept = [i for i, c in enumerate(chunk) if unicodedata.category(c)[0] != "P"]
    return chunk[kept[0] : kept[-1] + 1]
