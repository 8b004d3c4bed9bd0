"""The page's actions without a browser, and the start of the app."""

from __future__ import annotations

import base64
import io
import os
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from gradio.data_classes import ImageData
from PIL import Image

from tmsa_core import Editor, EditRequest, PreparedFace
from tmsa_core.errors import ImageError, RequestError
from tmsa_core.imaging.images import load_image
from tmsa_core.imaging.metadata import read_recipe, save_image
from tmsa_core.server.editors import Editors
from tmsa_core.server.file_leases import Leases
from tmsa_core.server.files import MAX_BYTES, SHOWN_SIDE, shown, uploaded
from tmsa_core.server.messages import plain_markdown
from tmsa_core.server.samples import Samples
from tmsa_core.ui.edit_actions import EditControls, EditSession, EditActions, PageUpdate, download_name
from tmsa_core.ui.edit_layout import inversion_choice
from tmsa_core.ui.edit_stack import History, new_history
from tmsa_core.ui.html import faces_html, times
from tmsa_core.ui.page import build_ui, launch_options
from tmsa_core.ui.widgets import Slider

ROOT = Path(__file__).parent.parent.parent
TEXTS = ("human face", "human face with sunglasses")


@pytest.fixture(scope="module")
def handlers(editor: Editor) -> EditActions:
    leases = Leases()
    return EditActions(Editors(editor), Samples(editor, leases), leases)


@pytest.fixture
def start() -> History:
    return new_history([EditRequest("human face", "human face with glasses")])


@pytest.fixture
def wishes(handlers: EditActions, portrait: Image.Image) -> EditControls:
    return EditControls(handlers.leases.keep("", portrait), *TEXTS, aligned=True, notice=False)


def last(steps: Iterable[PageUpdate]) -> PageUpdate:
    """The page after all steps of an action."""
    page = PageUpdate()
    for screen in steps:
        page |= screen
    return page


def pixels(path: str) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def test_first_edit_shows_the_portrait_then_the_result_then_scores(
    handlers: EditActions, start: History, wishes: EditControls
) -> None:
    portrait, result, scored = handlers.edit(None, start, wishes)
    assert portrait["before_after"][0] == portrait["before_after"][1]
    assert pixels(portrait["crop"]).shape == pixels(portrait["inversion_image"]).shape
    before, after = map(pixels, result["before_after"])
    assert before.shape == after.shape and np.abs(before - after).mean() > 1
    assert isinstance(result["visit"], EditSession) and "edited in" in result["notes"]
    assert "Identity kept" in scored["scores"] and "Text met" in scored["scores"]


def test_same_image_is_prepared_once(
    handlers: EditActions, start: History, wishes: EditControls
) -> None:
    first = last(handlers.edit(None, start, wishes))
    other = replace(wishes, target_text="old human face")
    again = last(handlers.edit(first["visit"], first["history"], other))
    assert again["visit"].prepared is first["visit"].prepared
    assert "crop" not in again


def test_a_glance_holds_its_image_and_recipe(
    handlers: EditActions, start: History, wishes: EditControls
) -> None:
    page = last(handlers.edit(None, start, wishes))
    session, history = page["visit"], page["history"]
    moved = replace(wishes, alpha=2.0)
    preview = handlers.preview(session, history, moved)
    assert set(preview) == {"before_after"}  # no step of the history, no scores
    before, after = preview["before_after"].root
    assert before.path == page["before_after"][0]
    seen = Image.open(io.BytesIO(base64.b64decode(after.url.partition(",")[2])))
    assert [edit["alpha"] for edit in read_recipe(seen)["edits"]] == [2.0]
    settled = last(handlers.strength(session, history, moved))
    there = np.asarray(seen.convert("RGB")).astype(int)
    assert np.abs(there - pixels(settled["before_after"][1])).mean() < 2
    assert handlers.preview(session, settled["history"], moved) == {}
    assert handlers.preview(None, history, moved) == {}
    assert handlers.preview(session, history, replace(wishes, alpha=99.0)) == {}


def test_strength_changes_the_last_edit_only(
    handlers: EditActions, start: History, wishes: EditControls
) -> None:
    edited = last(handlers.edit(None, start, wishes))
    session, history = edited["visit"], edited["history"]
    none = last(handlers.strength(session, history, replace(wishes, alpha=0.0, whole=False)))
    assert none["history"].now.request == EditRequest(*TEXTS, 0.0)
    assert np.array_equal(pixels(none["before_after"][1]), pixels(session.inversion))
    assert not list(handlers.strength(session, history, wishes))  # where it is already
    assert not list(handlers.strength(None, history, replace(wishes, alpha=2.0)))


