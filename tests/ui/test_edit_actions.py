"""Editing the portrait without a browser."""

from __future__ import annotations

import base64
import io
from dataclasses import replace
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from gradio.data_classes import ImageData
from PIL import Image

from tests.ui.conftest import TEXTS, last, pixels
from tmsa_core import Editor, EditRequest, PreparedFace
from tmsa_core.errors import ImageError, RequestError
from tmsa_core.imaging.metadata import read_recipe
from tmsa_core.server.files import MAX_BYTES, SHOWN_SIDE, shown, uploaded
from tmsa_core.server.messages import plain_markdown
from tmsa_core.ui.edit_actions import EditActions, download_name
from tmsa_core.ui.edit_layout import inversion_choice
from tmsa_core.ui.edit_stack import History
from tmsa_core.ui.edit_values import EditControls, EditSession, PageUpdate
from tmsa_core.ui.html import times
from tmsa_core.ui.portrait_actions import PortraitActions
from tmsa_core.ui.widgets import Slider


def test_first_edit_shows_the_portrait_then_the_result_then_scores(
    edits: EditActions, start: History, controls: EditControls
) -> None:
    portrait, result, scored = edits.edit(None, start, controls)
    assert portrait["before_after"][0] == portrait["before_after"][1]
    assert pixels(portrait["crop"]).shape == pixels(portrait["inversion_image"]).shape
    before, after = map(pixels, result["before_after"])
    assert before.shape == after.shape and np.abs(before - after).mean() > 1
    assert isinstance(result["session"], EditSession) and "edited in" in result["notes"]
    assert "Identity kept" in scored["scores"] and "Text match" in scored["scores"]


def test_same_image_is_prepared_once(
    edits: EditActions, edited: PageUpdate, controls: EditControls
) -> None:
    other = replace(controls, target="old human face")
    again = last(edits.edit(edited["session"], edited["history"], other))
    assert again["session"].prepared is edited["session"].prepared
    assert "crop" not in again


def test_preview_holds_its_image_and_recipe(
    edits: EditActions, edited: PageUpdate, controls: EditControls
) -> None:
    session, history = edited["session"], edited["history"]
    moved = replace(controls, alpha=2.0)
    preview = edits.preview(session, history, moved)
    assert set(preview) == {"before_after"}  # no undo step, no scores
    before, after = preview["before_after"].root
    assert before.path == edited["before_after"][0]
    image = Image.open(io.BytesIO(base64.b64decode(after.url.partition(",")[2])))
    assert [edit["alpha"] for edit in read_recipe(image)["edits"]] == [2.0]
    settled = last(edits.strength(session, history, moved))
    previewed = np.asarray(image.convert("RGB")).astype(int)
    assert np.abs(previewed - pixels(settled["before_after"][1])).mean() < 2
    assert edits.preview(session, settled["history"], moved) == {}
    assert edits.preview(None, history, moved) == {}
    assert edits.preview(session, history, replace(controls, alpha=99.0)) == {}


def test_strength_changes_the_last_edit_and_a_drag_is_one_undo_step(
    edits: EditActions, edited: PageUpdate, controls: EditControls
) -> None:
    session, page = edited["session"], edited
    assert not list(edits.strength(session, page["history"], controls))  # it has this strength
    assert not list(edits.strength(None, page["history"], replace(controls, alpha=2.0)))
    for alpha in (0.5, -1.0, 0.0):
        dragged = replace(controls, alpha=alpha, whole=False)
        page |= last(edits.strength(session, page["history"], dragged))
    assert page["history"].now.request == EditRequest(*TEXTS, 0.0)
    assert np.array_equal(pixels(page["before_after"][1]), pixels(session.inversion))
    undone = last(edits.act(session, page["history"], controls, "undo"))
    assert undone["alpha"] == 1.0 and undone["history"].now.request == EditRequest(*TEXTS)
    assert last(edits.act(session, undone["history"], controls, "redo"))["alpha"] == 0.0


