"""Strips, grids, morphs, portraits from texts, maps: what the exploring screen computes."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from tests import test_bundle_completion as test_supply
from tmsa_core import Editor, EditRequest
from tmsa_core.bundles import open_bundle
from tmsa_core.errors import ImageError, RequestError, TextError
from tmsa_core.imaging.animation import (
    HOLD,
    MP4_HINT,
    animation_kinds,
    encode_animation,
    there_and_back,
)
from tmsa_core.imaging.contact_sheet import TILE, TITLE_HEIGHT
from tmsa_core.imaging.metadata import read_recipe
from tmsa_core.server.editors import Editors
from tmsa_core.server.file_leases import Leases
from tmsa_core.server.samples import Samples, sample_names
from tmsa_core.ui import explore_actions as ui_explore
from tmsa_core.ui.edit_values import EditSession
from tmsa_core.ui.explore_actions import MINE, Explore
from tmsa_core.ui.explore_layout import TAKES, grid_portraits, grid_prompts, moving_html
from tmsa_core.ui.latent_map import image_point, place, spaces_figure, text_point
from tmsa_core.ui.page import build_ui
from tmsa_core.ui.portrait_actions import PortraitActions

public_files = test_supply.public_files
world = test_supply.world
LANCZOS = Image.Resampling.LANCZOS
REQUEST = EditRequest("human face", "human face with sunglasses")


def explore_of(editor: Editor) -> Explore:
    """The exploring screen's actions, with files of its own."""
    leases = Leases()
    return Explore(Editors(editor), Samples(editor, leases), leases)


@pytest.fixture(scope="module")
def explore(editor: Editor) -> Explore:
    return explore_of(editor)


@pytest.fixture(scope="module")
def session(explore: Explore) -> EditSession:
    portraits = PortraitActions(explore.editors, explore.samples, explore.leases)
    return portraits.generate(3, "me")["session"]


def pixels(path: str) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def test_strip_holds_each_strength(explore: Explore, session: EditSession, editor: Editor) -> None:
    strip = explore.strip(session, REQUEST, -1, 1, 3)
    assert [caption for _, caption in strip] == ["-1", "+0", "+1"]
    assert np.abs(pixels(strip[1][0]) - np.asarray(session.prepared.crop)).max() <= 1
    assert read_recipe(strip[2][0])["edits"][0]["alpha"] == 1
    with pytest.raises(ImageError, match="no portrait"):
        explore.strip(None, REQUEST, -1, 1, 3)
    with pytest.raises(RequestError, match="steps"):
        explore.strip(session, REQUEST, -1, 1, 99)


def test_grid_is_prompts_by_portraits(explore: Explore, session: EditSession) -> None:
    path = explore.grid(session, "human face", "old human face\n\nbald human face\n", [MINE], 1.0)
    assert pixels(path).shape == (TITLE_HEIGHT + TILE, 3 * TILE, 3)
    assert [edit["target_text"] for edit in read_recipe(path)["edits"]] == [
        "old human face",
        "bald human face",
    ]
    for prompts, portraits, message in (
        ("", [MINE], "prompts"),
        ("a\n" * 20, [MINE], "prompts"),
        ("old human face", [], "No portrait"),
    ):
        with pytest.raises(RequestError, match=message):
            explore.grid(session, "human face", prompts, portraits, 1.0)