def test_strength_that_is_late_goes_where_it_was_meant(
    handlers: EditActions, start: History, wishes: EditControls
) -> None:
    page = last(handlers.edit(None, start, wishes))
    moved = replace(wishes, alpha=0.5)
    # *Add* overtook the report of the strength: both edits have what the slider showed
    page |= last(handlers.edit(page["visit"], page["history"], moved, how="add"))
    assert [request.alpha for request in page["history"].now.active] == [0.5, 0.5]
    assert not list(handlers.strength(page["visit"], page["history"], moved, 0, 1))
    # another edit was chosen before the report came
    page |= last(handlers.act(page["visit"], page["history"], moved, "choose", 0))
    late = replace(wishes, alpha=-1.0)
    page |= last(handlers.strength(page["visit"], page["history"], late, 1, 2))
    assert [request.alpha for request in page["history"].now.active] == [0.5, -1.0]
    assert page["history"].now.chosen == 0


def test_drag_is_undone_as_one_step(
    handlers: EditActions, start: History, wishes: EditControls
) -> None:
    page = last(handlers.edit(None, start, wishes))
    for alpha in (0.5, 0.25, -1.0):
        dragged = replace(wishes, alpha=alpha)
        page |= last(handlers.strength(page["visit"], page["history"], dragged))
    undone = last(handlers.act(page["visit"], page["history"], wishes, "undo"))
    assert undone["alpha"] == 1.0 and undone["history"].now.request == EditRequest(*TEXTS)
    redone = last(handlers.act(undone["visit"], undone["history"], wishes, "redo"))
    assert redone["alpha"] == -1.0


def test_stacked_edits_add_up_and_switch_off(
    handlers: EditActions, start: History, wishes: EditControls, editor: Editor
) -> None:
    page = last(handlers.edit(None, start, wishes))
    smile = replace(wishes, target_text="smiling human face")
    both = last(handlers.edit(page["visit"], page["history"], smile, how="add"))
    half = replace(smile, alpha=0.5)
    both |= last(handlers.strength(both["visit"], both["history"], half))
    requests = [EditRequest(*TEXTS), EditRequest("human face", "smiling human face", 0.5)]
    assert list(both["history"].now.active) == requests
    prepared = both["visit"].prepared
    wanted = editor.edit(prepared, requests).image
    assert np.array_equal(pixels(both["before_after"][1]), np.asarray(wanted).astype(int))

    one = last(handlers.act(both["visit"], both["history"], wishes, "toggle", 0))
    wanted = editor.edit(prepared, requests[1]).image
    assert np.array_equal(pixels(one["before_after"][1]), np.asarray(wanted).astype(int))
    none = last(handlers.act(one["visit"], one["history"], wishes, "toggle", 1))
    assert none["before_after"][0] == none["before_after"][1]
    with pytest.raises(RequestError, match="no edited image"):
        handlers.download(none["visit"], none["history"], wishes)


def test_random_portrait_can_be_drawn_again(handlers: EditActions) -> None:
    drawn = handlers.random("somebody")
    again = handlers.portrait(drawn["seed"], "somebody")
    assert drawn["image"] == again["image"] == drawn["visit"].source
    assert (drawn["visit"].prepared.w_plus == again["visit"].prepared.w_plus).all()
    assert handlers.portrait(drawn["seed"] + 1)["image"] != drawn["image"]


@pytest.mark.parametrize("inversion", ["e4e", "hfgi"])
def test_drawn_portrait_keeps_its_own_code(
    handlers: EditActions, start: History, wishes: EditControls, inversion: str
) -> None:
    drawn = handlers.portrait(7)
    asked = replace(wishes, image=drawn["image"], inversion=inversion, aligned=False)
    edited = last(handlers.edit(drawn["visit"], start, asked))
    assert edited["visit"].prepared is drawn["visit"].prepared


def test_link_says_how_a_image_was_inverted(
    handlers: EditActions, start: History, wishes: EditControls
) -> None:
    sample = replace(wishes, image=handlers.choose_sample(1), aligned=False)
    for inversion in ("e4e", "hfgi"):
        edited = last(handlers.edit(None, start, replace(sample, inversion=inversion)))
        query = handlers.link(edited["visit"], edited["history"])
        assert handlers.arrive(urllib.parse.parse_qsl(query[1:]))["inversion"] == inversion


