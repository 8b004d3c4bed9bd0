from __future__ import annotations

from tmsa_core.text.templates import TEMPLATES, prompt_bank


def test_there_are_80_templates_with_one_place_for_the_text() -> None:
    assert len(set(TEMPLATES)) == 80
    assert {template.count("{}") for template in TEMPLATES} == {1}


def test_the_bank_holds_the_cleaned_text_in_every_template() -> None:
    bank = prompt_bank("  human face\n with glasses ")
    assert bank[0] == "a bad photo of a human face with glasses."
    assert bank == [t.replace("{}", "human face with glasses") for t in TEMPLATES]


def test_braces_in_a_text_stay_as_they_are() -> None:
    assert prompt_bank("a {} face {0}")[0] == "a bad photo of a a {} face {0}."
