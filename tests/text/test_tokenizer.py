from __future__ import annotations

import random
import time

import pytest
import torch
from open_clip.model import CLIPTextCfg, _build_text_tower
from open_clip.tokenizer import SimpleTokenizer

from tmsa_core.avatars.language.captions import captions, vocabulary
from tmsa_core.avatars.params import sample_portraits
from tmsa_core.text.templates import prompt_bank
from tmsa_core.text.tokenizer import PADDING, START, CompactTokenizer


@pytest.fixture(scope="module")
def tokenizer() -> CompactTokenizer:
    return CompactTokenizer(vocabulary(), context_length=40)


@pytest.fixture(scope="module")
def open_clip_tokenizer() -> SimpleTokenizer:
    return SimpleTokenizer()


@pytest.fixture(scope="module")
def texts() -> list[str]:
    portraits = sample_portraits(1000, torch.Generator().manual_seed(5))
    return [c.text for c in captions(portraits, random.Random(5))]


def test_captions_have_open_clips_tokens_renumbered(
    tokenizer: CompactTokenizer, open_clip_tokenizer: SimpleTokenizer, texts: list[str]
) -> None:
    renumbered: dict[int, int] = {}
    for text in texts:
        for theirs, ours in zip(
            open_clip_tokenizer.encode(text), tokenizer.encode(text), strict=True
        ):
            assert renumbered.setdefault(theirs, ours) == ours
    assert len(set(renumbered.values())) == len(renumbered)


def test_decoding_gives_the_text_back(tokenizer: CompactTokenizer, texts: list[str]) -> None:
    for text in texts[:200]:
        decoded = tokenizer.decode(tokenizer(text)[0])
        assert decoded.replace(" ", "") == text.replace(" ", "")


def test_rows_are_start_words_end_padding(tokenizer: CompactTokenizer) -> None:
    row = tokenizer("Human face with GLASSES.")[0].tolist()
    assert row[0] == START
    assert row[6] == tokenizer.end == tokenizer.vocab_size - 1
    assert set(row[7:]) == {PADDING}
    assert len(set(row[1:6])) == 5
    assert all(START < token < tokenizer.end for token in row[1:6])


def test_shapes_and_types(tokenizer: CompactTokenizer) -> None:
    assert tokenizer("face").shape == (1, 40)
    assert tokenizer(["face", "a beard"]).shape == (2, 40)
    assert tokenizer([]).shape == (0, 40)
    assert tokenizer("face").dtype == torch.int64


def test_a_long_text_is_cut_and_still_ends(tokenizer: CompactTokenizer) -> None:
    row = tokenizer("glasses " * 100)[0]
    assert row[-1] == tokenizer.end
    assert int(row.argmax()) == 39
    assert not tokenizer.fits("glasses " * 39)
    assert tokenizer.fits("glasses " * 38)
    assert torch.equal(row, tokenizer("glasses " * 38)[0])


@pytest.mark.parametrize(
    ("text", "known", "unknown"),
    [
        ("face with a zeppelin", "face with a", ("zeppelin",)),
        ("A Face!!! (with) glasses;", "a face with glasses", ()),
        ("face 😀 with glasses 🎩🎩", "face with glasses", ("😀", "🎩🎩")),
        ("лицо в очках", "", ("лицо", "в", "очках")),
        ("face of 25 years", "face of", ("25", "years")),
        ("don't smile", "smile", ("don't",)),
        ("blue-footed man", "blue-man", ("footed",)),
        ("<start_of_text> face <end_of_text>", "face", ("<start_of_text>", "<end_of_text>")),
        ("हिन्दी face", "face", ("हिन्दी",)),
        ("zeppelin, Zeppelin and zeppelin", ", and", ("zeppelin",)),
        ("", "", ()),
    ],
)
def test_unknown_words_are_named_and_change_nothing(
    tokenizer: CompactTokenizer, text: str, known: str, unknown: tuple[str, ...]
) -> None:
    assert tokenizer.unknown_words(text) == unknown
    assert torch.equal(tokenizer(text), tokenizer(known))
    assert tokenizer.unknown_words(known) == ()


def test_texts_are_cleaned_as_by_open_clip(
    tokenizer: CompactTokenizer, open_clip_tokenizer: SimpleTokenizer
) -> None:
    for text in ("a man’s  face", "beard &amp; glasses", "BALD\u00a0man", "t\u2010shirt"):
        cleaned = open_clip_tokenizer.clean_fn(text)
        assert torch.equal(tokenizer(text), tokenizer(cleaned))
    assert torch.equal(tokenizer("a man’s face"), tokenizer("a man's face"))


def test_the_count_is_clips_own(
    tokenizer: CompactTokenizer, open_clip_tokenizer: SimpleTokenizer, texts: list[str]
) -> None:
    for text in [*texts[:100], "a zeppelin 😀 over 1234 антиконституционно", "", "glasses " * 90]:
        assert tokenizer.token_count(text) == len(open_clip_tokenizer.encode(text)) + 2


def test_a_very_long_word_is_counted_quickly(tokenizer: CompactTokenizer) -> None:
    start = time.perf_counter()
    assert tokenizer.token_count("ab" * 50_000) > 77
    assert tokenizer.unknown_words("ab" * 50_000) == ("ab" * 50_000,)
    assert time.perf_counter() - start < 2


def test_the_numbering_does_not_depend_on_the_order_of_words() -> None:
    words = ["glasses", "a", "beardless", "face"]
    one = CompactTokenizer(words, 10)
    other = CompactTokenizer([*reversed(words), "face"], 10)
    assert one.words == other.words == tuple(sorted(words))
    assert torch.equal(one("a beardless face"), other("a beardless face"))


def test_the_context_holds_captions_and_their_templates(
    tokenizer: CompactTokenizer, texts: list[str]
) -> None:
    assert sum(tokenizer.fits(text) for text in texts) >= 0.999 * len(texts)
    bank = prompt_bank("a smiling old woman with glasses and long grey hair, wearing a red hat")
    assert all(tokenizer.fits(text) for text in bank)
    assert not any(tokenizer.unknown_words(text) for text in bank)


def test_the_vocabulary_is_small(tokenizer: CompactTokenizer) -> None:
    assert 200 < tokenizer.vocab_size < 1000


def test_open_clips_text_tower_pools_at_the_end_token(tokenizer: CompactTokenizer) -> None:
    torch.manual_seed(0)
    config = CLIPTextCfg(
        context_length=40, vocab_size=tokenizer.vocab_size, width=16, heads=2, layers=2
    )
    tower = _build_text_tower(8, config).eval()
    tokens = tokenizer(["face", "human face with glasses"])
    moved = tokens.clone()
    after_end = torch.arange(40) > tokens.argmax(dim=1, keepdim=True)
    moved[after_end] = START  # what stands behind the end must not count
    with torch.no_grad():
        torch.testing.assert_close(tower(tokens), tower(moved))
        assert not torch.allclose(tower(tokens)[0], tower(tokens)[1])


def test_too_short_a_context_is_refused() -> None:
    with pytest.raises(ValueError, match="context_length is 2"):
        CompactTokenizer(["face"], 2)