def test_page_starts_with_the_inversion_that_keeps_more(editor: Editor) -> None:
    assert inversion_choice(editor.bundle)["value"] == "hfgi"
    lacking = replace(
        editor.bundle, files={k: v for k, v in editor.bundle.files.items() if k != "hfgi"}
    )
    assert inversion_choice(lacking) == {"choices": [("e4e (quick)", "e4e")], "value": "e4e"}


def test_sample_is_prepared_once_for_everybody(handlers: EditActions, start: History) -> None:
    wishes = EditControls(handlers.choose_sample(0), *TEXTS)
    one, other = (last(handlers.edit(None, start, wishes, owner)) for owner in ("one", "other"))
    assert one["visit"].prepared is other["visit"].prepared
    assert one["visit"].sample == handlers.samples.names[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"target_text": "  "}, "empty"),
        ({"neutral_text": ""}, "empty"),
        ({"target_text": "glasses " * 90}, "too long"),
        ({"alpha": float("nan")}, "alpha"),
        ({"levels": "upper"}, "levels"),
        ({"threshold": 2.0}, "threshold"),
    ],
)
def test_bad_request_is_said_and_the_portrait_stays(
    handlers: EditActions, start: History, wishes: EditControls, change: dict, message: str
) -> None:
    steps = handlers.edit(None, start, replace(wishes, **change))
    shown_portrait, failed = next(steps), next(steps)
    assert message in failed["notes"] and shown_portrait["visit"] is not None
    assert set(failed) == {"notes"}
    with pytest.raises(gr.Error, match=message):
        next(steps)


def test_unusable_image_clears_the_one_before(
    handlers: EditActions, start: History, wishes: EditControls, tmp_path: Path
) -> None:
    edited = last(handlers.edit(None, start, wishes))
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"this is no image")
    steps = handlers.edit(edited["visit"], start, replace(wishes, image=str(bad)))
    failed = next(steps)
    assert failed["visit"] is failed["before_after"] is failed["crop"] is None
    assert "bad" in failed["notes"]
    with pytest.raises(gr.Error):
        next(steps)


def test_an_edit_before_the_first_image_takes_that_image(
    handlers: EditActions, start: History
) -> None:
    page = last(handlers.edit(None, start, EditControls(None, *TEXTS, arrived=False)))
    assert page["visit"].source == handlers.choose_sample(0) and "edited in" in page["notes"]


def test_no_image_and_no_such_world_are_said(
    handlers: EditActions, start: History, wishes: EditControls
) -> None:
    for change, message in (({"image": None}, "no image yet"), ({"domain": "x"}, "domain")):
        steps = handlers.edit(None, start, replace(wishes, **change))
        assert message in next(steps)["notes"]
        with pytest.raises(gr.Error, match=message):
            next(steps)


def test_identical_texts_leave_the_image_and_say_so(
    handlers: EditActions, start: History, wishes: EditControls
) -> None:
    same = replace(wishes, target_text="human face", whole=False)
    result = last(handlers.edit(None, start, same))
    assert "nothing moved" in result["notes"]
    assert np.array_equal(pixels(result["before_after"][1]), pixels(result["visit"].inversion))


def test_unknown_words_are_named(handlers: EditActions, start: History, wishes: EditControls) -> None:
    odd = replace(wishes, target_text="zxqwv human face")
    assert "zxqwv" in last(handlers.edit(None, start, odd))["notes"]


@pytest.mark.parametrize("kind", ["png", "jpg", "webp"])
def test_download_is_the_edit_with_its_recipe(
    handlers: EditActions, start: History, wishes: EditControls, kind: str
) -> None:
    wanted = replace(wishes, alpha=1.5, levels="coarse", threshold=0.25)
    edited = last(handlers.edit(None, start, wanted))
    path = handlers.download(edited["visit"], edited["history"], wanted, kind)
    assert Path(path).name == f"tmsa-human-face-with-sunglasses.{kind}"
    recipe = read_recipe(path)
    assert recipe["domain"] == "avatar" and recipe["weights"] and recipe["software"]
    assert recipe["edits"][0]["alpha"] == 1.5 and recipe["edits"][0]["levels"] == "coarse"
    difference = np.abs(pixels(path) - pixels(edited["before_after"][1]))
    assert difference.max() == 0 if kind == "png" else difference.mean() < 8
    with pytest.raises(RequestError, match="no edited image"):
        handlers.download(None, start, wanted)