@pytest.mark.parametrize("kind", ["gif", "webp", "mp4"])
def test_morph_moves_there_and_back(kind: str) -> None:
    frames = [Image.new("RGB", (33, 32), (shade, 0, 0)) for shade in (0, 100, 200)]
    sequence = there_and_back(frames)
    assert sequence[0] == sequence[-1] and len(sequence) == 6 + 2 * HOLD
    data = encode_animation(sequence, kind)
    if kind == "mp4":
        with av.open(io.BytesIO(data)) as file:
            decoded = [frame.to_image() for frame in file.decode(video=0)]
        assert len(decoded) == len(sequence) and decoded[0].size == (32, 32)
        middle = decoded[2 + HOLD // 2].getpixel((16, 16))
        assert abs(middle[0] - 200) < 20
    else:
        with Image.open(io.BytesIO(data)) as image:
            assert image.is_animated and image.size == (33, 32)


def test_morph_is_a_file_that_the_page_plays(explore: Explore, session: EditSession) -> None:
    path = explore.morph(session, REQUEST, 0, 1, 3, "gif")
    assert Path(path).suffix == ".gif" and "<img" in moving_html(path, "a <b>")
    assert "<video" in moving_html("a.mp4", "x") and "<b>" not in moving_html(path, "a <b>")
    with pytest.raises(RequestError, match="frames"):
        explore.morph(session, REQUEST, 0, 1, 1, "gif")
    with pytest.raises(RequestError, match="kind"):
        explore.morph(session, REQUEST, 0, 1, 2, "avi")


def test_mp4_is_refused_in_one_sentence_where_av_is_missing(
    explore: Explore, session: EditSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    assert animation_kinds() == ("gif", "webp")
    with pytest.raises(RequestError, match="pip install av"):
        explore.morph(session, REQUEST, 0, 1, 2, "mp4")
    assert Path(explore.morph(session, REQUEST, 0, 1, 2, "webp")).suffix == ".webp"


@pytest.mark.parametrize("installed", [True, False])
def test_page_offers_mp4_only_where_it_can_be_written(
    editor: Editor, monkeypatch: pytest.MonkeyPatch, installed: bool
) -> None:
    if not installed:
        monkeypatch.setitem(sys.modules, "av", None)
    blocks = build_ui(editor).blocks.values()
    (kinds,) = [block for block in blocks if block.elem_id == "morph-kind"]
    assert (("MP4", "mp4") in kinds.choices) is installed
    assert kinds.info == (None if installed else MP4_HINT)


def test_portrait_is_drawn_from_a_text(explore: Explore, editor: Editor) -> None:
    one, other = (explore.draw(text, 1.0) for text in ("old human face", "face of a kid"))
    average = pixels(explore.draw("old human face", 0.0))
    assert np.abs(pixels(one) - pixels(other)).mean() > 1
    assert np.abs(pixels(one) - average).mean() > 1
    assert np.array_equal(average, pixels(explore.draw("face of a kid", 0.0)))
    assert read_recipe(one)["drawn_from"] == "old human face"
    with pytest.raises(TextError):
        explore.draw(" ", 1.0)


def test_map_places_images_and_texts_in_both_spaces(editor: Editor, session: EditSession) -> None:
    points = [image_point(editor, str(i), "portrait", editor.sample(i)) for i in range(5)]
    points += [text_point(editor, "a pirate", "your text")]
    points += [image_point(editor, "me", "yours", session.prepared)]
    for method in ("PCA", "t-SNE"):
        clip, w = place(points, method)
        assert clip.shape == w.shape == (7, 2) and np.isfinite(clip).all() and np.isfinite(w).all()
    figure = spaces_figure(points, "PCA")
    names = [name for trace in figure.data for name in trace.text]
    assert names.count("a pirate") == names.count("me") == 2
    with pytest.raises(RequestError, match="method"):
        place(points, "magic")
    with pytest.raises(RequestError, match="four"):
        place(points[:3], "PCA")


def test_methods_are_put_side_by_side(
    explore: Explore, session: EditSession, editor: Editor
) -> None:
    *_, shown = explore.compare(session, REQUEST, ["tmsa"])
    assert [caption.split(",")[0] for _, caption in shown][:2] == ["portrait", "inversion"]
    ours = editor.edit(session.prepared, REQUEST).crop
    assert np.abs(pixels(shown[2][0]) - np.asarray(ours)).max() <= 1


def test_a_training_of_minutes_shows_its_steps_and_can_be_cancelled(
    explore: Explore, session: EditSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ui_explore, "parts_folder", lambda editor: tmp_path)
    show_errors: list[tuple[tuple[int, int], str]] = []

    def progress(share: tuple[int, int], desc: str, unit: str) -> None:
        show_errors.append((share, desc))
        if share == (3, 1000):
            assert explore.cancel("me")

    explore.begin("me")
    methods = ["tmsa", "styleclip_mapper", "clip2stylegan"]
    *_, shown = explore.compare(session, REQUEST, methods, owner="me", progress=progress)
    assert len(shown) == 3, "what was ready stays, and nothing after it is made"
    assert show_errors[-1][0] == (3, 1000) and "latent mapper" in show_errors[-1][1]
    assert not list(tmp_path.rglob("*.safetensors")), "half a mapper was kept"
    assert not explore.cancel("me")


def test_a_comparison_can_be_cancelled_while_it_waits(
    explore: Explore, session: EditSession
) -> None:
    explore.begin("me")
    assert explore.cancel("me")
    *_, shown = explore.compare(session, REQUEST, ["tmsa"], owner="me")
    assert len(shown) == 2
    with pytest.raises(ImageError):
        list(explore.compare(None, REQUEST, ["tmsa"], owner="me"))
    assert not explore.cancel("me")


def test_every_method_that_takes_long_says_so_beforehand() -> None:
    from tmsa_core.baselines import METHODS

    slow = {key for key, method in METHODS.items() if method.searches or method.prepare_text}
    assert slow <= TAKES.keys() <= METHODS.keys()


def test_another_world_is_explored_with_its_own_editor(
    world, editor: Editor, session: EditSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Photos in miniature, beside the drawn world that the page started with."""
    hub, _ = world
    bundle = open_bundle("ffhq")
    test_supply.show_errors(bundle, hub)
    test_supply.keep_mapper(bundle)
    explore = explore_of(editor)
    names = grid_portraits("ffhq")
    assert names[1:3] == ["portrait-1", "portrait-2"] and MINE in names
    path = explore.grid(session, "human face", "old human face", names[1:3], 1.0, "ffhq")
    assert pixels(path).shape == (TITLE_HEIGHT + 2 * TILE, 2 * TILE, 3)
    assert read_recipe(path)["domain"] == "ffhq"
    photo = explore.editors.get("ffhq").sample(1).crop.resize((TILE, TILE), LANCZOS)
    assert np.array_equal(pixels(path)[TITLE_HEIGHT:][:TILE, :TILE], np.asarray(photo))
    monkeypatch.setattr(ui_explore, "CROWD", 5)
    for domain, mine in (("ffhq", 0), ("avatar", 2)):
        figure = explore.map(session, "a pirate", "PCA", domain)
        points = [name for trace in figure.data for name in trace.text]
        assert points.count(MINE) == mine and points.count("portrait 4") == 2
    with pytest.raises(RequestError, match="press Edit"):
        explore.grid(session, "human face", "old human face", [MINE], 1.0, "ffhq")
    with pytest.raises(RequestError, match="Drawn portraits.*Photos of faces"):
        explore.strip(session, REQUEST, -1, 1, 3, "ffhq")


def test_a_grid_begins_with_what_its_world_can_show() -> None:
    assert "with glasses" in grid_prompts("ffhq") and "car" in grid_prompts("car")
    assert grid_portraits("avatar")[1:] == list(sample_names("avatar"))
