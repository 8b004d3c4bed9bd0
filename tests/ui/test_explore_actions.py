"""The tools of the Explore tab, without a browser."""

from __future__ import annotations

import io
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from tests import test_bundle_completion
from tmsa_core import Editor, EditRequest
from tmsa_core.availability import needed_roles
from tmsa_core.bundles import complete, open_bundle
from tmsa_core.domains import find_domain
from tmsa_core.errors import ImageError, RequestError, TextError
from tmsa_core.imaging.animation import (
    HOLD,
    MP4_HINT,
    animation_kinds,
    encode_animation,
    there_and_back,
)
from tmsa_core.imaging.contact_sheet import GAP, TILE, TITLE_HEIGHT
from tmsa_core.imaging.metadata import read_recipe
from tmsa_core.server.editors import Editors
from tmsa_core.server.file_leases import Leases
from tmsa_core.server.samples import sample_names
from tmsa_core.ui import latent_map
from tmsa_core.ui.edit_values import EditSession
from tmsa_core.ui.explore_actions import (
    OWN_PORTRAIT,
    ExploreContext,
    ExploreInputs,
    draw_from_text,
    make_grid,
    make_map,
    make_morph,
    show_strengths,
)
from tmsa_core.ui.explore_events import DURATIONS
from tmsa_core.ui.explore_layout import animation_html, grid_portraits, grid_prompts
from tmsa_core.ui.latent_map import image_point, map_figure, project, text_point
from tmsa_core.ui.method_comparison import compare_methods
from tmsa_core.ui.page import build_ui

public_files = test_bundle_completion.public_files
photo_domain = test_bundle_completion.photo_domain
REQUEST = EditRequest("human face", "human face with sunglasses")


def make_context(editor: Editor, work: Path) -> ExploreContext:
    return ExploreContext(Editors(editor), Leases(), work)


@pytest.fixture(scope="module")
def context(editor: Editor, tmp_path_factory: pytest.TempPathFactory) -> ExploreContext:
    return make_context(editor, tmp_path_factory.mktemp("work"))


@pytest.fixture(scope="module")
def inputs(context: ExploreContext, editor: Editor) -> ExploreInputs:
    """A visitor with a random portrait and an edit."""
    prepared = editor.sample(3)
    crop = context.leases.keep("me", prepared.crop)
    session = EditSession("me", crop, prepared, crop, crop, crop, seed=3)
    return ExploreInputs(session, REQUEST, owner="me")


def pixels(path: str) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def test_each_strength_is_shown(
    context: ExploreContext, inputs: ExploreInputs, editor: Editor
) -> None:
    images = show_strengths(context, inputs, -1, 1, 3)
    assert [caption for _, caption in images] == ["-1", "+0", "+1"]
    assert np.abs(pixels(images[1][0]) - np.asarray(editor.sample(3).crop)).max() <= 1
    assert read_recipe(images[2][0])["edits"][0]["alpha"] == 1
    with pytest.raises(ImageError, match="no portrait"):
        show_strengths(context, replace(inputs, session=None), -1, 1, 3)
    with pytest.raises(RequestError, match="steps"):
        show_strengths(context, inputs, -1, 1, 99)


def test_grid_has_prompts_as_columns_and_portraits_as_rows(
    context: ExploreContext, inputs: ExploreInputs
) -> None:
    path = make_grid(context, inputs, "old human face\n\nbald human face\n", [OWN_PORTRAIT], 1.0)
    assert pixels(path).shape == (TITLE_HEIGHT + TILE, 3 * TILE + 2 * GAP, 3)
    targets = [edit["target_text"] for edit in read_recipe(path)["edits"]]
    assert targets == ["old human face", "bald human face"]
    for prompts, portraits, message in (
        ("", [OWN_PORTRAIT], "prompts"),
        ("a\n" * 20, [OWN_PORTRAIT], "prompts"),
        ("old human face", [], "No portrait"),
    ):
        with pytest.raises(RequestError, match=message):
            make_grid(context, inputs, prompts, portraits, 1.0)


@pytest.mark.parametrize("kind", ["gif", "webp", "mp4"])
def test_animation_moves_there_and_back(kind: str) -> None:
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


def test_morph_is_a_file_that_the_page_plays(
    context: ExploreContext, inputs: ExploreInputs
) -> None:
    path = make_morph(context, inputs, 0, 1, 3, "gif")
    assert Path(path).suffix == ".gif" and "<img" in animation_html(path, "a")
    assert "<video" in animation_html("a.mp4") and "<b>" not in animation_html(path, "a <b>")
    with pytest.raises(RequestError, match="frames"):
        make_morph(context, inputs, 0, 1, 1, "gif")
    with pytest.raises(RequestError, match="kind"):
        make_morph(context, inputs, 0, 1, 2, "avi")


