"""Links and recipes give back the settings that were written."""

from __future__ import annotations

import urllib.parse

import pytest

from tmsa_core import EditRequest
from tmsa_core.ui.links import EditSettings, from_query, from_recipe, to_query
from tmsa_core.validation import parse_levels

A, B, C = (EditRequest("human face", text) for text in ("a", "b", "c"))
SETTINGS = [
    EditSettings((A,), "avatar", seed=5),
    EditSettings((EditRequest("x & y", "100 % ü 👓", -1.25, "coarse", 0.3),), sample="ada"),
    EditSettings((A, EditRequest("human face", "b", 2.0, (0, 3), 0.5), C), "ffhq", "hfgi"),
    EditSettings(),
]


@pytest.mark.parametrize("settings", SETTINGS)
def test_link_keeps_all_settings(settings: EditSettings) -> None:
    assert from_query(urllib.parse.parse_qsl(to_query(settings).removeprefix("?"))) == settings


def test_link_written_by_hand_gets_defaults() -> None:
    assert from_query([("target", "old human face"), ("utm", "x")]) == EditSettings(
        (EditRequest("human face", "old human face"),)
    )


def test_recipe_of_a_random_portrait_has_no_inversion() -> None:
    assert from_recipe({"edits": []}).inversion == "e4e"  # the default of scripts
    assert from_recipe({"edits": [], "seed": 3}).inversion == ""
    assert from_query([("seed", "3")]).inversion == ""


@pytest.mark.parametrize(
    ("text", "levels"),
    [("all", "all"), ("0, 1,4", (0, 1, 4)), ("-1", (-1,)), ("--1", "--1"), ("", "all")],
)
def test_levels_are_parsed(text: str, levels: object) -> None:
    assert parse_levels(text) == levels
