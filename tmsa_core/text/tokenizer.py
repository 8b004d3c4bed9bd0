"""CLIP's tokenizer, whole or with a small vocabulary.

CLIP's byte-pair encoding has 49,408 tokens, and a network that only ever reads a few hundred
words would carry an embedding row for each of them. ``CompactTokenizer`` keeps open_clip's
cleaning, splitting and byte pairs, knows a fixed list of words, and numbers only their tokens.
Words outside the list are left out of the encoding, and can be listed for the reader.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from typing import Protocol

import torch
from open_clip.tokenizer import SimpleTokenizer
from torch import Tensor

PADDING, START = 0, 1
LONGEST_WORD = 64  # characters


class Tokenizer(Protocol):
    """What an editor asks of a tokenizer."""

    def __call__(self, texts: str | Sequence[str]) -> Tensor:
        """(N, context_length) int64."""

    def token_count(self, text: str) -> int:
        """CLIP's tokens of the whole text, with start and end."""

    def fits(self, text: str) -> bool:
        """Whether nothing of it is cut off at the end."""

    def cut_off(self, text: str) -> str:
        """The end of the text that is not read, empty where it fits."""

    def unknown_words(self, text: str) -> tuple[str, ...]:
        """Words that are left out."""


class FullTokenizer:
    """CLIP's own tokenizer, which knows every text; of 77 tokens."""

    def __init__(self) -> None:
        self._bpe = SimpleTokenizer()
        self.context_length: int = self._bpe.context_length

    def __call__(self, texts: str | Sequence[str]) -> Tensor:
        """(N, context_length) int64; a longer text is cut and still closes with the end token."""
        return self._bpe(texts)

    def token_count(self, text: str) -> int:
        """Tokens of the whole text, with start and end."""
        return len(self._bpe.encode(text)) + 2

    def fits(self, text: str) -> bool:
        """Whether the text takes no more tokens than there are places."""
        return self.token_count(text) <= self.context_length

    def cut_off(self, text: str) -> str:
        """The end of the text that finds no place."""
        return self._bpe.decode(self._bpe.encode(text)[self.context_length - 2 :]).strip()

    def unknown_words(self, text: str) -> tuple[str, ...]:
        """None: whatever is no word it knows is spelt out."""
        return ()


class CompactTokenizer:
    """Texts to (N, context_length) token ids over the words given.

    Padding is 0, the start token 1, and the end token the highest id, because open_clip's text
    tower pools at the position of the highest id. The numbering depends on the set of words
    alone, not on their order.
    """

    def __init__(self, words: Sequence[str], context_length: int) -> None:
        if context_length < 3:
            raise ValueError(f"context_length is {context_length}, at least 3 is needed")
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
        """Number of embedding rows: padding, start, every token in use, end."""
        return self.end + 1

    def __call__(self, texts: str | Sequence[str]) -> Tensor:
        """(N, context_length) int64; a longer text is cut and still closes with the end token."""
        batch = [texts] if isinstance(texts, str) else texts
        result = torch.full((len(batch), self.context_length), PADDING, dtype=torch.long)
        for row, text in enumerate(batch):
            tokens = [START, *self.encode(text)[: self.context_length - 2], self.end]
            result[row, : len(tokens)] = torch.tensor(tokens)
        return result

    def encode(self, text: str) -> list[int]:
        """Compact ids of the known words, without start, end and padding, however many."""
        return [token for piece in self._split(text) for token in self._encodings.get(piece, ())]

    def decode(self, tokens: Sequence[int] | Tensor) -> str:
        """The text that ids stand for; start, end and padding are passed over."""
        originals = [self._originals[int(t)] for t in tokens if int(t) in self._originals]
        return self._bpe.decode(originals).strip()

    def token_count(self, text: str) -> int:
        """CLIP's tokens of the whole text, known words or not, with start and end."""
        return sum(self._bpe_count(piece) for piece in self._split(text)) + 2

    def fits(self, text: str) -> bool:
        """Whether all its known words are encoded, none cut off at the end."""
        return len(self.encode(text)) + 2 <= self.context_length

    def cut_off(self, text: str) -> str:
        """The known words at the end of the text that find no place."""
        return self.decode(self.encode(text)[self.context_length - 2 :])

    def unknown_words(self, text: str) -> tuple[str, ...]:
        """Words, numbers and symbols that were left out, once each; punctuation isn't counted."""
        unknown: dict[str, None] = {}
        for chunk in self._clean(text).split():
            pieces = [piece for piece in self._bpe.pat.findall(chunk) if _is_word(piece)]
            missing = [piece for piece in pieces if piece not in self._encodings]
            # A chunk with nothing known in it reads better whole: "don't", not "don" and "'t".
            whole = bool(missing) and len(missing) == len(pieces)
            unknown |= dict.fromkeys([_without_marks(chunk)] if whole else missing)
        return tuple(unknown)

    def to_json(self) -> str:
        """All that ``from_json`` needs."""
        return json.dumps({"context_length": self.context_length, "words": list(self.words)})

    @staticmethod
    def from_json(text: str) -> CompactTokenizer:
        """The tokenizer that ``to_json`` wrote."""
        fields = json.loads(text)
        return CompactTokenizer(fields["words"], fields["context_length"])

    def _clean(self, text: str) -> str:
        """Lower case, repaired and respaced as open_clip does it."""
        plain = text.isascii() and text.isprintable() and "&" not in text
        return text.lower() if plain else self._bpe.clean_fn(text)  # repairing is slow

    def _split(self, text: str) -> list[str]:
        """Words, digits and runs of other characters, as open_clip splits them."""
        return self._bpe.pat.findall(self._clean(text))

    def _bpe_count(self, piece: str) -> int:
        """Tokens of one piece; its bytes, which are never fewer, where merging would take long."""
        if known := self._encodings.get(piece):
            return len(known)
        if len(piece) > LONGEST_WORD:
            return len(piece.encode(errors="replace"))
        return len(self._bpe.encode(piece))


def _is_word(piece: str) -> bool:
    """Whether a reader would call it a word or a symbol rather than punctuation."""
    categories = [unicodedata.category(c) for c in piece]
    return any(category[0] in "LN" or category == "So" for category in categories)


def _without_marks(chunk: str) -> str:
    """The chunk without punctuation at its ends."""
    kept = [i for i, c in enumerate(chunk) if unicodedata.category(c)[0] != "P"]
    return chunk[kept[0] : kept[-1] + 1]