def test_mp4_without_av_is_refused_in_one_sentence(
    context: ExploreContext, inputs: ExploreInputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    assert animation_kinds() == ("gif", "webp")
    with pytest.raises(RequestError, match="pip install av"):
        make_morph(context, inputs, 0, 1, 2, "mp4")
    assert Path(make_morph(context, inputs, 0, 1, 2, "webp")).suffix == ".webp"


@pytest.mark.parametrize("installed", [True, False])
def test_page_offers_mp4_only_with_av(
    editor: Editor, monkeypatch: pytest.MonkeyPatch, installed: bool
) -> None:
    if not installed:
        monkeypatch.setitem(sys.modules, "av", None)
    blocks = build_ui(editor).blocks.values()
    (kinds,) = [block for block in blocks if block.elem_id == "morph-kind"]
    assert (("MP4", "mp4") in kinds.choices) is installed
    assert kinds.info == (None if installed else MP4_HINT)


def test_portrait_is_drawn_from_a_text(context: ExploreContext, inputs: ExploreInputs) -> None:
    old, kid = "old human face", "face of a kid"
    one, other = (draw_from_text(context, inputs, text, 1.0) for text in (old, kid))
    average = pixels(draw_from_text(context, inputs, old, 0.0))
    assert np.abs(pixels(one) - pixels(other)).mean() > 1
    assert np.abs(pixels(one) - average).mean() > 1
    assert np.array_equal(average, pixels(draw_from_text(context, inputs, kid, 0.0)))
    assert read_recipe(one)["drawn_from"] == old
    with pytest.raises(TextError):
        draw_from_text(context, inputs, " ", 1.0)


def test_map_shows_images_and_texts_in_both_spaces(editor: Editor) -> None:
    points = [image_point(editor, str(i), "portrait", editor.sample(i)) for i in range(5)]
    points += [text_point(editor, "a pirate", "your text")]
    points += [image_point(editor, "me", OWN_PORTRAIT, editor.sample(5))]
    for method in ("PCA", "t-SNE"):
        clip, w = project(points, method)
        assert clip.shape == w.shape == (7, 2) and np.isfinite(clip).all() and np.isfinite(w).all()
    figure = map_figure(points, "PCA")
    names = [name for trace in figure.data for name in trace.text]
    assert names.count("a pirate") == names.count("me") == 2
    with pytest.raises(RequestError, match="method"):
        project(points, "magic")
    with pytest.raises(RequestError, match="four"):
        project(points[:3], "PCA")


def test_methods_are_compared(
    context: ExploreContext, inputs: ExploreInputs, editor: Editor
) -> None:
    *_, shown = compare_methods(context, inputs, ["tmsa"])
    assert [caption.split(",")[0] for _, caption in shown][:2] == ["portrait", "inversion"]
    ours = editor.edit(editor.sample(3), REQUEST).crop
    assert np.abs(pixels(shown[2][0]) - np.asarray(ours)).max() <= 1


def test_a_training_reports_its_steps_and_can_be_cancelled(
    context: ExploreContext, inputs: ExploreInputs
) -> None:
    reports: list[tuple[tuple[int, int], str]] = []

    def progress(share: tuple[int, int], desc: str, unit: str) -> None:
        reports.append((share, desc))
        if share == (3, 1000):
            assert context.comparisons.cancel("me")

    context.comparisons.begin("me")
    methods = ["tmsa", "styleclip_mapper", "clip2stylegan"]
    *_, shown = compare_methods(context, replace(inputs, progress=progress), methods)
    assert len(shown) == 3, "finished images stay, and no further method runs"
    assert reports[-1][0] == (3, 1000) and "latent mapper" in reports[-1][1]
    assert not list(context.work.rglob("*.safetensors")), "an unfinished mapper was stored"
    assert not context.comparisons.cancel("me")


def test_a_waiting_comparison_can_be_cancelled(
    context: ExploreContext, inputs: ExploreInputs
) -> None:
    context.comparisons.begin("me")
    assert context.comparisons.cancel("me")
    *_, shown = compare_methods(context, inputs, ["tmsa"])
    assert len(shown) == 2
    with pytest.raises(ImageError):
        list(compare_methods(context, replace(inputs, session=None), ["tmsa"]))
    assert not context.comparisons.cancel("me")


def test_every_slow_method_shows_its_duration() -> None:
    from tmsa_core.baselines import METHODS

    slow = {key for key, method in METHODS.items() if method.searches or method.prepare_text}
    assert slow <= DURATIONS.keys() <= METHODS.keys()


def test_another_domain_is_explored_with_its_own_editor(
    photo_domain: Any,
    editor: Editor,
    inputs: ExploreInputs,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Miniature photos, on a page that started with drawn portraits."""
    hub, _ = photo_domain
    bundle = open_bundle("ffhq")
    complete(bundle, needed_roles(find_domain("ffhq"), bundle), endpoint=hub.address)
    test_bundle_completion.save_random_mapper(bundle)
    context = make_context(editor, tmp_path)
    photos = replace(inputs, domain="ffhq")
    names = grid_portraits("ffhq")
    assert names[:3] == [OWN_PORTRAIT, "portrait-1", "portrait-2"]

    path = make_grid(context, photos, "old human face", names[1:3], 1.0)
    assert pixels(path).shape == (TITLE_HEIGHT + 2 * TILE + GAP, 2 * TILE + GAP, 3)
    assert read_recipe(path)["domain"] == "ffhq"
    photo = context.editors.get("ffhq").sample(1).crop
    photo = photo.resize((TILE, TILE), Image.Resampling.LANCZOS)
    assert np.array_equal(pixels(path)[TITLE_HEIGHT:][:TILE, :TILE], np.asarray(photo))

    monkeypatch.setattr(latent_map, "RANDOM_PORTRAITS", 5)
    for domain, own in (("ffhq", 0), ("avatar", 2)):
        figure = make_map(context, replace(inputs, domain=domain), "a pirate", "PCA")
        points = [name for trace in figure.data for name in trace.text]
        assert points.count(OWN_PORTRAIT) == own and points.count("portrait 4") == 2
    with pytest.raises(RequestError, match="press Edit"):
        make_grid(context, photos, "old human face", [OWN_PORTRAIT], 1.0)
    with pytest.raises(RequestError, match=r"Drawn portraits.*Photos of faces"):
        show_strengths(context, photos, -1, 1, 3)


def test_a_new_grid_shows_prompts_and_portraits_of_its_domain() -> None:
    assert "with glasses" in grid_prompts(find_domain("ffhq"))
    assert "car" in grid_prompts(find_domain("car"))
    assert grid_portraits("avatar")[1:] == list(sample_names("avatar"))
