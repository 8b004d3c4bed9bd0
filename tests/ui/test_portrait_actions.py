"""Choosing the portrait without a browser: samples, seeds, recipes and links."""

from __future__ import annotations

import urllib.parse
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.ui.conftest import TEXTS, last, pixels
from tmsa_core import EditRequest
from tmsa_core.imaging.images import load_image
from tmsa_core.imaging.metadata import save_image
from tmsa_core.ui.edit_actions import EditActions
from tmsa_core.ui.edit_stack import History
from tmsa_core.ui.edit_values import EditControls, PageUpdate
from tmsa_core.ui.html import faces_html
from tmsa_core.ui.portrait_actions import PortraitActions


def query_pairs(link: str) -> list[tuple[str, str]]:
    return urllib.parse.parse_qsl(link.removeprefix("?"))


def test_random_portrait_is_generated_again_by_its_seed(
    portraits: PortraitActions, edited: PageUpdate
) -> None:
    random = portraits.random("somebody")
    again = portraits.generate(random["seed"], "somebody")
    assert random["image"] == again["image"] == random["session"].source
    assert (random["session"].prepared.w_plus == again["session"].prepared.w_plus).all()
    assert portraits.generate(random["seed"] + 1)["image"] != random["image"]
    assert "whole image" in random["faces"]
    for name in ("crop", "inversion_image"):
        assert np.array_equal(pixels(random[name]), pixels(random["image"]))
        assert random[name] != edited[name]


@pytest.mark.parametrize("inversion", ["e4e", "hfgi"])
def test_random_portrait_keeps_its_own_w_plus(
    edits: EditActions,
    portraits: PortraitActions,
    start: History,
    controls: EditControls,
    inversion: str,
) -> None:
    random = portraits.generate(7)
    asked = replace(controls, image=random["image"], inversion=inversion, aligned=False)
    edited = last(edits.edit(random["session"], start, asked))
    assert edited["session"].prepared is random["session"].prepared


def test_sample_is_prepared_once_for_all_visitors(
    edits: EditActions, portraits: PortraitActions, start: History
) -> None:
    controls = EditControls(portraits.choose_sample(0), *TEXTS)
    one, other = (last(edits.edit(None, start, controls, owner)) for owner in ("one", "other"))
    assert one["session"].prepared is other["session"].prepared
    assert one["session"].sample == portraits.samples.names[0]


def test_link_and_recipe_restore_a_random_portrait_and_its_edit(
    edits: EditActions, portraits: PortraitActions, start: History, controls: EditControls
) -> None:
    random = portraits.generate(7)
    asked = replace(controls, image=random["image"], alpha=-0.5, levels="0,1", threshold=0.1)
    edited = last(edits.edit(random["session"], start, asked))
    session, history = edited["session"], edited["history"]
    linked = portraits.arrive(query_pairs(portraits.link(session, history)))
    saved = portraits.restore(edits.download(session, history, asked, "png"))
    for page in (linked, saved):
        assert page["image"] == random["image"] and page["seed"] == 7
        assert page["history"].now.active == history.now.active
        assert page["domain"] == "avatar" and "inversion" not in page  # it has no inversion
        again = last(edits.edit(page["session"], page["history"], asked, how="open"))
        assert again["before_after"] == edited["before_after"]


def test_link_restores_the_inversion_of_a_sample(
    edits: EditActions, portraits: PortraitActions, start: History, controls: EditControls
) -> None:
    sample = replace(controls, image=portraits.choose_sample(1), aligned=False)
    for inversion in ("e4e", "hfgi"):
        edited = last(edits.edit(None, start, replace(sample, inversion=inversion)))
        link = portraits.link(edited["session"], edited["history"])
        page = portraits.arrive(query_pairs(link))
        assert page["inversion"] == inversion and page["image"] == sample.image


def test_link_with_an_unknown_portrait_or_domain_shows_the_first_sample(
    portraits: PortraitActions,
) -> None:
    first = {"image": portraits.choose_sample(0)}
    assert portraits.arrive([]) == first
    page = portraits.arrive([("domain", "avatar"), ("inversion", "hfgi"), ("sample", "nobody")])
    assert page == first | {"domain": "avatar", "inversion": "hfgi"}
    for domain in ("church", "moon"):  # not downloaded, and unknown
        with pytest.warns(UserWarning, match=f"'{domain}' is not available here"):
            assert portraits.arrive([("domain", domain), ("target", "a tower")]) == first