def test_late_report_of_a_strength_changes_the_edit_it_belongs_to(
    edits: EditActions, edited: PageUpdate, controls: EditControls
) -> None:
    session, page = edited["session"], edited
    moved = replace(controls, alpha=0.5)
    # "Add edit" overtook the report of the strength: both edits have what the slider showed
    page |= last(edits.edit(session, page["history"], moved, how="add"))
    assert [request.alpha for request in page["history"].now.active] == [0.5, 0.5]
    assert not list(edits.strength(session, page["history"], moved, 0, 1))
    # another edit was chosen before the report came
    page |= last(edits.act(session, page["history"], moved, "choose", 0))
    late = replace(controls, alpha=-1.0)
    page |= last(edits.strength(session, page["history"], late, 1, 2))
    assert [request.alpha for request in page["history"].now.active] == [0.5, -1.0]
    assert page["history"].now.chosen == 0


def test_stacked_edits_add_up_and_switch_off(
    edits: EditActions, edited: PageUpdate, controls: EditControls, editor: Editor
) -> None:
    session = edited["session"]
    smile = replace(controls, target="smiling human face")
    both = last(edits.edit(session, edited["history"], smile, how="add"))
    both |= last(edits.strength(session, both["history"], replace(smile, alpha=0.5)))
    requests = [EditRequest(*TEXTS), EditRequest("human face", "smiling human face", 0.5)]
    assert list(both["history"].now.active) == requests
    wanted = editor.edit(session.prepared, requests).image
    assert np.array_equal(pixels(both["before_after"][1]), np.asarray(wanted).astype(int))

    one = last(edits.act(session, both["history"], controls, "toggle", 0))
    wanted = editor.edit(session.prepared, requests[1]).image
    assert np.array_equal(pixels(one["before_after"][1]), np.asarray(wanted).astype(int))
    none = last(edits.act(session, one["history"], controls, "toggle", 1))
    assert none["before_after"][0] == none["before_after"][1]
    with pytest.raises(RequestError, match="all edits are switched off"):
        edits.download(session, none["history"], controls, "png")


def test_page_starts_with_the_inversion_that_keeps_more_detail(editor: Editor) -> None:
    assert inversion_choice(editor.bundle)[1] == "hfgi"
    files = {role: file for role, file in editor.bundle.files.items() if role != "hfgi"}
    without = replace(editor.bundle, files=files)
    assert inversion_choice(without) == ([("e4e (fast)", "e4e")], "e4e")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"target": "  "}, "empty"),
        ({"neutral": ""}, "empty"),
        ({"target": "glasses " * 90}, "too long"),
        ({"alpha": float("nan")}, "alpha"),
        ({"levels": "upper"}, "levels"),
        ({"threshold": 2.0}, "threshold"),
    ],
)
def test_invalid_request_is_reported_and_the_portrait_stays(
    edits: EditActions, start: History, controls: EditControls, change: dict, message: str
) -> None:
    updates = edits.edit(None, start, replace(controls, **change))
    portrait, failed = next(updates), next(updates)
    assert message in failed["notes"] and portrait["session"] is not None
    assert set(failed) == {"notes"}
    with pytest.raises(gr.Error, match=message):
        next(updates)


def test_unusable_image_clears_the_last_portrait(
    edits: EditActions, edited: PageUpdate, start: History, controls: EditControls, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"this is not an image")
    updates = edits.edit(edited["session"], start, replace(controls, image=str(bad)))
    failed = next(updates)
    assert failed["session"] is failed["before_after"] is failed["crop"] is None
    assert "bad" in failed["notes"]
    with pytest.raises(gr.Error):
        next(updates)


def test_an_edit_before_the_first_image_uses_the_first_sample(
    edits: EditActions, portraits: PortraitActions, start: History
) -> None:
    page = last(edits.edit(None, start, EditControls(None, *TEXTS, arrived=False)))
    assert page["session"].source == portraits.choose_sample(0) and "edited in" in page["notes"]


def test_missing_image_and_unknown_domain_are_reported(
    edits: EditActions, start: History, controls: EditControls
) -> None:
    for change, message in (({"image": None}, "no image yet"), ({"domain": "x"}, "domain")):
        updates = edits.edit(None, start, replace(controls, **change))
        assert message in next(updates)["notes"]
        with pytest.raises(gr.Error, match=message):
            next(updates)


def test_notes_report_identical_texts_and_unknown_words(
    edits: EditActions, edited: PageUpdate, controls: EditControls
) -> None:
    session, history = edited["session"], edited["history"]
    same = last(edits.edit(session, history, replace(controls, target=TEXTS[0], whole=False)))
    assert "nothing moved" in same["notes"]
    assert np.array_equal(pixels(same["before_after"][1]), pixels(session.inversion))
    odd = replace(controls, target="zxqwv human face")
    assert "zxqwv" in last(edits.edit(session, history, odd))["notes"]