def test_notice_can_be_switched(handlers: EditActions, start: History, wishes: EditControls) -> None:
    plain_page = last(handlers.edit(None, start, wishes))
    marked = last(
        handlers.view(plain_page["visit"], plain_page["history"], replace(wishes, notice=True))
    )
    one, other = pixels(plain_page["before_after"][1]), pixels(marked["before_after"][1])
    changed = np.argwhere((one != other).any(axis=2))
    assert len(changed) and changed.min(axis=0)[0] > one.shape[0] // 2  # low in the image
    assert changed.min(axis=0)[1] > one.shape[1] // 4


def test_dropped_result_restores_its_recipe(
    handlers: EditActions, start: History, wishes: EditControls
) -> None:
    edited = last(handlers.edit(None, start, replace(wishes, alpha=1.5)))
    path = handlers.download(edited["visit"], edited["history"], wishes)
    page = handlers.restore(path)
    assert (page["target"], page["alpha"]) == (TEXTS[1], 1.5)
    assert page["history"].now.active == ()  # the image shows the edit already
    assert "image" not in page
    assert handlers.restore(wishes.image) == {}


def test_dropped_result_of_a_drawn_portrait_draws_it_anew(
    handlers: EditActions, start: History, wishes: EditControls
) -> None:
    drawn = handlers.portrait(7)
    asked = replace(wishes, image=drawn["image"])
    edited = last(handlers.edit(drawn["visit"], start, asked))
    path = handlers.download(edited["visit"], edited["history"], asked)
    page = handlers.restore(path)
    assert page["image"] == drawn["image"] and page["seed"] == 7
    again = last(handlers.edit(page["visit"], page["history"], asked, how="open"))
    assert again["before_after"] == edited["before_after"]


def test_drawn_portrait_is_shown_with_its_crop_and_inversion(
    handlers: EditActions, start: History, wishes: EditControls
) -> None:
    first = last(handlers.edit(None, start, wishes))
    drawn = handlers.portrait(7)
    for part in ("crop", "inversion_image"):
        assert np.array_equal(pixels(drawn[part]), pixels(drawn["image"]))
        assert drawn[part] != first[part]
    assert "whole image" in drawn["faces"]


def test_link_and_recipe_of_a_drawn_portrait_leave_the_inversion(
    handlers: EditActions, start: History, wishes: EditControls
) -> None:
    drawn = handlers.portrait(7)
    asked = replace(wishes, image=drawn["image"])
    edited = last(handlers.edit(drawn["visit"], start, asked))
    saved = handlers.restore(handlers.download(edited["visit"], edited["history"], asked))
    query = handlers.link(edited["visit"], edited["history"])
    linked = handlers.arrive(urllib.parse.parse_qsl(query.removeprefix("?")))
    assert "inversion" not in saved and "inversion" not in linked


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
def test_a_recipe_that_cannot_be_followed_leaves_a_image_like_any_other(
    handlers: EditActions, wishes: EditControls, tmp_path: Path, recipe: dict[str, object]
) -> None:
    save_image(load_image(wishes.image), tmp_path / "odd.png", {"domain": "avatar"} | recipe)
    with pytest.warns(UserWarning, match="could not be followed"):
        assert handlers.restore(str(tmp_path / "odd.png")) == {}


def test_strengths_beyond_the_slider_are_brought_to_its_ends(
    handlers: EditActions, wishes: EditControls, tmp_path: Path
) -> None:
    edits = [asdict(replace(wishes.request, alpha=5.0, threshold=0.99))]
    save_image(load_image(wishes.image), tmp_path / "a.png", {"domain": "", "edits": edits})
    page = handlers.restore(str(tmp_path / "a.png"))
    assert (page["alpha"], page["threshold"]) == (3.0, 0.95)
    assert handlers.arrive([("target", "old human face"), ("alpha", "-9")])["alpha"] == -2.0


def test_a_image_too_large_to_read_has_no_recipe(handlers: EditActions, tmp_path: Path) -> None:
    Image.new("1", (20_000, 20_000)).save(tmp_path / "huge.png")
    assert handlers.restore(str(tmp_path / "huge.png")) == {}