def test_uploaded_result_restores_its_recipe(
    edits: EditActions, portraits: PortraitActions, start: History, controls: EditControls
) -> None:
    edited = last(edits.edit(None, start, replace(controls, alpha=1.5)))
    page = portraits.restore(edits.download(edited["session"], edited["history"], controls, "png"))
    assert (page["target"], page["alpha"]) == (TEXTS[1], 1.5)
    assert page["history"].now.active == ()  # the image shows the edit already
    assert "image" not in page
    assert portraits.restore(controls.image) == {}


def test_uploaded_result_of_an_unavailable_domain_restores_its_texts(
    portraits: PortraitActions, controls: EditControls, tmp_path: Path
) -> None:
    recipe = {"domain": "church", "inversion": "hfgi", "edits": [asdict(controls.request)]}
    path = tmp_path / "church.png"
    save_image(load_image(controls.image), path, recipe)
    page = portraits.restore(str(path))
    assert page["target"] == TEXTS[1] and "domain" not in page and "inversion" not in page


@pytest.mark.parametrize(
    "recipe",
    [
        {"edits": 5},
        {"edits": [{"target_text": "old human face"}]},
        {"seed": -4},
        {"seed": 1e30},
        {"edits": [{"neutral_text": "a", "target_text": "b", "alpha": float("nan")}]},
    ],
)
def test_an_invalid_recipe_is_reported_and_ignored(
    portraits: PortraitActions, controls: EditControls, tmp_path: Path, recipe: dict[str, object]
) -> None:
    save_image(load_image(controls.image), tmp_path / "odd.png", {"domain": "avatar"} | recipe)
    with pytest.warns(UserWarning, match="could not be used"):
        assert portraits.restore(str(tmp_path / "odd.png")) == {}


def test_numbers_outside_the_sliders_are_set_to_the_nearest_end(
    portraits: PortraitActions, controls: EditControls, tmp_path: Path
) -> None:
    edits = [asdict(replace(controls.request, alpha=5.0, threshold=0.99))]
    save_image(load_image(controls.image), tmp_path / "a.png", {"domain": "", "edits": edits})
    page = portraits.restore(str(tmp_path / "a.png"))
    assert (page["alpha"], page["threshold"]) == (3.0, 0.95)
    assert portraits.arrive([("target", "old human face"), ("alpha", "-9")])["alpha"] == -2.0


def test_an_image_too_large_to_read_has_no_recipe(
    portraits: PortraitActions, tmp_path: Path
) -> None:
    Image.new("1", (20_000, 20_000)).save(tmp_path / "huge.png")
    assert portraits.restore(str(tmp_path / "huge.png")) == {}


def test_face_buttons_have_names_and_states(portraits: PortraitActions) -> None:
    prepared = portraits.samples.prepared(portraits.samples.names[0], "e4e")
    html = faces_html(prepared, "/a b.png")
    assert 'aria-label="Edit face 1 of 1"' in html and 'aria-pressed="true"' in html
    assert "file=/a%20b.png" in html


def test_files_of_a_visitor_are_deleted_when_the_visitor_leaves(
    edits: EditActions,
    portraits: PortraitActions,
    start: History,
    controls: EditControls,
    tmp_path: Path,
) -> None:
    leases, foreign = portraits.leases, tmp_path / "kept.png"
    own, common = (Path(leases.keep("one", Image.new("RGB", (2, side)))) for side in (2, 3))
    leases.take("other", str(common))
    foreign.write_bytes(b"outside the page's cache")
    leases.take("one", str(foreign))
    leases.leave("one")
    assert not own.exists() and common.exists() and foreign.exists()
    leases.leave("other")
    leases.leave("nobody")
    assert not common.exists()
    page = last(edits.edit(None, start, replace(controls, alpha=0.77), "third"))
    result = Path(page["before_after"][1])
    assert result.exists()
    leases.leave("third")
    assert not result.exists()


def test_link_of_a_page_without_portrait_holds_the_edits(
    portraits: PortraitActions, start: History
) -> None:
    page = portraits.arrive(query_pairs(portraits.link(None, start)))
    assert page["history"].now.active == (EditRequest("human face", "human face with glasses"),)
