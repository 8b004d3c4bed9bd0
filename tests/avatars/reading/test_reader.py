"""Texts in any English words are read in those that the text encoder knows."""

from __future__ import annotations

import pytest

from tmsa_core.avatars.reading import data_files
from tmsa_core.avatars.reading.reader import Reader
from tmsa_core.evaluation.prompts import ALL
from tmsa_core.training.avatar.clip import architecture


@pytest.fixture(scope="module")
def reader() -> Reader:
    from tmsa_core.text.tokenizer import CompactTokenizer

    return Reader(CompactTokenizer(architecture()["words"], 40).words)


@pytest.mark.parametrize("prompt", ALL, ids=lambda prompt: prompt.name)
def test_a_known_text_stays_as_it_is(reader: Reader, prompt) -> None:
    for text in (prompt.target, prompt.without, prompt.neutral):
        reading = reader.read(text)
        assert reading.is_verbatim and reading.text == text and not reading.unread


@pytest.mark.parametrize(
    ("text", "known"),
    [
        # synonyms, plurals, comparatives, spellings, typing errors, words run together
        ("a bespectacled bloke", "bespectacled man"),
        ("crimson lips", "human face with lipstick"),
        ("emerald hoodie", "human face with a green hoodie"),
        ("a furious grandmother", "angry grandmother"),
        ("older", "old human face"),
        ("happier", "happy human face"),
        ("more freckles", "human face with freckles"),
        ("colorfull hair", "human face with colorful hair"),
        ("galsses and a moustahce", "human face with glasses and a moustache"),
        ("sooo haaappy", "happy human face"),
        ("a black stetson", "human face with a black brimmed hat"),
        ("longhair", "human face with long hair"),
        ("a girl of 7 years", "girl"),
        ("80 years old", "old human face"),
        ("a 12-year-old", "kid"),
        # instructions
        ("make her smile", "human face with a smile"),
        ("give him a beard", "human face with a beard"),
        ("turn her into a man", "man"),
        ("turn the frown into a smile", "human face with a smile"),
        ("dye her hair pink", "human face with pink hair"),
        ("make her hair long and blond", "human face with long blond hair"),
        ("please make him 20 years older", "old human face"),
        ("her", "woman"),
        ("she is furious", "angry woman"),
        # removal and negation
        ("remove the glasses", "human face without glasses"),
        ("take her hat off", "human face with no hat"),
        ("remove the glasses, the hat and the beard", "clean-shaven human face with no hat "
         "without glasses"),
        ("no hat or glasses", "human face with no hat without glasses"),
        ("no hat, enormous smile", "human face with no hat and a big smile"),
        ("don't smile", "human face not smiling"),
        ("replace the glasses with sunglasses", "human face with sunglasses"),
        ("a woman, not a man", "woman"),
        ("not without glasses", "human face with eyewear"),
        # concepts, whose details other words override
        ("beardless pirate", "beardless man with a black hat and earrings"),
        ("santa without a beard", "old man with white hair and a red beanie without a beard"),
        # other languages
        ("ein Mann mit Bart", "man with a beard"),
        ("une femme souriante aux cheveux blonds", "smiling woman with blond hair"),
        ("un hombre con gafas de sol", "man with sunglasses"),
        ("Sie trägt einen roten Hut", "woman with a red hat"),
    ],
)  # fmt: skip
def test_other_words_are_read_in_known_ones(reader: Reader, text: str, known: str) -> None:
    reading = reader.read(text)
    assert (reading.text, reading.against) == (known, "") and not reading.unread


@pytest.mark.parametrize(
    ("text", "against"),
    [
        ("not angry", "angry human face"),
        ("no blue background", "human face with a blue background"),
        ("not a pirate", "man with a beard, a black hat and earrings"),
        ("less curly hair", "human face with curly hair"),
    ],
)
def test_what_has_no_opposite_is_moved_away_from(reader: Reader, text: str, against: str) -> None:
    reading = reader.read(text)
    assert (reading.text, reading.against) == ("human face", against)


def test_words_that_nothing_looks_like_are_named(reader: Reader) -> None:
    assert reader.read("zorblax with glasses").unread == ("zorblax",)
    assert reader.read("人の顔").unread == ("人の顔",)
    assert reader.read("a carburettor").unread == ("carburettor",)


def test_a_reading_says_what_is_not_drawn(reader: Reader) -> None:
    (pirate,) = reader.read("a pirate").parts
    assert pirate.said == "pirate" and pirate.lacks == "an eye patch"
    (hat,) = reader.read("an orange hat").parts
    assert hat.read == "a red hat" and hat.lacks == "orange hat" and hat.certainty < 1


def test_an_encoder_with_more_words_gets_the_better_reading(reader: Reader) -> None:
    knows_more = Reader([*reader.table.words, "purple"])
    assert "unshaven" in knows_more.read("stubble").text


def test_every_line_of_the_data_files_can_be_drawn(reader: Reader) -> None:
    for entry in data_files.read_entries():
        reading = reader.read(entry.wording)
        assert not reading.unread and reading.parts, entry.wording


@pytest.mark.parametrize("text", ["\U0001f600" * 40, "a" * 900, ", , ,", "no no not without", "-"])
def test_odd_texts_are_read_too(reader: Reader, text: str) -> None:
    assert reader.read(text).text