def test_slider_takes_what_is_being_typed() -> None:
    slider = Slider(-2, 3, value=1, step=0.05)
    typed = [slider.preprocess(value) for value in (None, 99, -99, 1.23)]
    assert typed == [None, 3, -2, 1.23]


def test_link_brings_the_settings_back(
    handlers: EditActions, start: History, wishes: EditControls
) -> None:
    drawn = handlers.portrait(7)
    asked = replace(wishes, image=drawn["image"], alpha=-0.5, levels="0,1", threshold=0.1)
    edited = last(handlers.edit(drawn["visit"], start, asked))
    query = handlers.link(edited["visit"], edited["history"])
    page = handlers.arrive(urllib.parse.parse_qsl(query.removeprefix("?")))
    assert page["image"] == drawn["image"]
    assert page["history"].now.active == edited["history"].now.active
    assert page["domain"] == "avatar" and "inversion" not in page  # its code is known
    assert handlers.arrive([])["image"] == handlers.choose_sample(0)


def test_link_brings_world_and_inversion_back(handlers: EditActions) -> None:
    page = handlers.arrive([("domain", "avatar"), ("inversion", "hfgi"), ("sample", "nobody")])
    assert page["domain"] == "avatar" and page["inversion"] == "hfgi"
    assert page["image"] == handlers.choose_sample(0)
    for domain in ("church", "moon"):  # not here, and unknown
        with pytest.warns(UserWarning, match=f"'{domain}' is not here"):
            page = handlers.arrive([("domain", domain), ("target", "a tower")])
        assert page == {"image": handlers.choose_sample(0)}


def test_dropped_result_of_a_world_that_is_not_here_brings_its_texts(
    handlers: EditActions, wishes: EditControls, tmp_path: Path
) -> None:
    recipe = {"domain": "church", "inversion": "hfgi", "edits": [asdict(wishes.request)]}
    path = tmp_path / "church.png"
    save_image(load_image(wishes.image), path, recipe)
    page = handlers.restore(str(path))
    assert page["target"] == TEXTS[1] and "domain" not in page and "inversion" not in page


def test_another_face_of_a_photo_can_be_chosen(
    handlers: EditActions, start: History, wishes: EditControls, editor: Editor
) -> None:
    sample = editor.prepare(handlers.choose_sample(0))
    photo = Image.new("RGB", (2 * sample.photo.width, sample.photo.height))
    photo.paste(sample.photo, (0, 0))
    photo.paste(sample.photo, (sample.photo.width, 0))
    both = replace(wishes, image=handlers.leases.keep("", photo), aligned=False)
    page = last(handlers.edit(None, start, both))
    assert "2 faces were found" in page["notes"] and page["faces"].count("data-action") == 2
    before, first = map(pixels, page["before_after"])
    other = last(handlers.face(page["visit"], page["history"], both, 1))
    second = pixels(other["before_after"][1])
    half = before.shape[1] // 2
    changed = [(np.abs(after[:, :half] - before[:, :half]).mean() > 1) for after in (first, second)]
    assert sorted(changed) == [False, True], "each choice edits its own face"
    with pytest.raises(RequestError, match="no longer there"):
        list(handlers.face(page["visit"], page["history"], both, 5))


def test_face_boxes_can_be_pressed_and_read_aloud(handlers: EditActions) -> None:
    prepared = handlers.samples.prepared(handlers.samples.names[0], "e4e")
    html = faces_html(prepared, "/a b.png")
    assert 'aria-label="Edit face 1 of 1"' in html and 'aria-pressed="true"' in html
    assert "file=/a%20b.png" in html


def test_files_of_a_visitor_go_when_the_visitor_leaves(
    handlers: EditActions, start: History, wishes: EditControls
) -> None:
    own, common = (
        Path(handlers.leases.keep("one", Image.new("RGB", (2, side)))) for side in (2, 3)
    )
    handlers.leases.take("other", str(common))
    handlers.leases.leave("one")
    assert not own.exists() and common.exists()
    handlers.leases.leave("other")
    handlers.leases.leave("nobody")
    assert not common.exists()
    page = last(handlers.edit(None, start, replace(wishes, alpha=0.77), "third"))
    result = Path(page["before_after"][1])
    assert result.exists()
    handlers.leases.leave("third")
    assert not result.exists()


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