@pytest.mark.parametrize("kind", ["png", "jpg", "webp"])
def test_download_is_the_edit_with_its_recipe(
    edits: EditActions, start: History, controls: EditControls, kind: str
) -> None:
    wanted = replace(controls, alpha=1.5, levels="coarse", threshold=0.25)
    edited = last(edits.edit(None, start, wanted))
    path = edits.download(edited["session"], edited["history"], wanted, kind)
    assert Path(path).name == f"tmsa-human-face-with-sunglasses.{kind}"
    recipe = read_recipe(path)
    assert recipe["domain"] == "avatar" and recipe["weights"] and recipe["software"]
    assert recipe["edits"][0]["alpha"] == 1.5 and recipe["edits"][0]["levels"] == "coarse"
    difference = np.abs(pixels(path) - pixels(edited["before_after"][1]))
    assert difference.max() == 0 if kind == "png" else difference.mean() < 8
    with pytest.raises(RequestError, match="no edited image"):
        edits.download(None, start, wanted, "png")


def test_watermark_can_be_switched_on(
    edits: EditActions, edited: PageUpdate, controls: EditControls
) -> None:
    shown = replace(controls, watermark=True)
    marked = last(edits.view(edited["session"], edited["history"], shown))
    one, other = pixels(edited["before_after"][1]), pixels(marked["before_after"][1])
    changed = np.argwhere((one != other).any(axis=2))
    assert len(changed) and changed.min(axis=0)[0] > one.shape[0] // 2  # low in the image
    assert changed.min(axis=0)[1] > one.shape[1] // 4


def test_slider_accepts_what_is_being_typed() -> None:
    slider = Slider(-2, 3, value=1, step=0.05)
    typed = [slider.preprocess(value) for value in (None, 99, -99, 1.23)]
    assert typed == [None, 3, -2, 1.23]


def test_another_face_of_a_photo_can_be_chosen(
    edits: EditActions,
    portraits: PortraitActions,
    start: History,
    controls: EditControls,
    editor: Editor,
) -> None:
    sample = editor.prepare(portraits.choose_sample(0))
    photo = Image.new("RGB", (2 * sample.photo.width, sample.photo.height))
    photo.paste(sample.photo, (0, 0))
    photo.paste(sample.photo, (sample.photo.width, 0))
    both = replace(controls, image=portraits.leases.keep("", photo), aligned=False)
    page = last(edits.edit(None, start, both))
    assert "2 faces were found" in page["notes"] and page["faces"].count("data-action") == 2
    before, first = map(pixels, page["before_after"])
    other = last(edits.face(page["session"], page["history"], both, 1))
    second = pixels(other["before_after"][1])
    half = before.shape[1] // 2
    changed = [(np.abs(after[:, :half] - before[:, :half]).mean() > 1) for after in (first, second)]
    assert sorted(changed) == [False, True], "each choice edits its own face"
    with pytest.raises(RequestError, match="no longer there"):
        list(edits.face(page["session"], page["history"], both, 5))


def test_large_images_are_shown_reduced(avatar_face: PreparedFace) -> None:
    assert max(shown(Image.new("RGB", (3000, 1500))).size) == SHOWN_SIDE
    assert shown(avatar_face.crop) is avatar_face.crop


def test_too_large_a_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(ImageError, match="20 MB"):
        uploaded(ImageData(path=str(path)))
    path.unlink()
    assert uploaded(None) is None


def test_texts_of_visitors_do_not_format_the_page(
    edits: EditActions, start: History, controls: EditControls
) -> None:
    assert plain_markdown("<b> *x* [y](z)\n") == r"\<b\> \*x\* \[y\]\(z\)"
    assert "0.25 s" in times({"align": 0.25}, {"shift": 0.5})
    odd = replace(controls, target="<script>alert(1)</script> human face")
    page = last(edits.edit(None, start, odd))
    assert "<script>" not in page["stack"] + page["notes"] + page["scores"]


def test_download_names_hold_only_letters_and_digits() -> None:
    assert download_name([EditRequest("a", "../../etc/Pässwd!")]) == "tmsa-etc-p-sswd.png"
    assert download_name([EditRequest("a", "👓")], "jpg") == "tmsa-edit.jpg"
