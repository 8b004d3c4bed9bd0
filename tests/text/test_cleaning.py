from __future__ import annotations

import pytest

from tmsa_core.errors import TextError
from tmsa_core.text.cleaning import clean_text


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("face", "face"),
        ("\t two\r\n words\u3000here ", "two words here"),
        ("ﬁne ｆａｃｅ", "fine face"),  # a ligature and full-width letters
        ("cafe\u0301", "caf\u00e9"),
        ("a\x00b\x07c", "abc"),
        ("\ufefffa\u200bce", "face"),
        ("lone \ud800 surrogate", "lone surrogate"),
        ("лицо 😀", "лицо 😀"),
        ("smi\u00adling", "smiling"),  # a soft hyphen
        ("\u202asmi\u200eling\u202c", "smiling"),  # marks of direction
        ("smi\u200dling \ufe0ffa\ufe0fce", "smiling face"),  # a joiner, a variation selector
        ("\u2066old\u2069 fa\u034fce\u3164", "old face"),
        ("👩\u200d⚕\ufe0f", "👩\u200d⚕\ufe0f"),  # a woman who is a doctor
        ("👩🏽\u200d🚀 ❤\ufe0f 1\ufe0f⃣", "👩🏽\u200d🚀 ❤\ufe0f 1\ufe0f⃣"),
        ("🏴\U000e0067\U000e0062\U000e007f face", "🏴\U000e0067\U000e0062\U000e007f face"),
        ("face\U000e0067 😀\u200d face", "face 😀 face"),
    ],
)
def test_cleaning(text: str, cleaned: str) -> None:
    assert clean_text(text) == cleaned
    assert clean_text(cleaned) == cleaned


@pytest.mark.parametrize("text", ["", "   ", "\n\t", "\u200b", "\x00", "\ufeff \u2060", None])
def test_an_empty_text_is_refused_by_its_name(text: str | None) -> None:
    with pytest.raises(TextError, match=r"^The target text is empty: [^.]*\.$"):
        clean_text(text, "target text")
    with pytest.raises(TextError, match=r"^The text is empty"):
        clean_text(text)