def test_words_from_outside_do_not_format_the_page(
    handlers: EditActions, start: History, wishes: EditControls
) -> None:
    assert plain_markdown("<b> *x* [y](z)\n") == r"\<b\> \*x\* \[y\]\(z\)"
    assert "0.25 s" in times({"align": 0.25}, {"shift": 0.5})
    odd = replace(wishes, target_text="<script>alert(1)</script> human face")
    page = last(handlers.edit(None, start, odd))
    assert "<script>" not in page["stack"] + page["notes"] + page["scores"]


def test_download_names_are_harmless() -> None:
    assert download_name([EditRequest("a", "../../etc/Pässwd!")]) == "tmsa-etc-p-sswd.png"
    assert download_name([EditRequest("a", "👓")], "jpg") == "tmsa-edit.jpg"


def test_building_the_page_starts_nothing(editor: Editor) -> None:
    blocks = build_ui(editor)
    assert isinstance(blocks, gr.Blocks) and not blocks.is_running
    options = launch_options()
    assert options["run_history"] is False and options["enable_monitoring"] is False


def test_app_edit_is_a_plain_function(
    editor: Editor, portrait: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    import app

    monkeypatch.setattr(app, "editors", lambda: Editors(editor))
    edited = app.edit(portrait, *TEXTS, 1.0)
    assert isinstance(edited, Image.Image) and edited.mode == "RGB"
    assert edited.size == portrait.size and edited.tobytes() != portrait.tobytes()
    assert read_recipe(edited)["edits"][0]["target_text"] == TEXTS[1]


WATCHED_START = """
import runpy, socket, sys
lookup, connect = socket.getaddrinfo, socket.socket.connect
def note(host):
    print("HOST", host.decode() if isinstance(host, bytes) else host, flush=True)
def watched_lookup(host, *a, **k):
    note(host)
    return lookup(host, *a, **k)
def watched_connect(self, address):
    if self.family in (socket.AF_INET, socket.AF_INET6):
        note(address[0])
    return connect(self, address)
socket.getaddrinfo, socket.socket.connect = watched_lookup, watched_connect
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[1], run_name="__main__")
"""


def test_app_starts_from_anywhere_and_asks_no_other_host(tmp_path: Path, port: int) -> None:
    dead_proxy = "http://127.0.0.1:9"
    quiet = ("GRADIO_ANALYTICS_ENABLED", "HF_HUB_OFFLINE")
    environment = {k: v for k, v in os.environ.items() if k not in quiet}
    environment |= {
        "GRADIO_SERVER_PORT": str(port),
        "HTTP_PROXY": dead_proxy,
        "http_proxy": dead_proxy,
        "PYTHONPATH": str(ROOT),
    }
    log = tmp_path / "log"
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-c", WATCHED_START, str(ROOT / "app.py")],
            cwd=tmp_path,
            env=environment,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        page = _wait_for(f"http://127.0.0.1:{port}/", process, log)
        time.sleep(1.0)  # what phones home does so in the background, just after the start
    finally:
        process.terminate()
        process.wait(timeout=20)
    assert "Edit a face with words" in page
    hosts = {line.split()[1] for line in log.read_text().splitlines() if line.startswith("HOST ")}
    assert hosts <= {"127.0.0.1", "localhost", "0.0.0.0", "::1", "None"}, hosts


def test_a_start_that_is_not_possible_is_told_in_one_sentence(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, str(ROOT / "app.py")],
        cwd=tmp_path,
        env=os.environ | {"TMSA_DOMAIN": "cats"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert "There is no domain 'cats'" in ended.stderr.strip().splitlines()[-1]
    assert "Traceback" not in ended.stderr


def _wait_for(address: str, process: subprocess.Popen, log: Path) -> str:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for _ in range(240):
        assert process.poll() is None, log.read_text()
        try:
            with opener.open(address, timeout=5) as answer:
                return answer.read().decode()
        except OSError:
            time.sleep(0.25)
    raise AssertionError(f"no answer from {address}: {log.read_text()}")


def test_leaving_deletes_the_visitor_s_files_and_nothing_of_the_bundle(tmp_path: Path) -> None:
    leases, foreign = Leases(), tmp_path / "kept.png"
    own = Path(leases.keep("visitor", Image.new("RGB", (3, 3))))
    foreign.write_bytes(b"not the visitor's")
    leases.take("visitor", str(foreign))
    leases.leave("visitor")
    assert foreign.exists() and not own.exists()
