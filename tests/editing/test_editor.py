import dataclasses
from inspect import signature

import numpy as np
import pytest
import torch
from PIL import Image

from tmsa_core import EditRequest, list_domains, load_editor
from tmsa_core.api.endpoints import Endpoints
from tmsa_core.avatars.render import render
from tmsa_core.cli import edit as cli
from tmsa_core.client import TmsaClient
from tmsa_core.editing.editor import TRUNCATION
from tmsa_core.errors import (
    ImageError,
    MemoryFullError,
    NoFaceError,
    RequestError,
    TextError,
)
from tmsa_core.imaging.images import to_image
from tmsa_core.imaging.metadata import read_recipe, save_image
from tmsa_core.training.avatar.renders import held_out_portraits

GLASSES_TEXTS = ("human face", "human face with glasses")
GLASSES = EditRequest(*GLASSES_TEXTS)


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image).astype(int)


def test_sample_is_reproducible_and_seeds_differ(editor):
    a, b, other = editor.sample(seed=3), editor.sample(seed=3), editor.sample(seed=4)
    assert torch.equal(a.w_plus, b.w_plus) and a.crop.tobytes() == b.crop.tobytes()
    assert not torch.equal(a.w_plus, other.w_plus)
    assert a.w_plus.shape == (editor.domain.levels, 512) and a.w_plus.dtype == torch.float32
    assert a.crop.size == (editor.domain.resolution,) * 2


@pytest.mark.parametrize("seed", [-1, 1.5, True, "3", 2**63])
def test_an_invalid_seed_is_refused(editor, seed):
    with pytest.raises(RequestError, match="seed"):
        editor.sample(seed=seed)


@pytest.mark.parametrize("truncation", [-0.1, 1.1, float("nan"), None, "0.7"])
def test_an_invalid_truncation_is_refused(editor, truncation):
    with pytest.raises(RequestError, match="truncation"):
        editor.sample(seed=0, truncation=truncation)


def test_every_interface_has_the_same_default_truncation():
    for interface in (Endpoints.sample, TmsaClient.sample, cli.sample):
        assert signature(interface).parameters["truncation"].default == TRUNCATION


def test_alpha_zero_is_the_inversion_bit_for_bit(editor, avatar_face):
    result = editor.edit(avatar_face, dataclasses.replace(GLASSES, alpha=0.0))
    assert torch.equal(result.w_plus, avatar_face.w_plus)
    assert result.crop.tobytes() == avatar_face.inversion_crop.tobytes()


def test_the_photo_keeps_its_pixels_where_the_edit_changes_nothing(editor):
    """Nothing is lost of a photo larger than the generator draws: not its background, nor hair."""
    portrait = to_image(render(held_out_portraits(8)[3:4], 512).images[0])
    face = editor.prepare(portrait)
    untouched = editor.edit(face, dataclasses.replace(GLASSES, alpha=0.0))
    assert untouched.image.tobytes() == face.photo.tobytes()
    frown = editor.edit(face, EditRequest("human face", "frowning human face"))
    change = np.abs(pixels(frown.image) - pixels(face.photo)).max(-1)  # (512, 512)
    assert (change == 0).mean() > 0.3 and (change <= 2).mean() > 0.4
    assert change[300:460, 180:340].max() > 60


def test_an_edit_changes_the_image_and_not_the_prepared_face(editor, avatar_face):
    before = avatar_face.w_plus.clone()
    result = editor.edit(avatar_face, GLASSES)
    assert np.abs(pixels(result.crop) - pixels(avatar_face.crop)).max() > 30
    assert torch.equal(avatar_face.w_plus, before)
    with pytest.raises(dataclasses.FrozenInstanceError):
        avatar_face.w_plus = before


def test_the_edit_is_the_inversion_plus_alpha_times_the_shift(editor, avatar_face):
    shift = editor.shift(GLASSES.neutral_text, GLASSES.target_text)
    for alpha in (-1.0, 0.5, 2.0):
        result = editor.edit(avatar_face, dataclasses.replace(GLASSES, alpha=alpha))
        assert torch.allclose(result.w_plus, avatar_face.w_plus + alpha * shift, atol=1e-5)


def test_cached_and_uncached_edits_are_equal(editor, avatar_face):
    fresh = load_editor("avatar", device="cpu")
    first = fresh.edit(avatar_face, GLASSES)
    again = fresh.edit(avatar_face, GLASSES)
    assert first.crop.tobytes() == again.crop.tobytes()
    assert first.crop.tobytes() == editor.edit(avatar_face, GLASSES).crop.tobytes()


def test_a_caller_cannot_change_a_cached_shift(editor):
    editor.shift("human face", "human face with glasses").zero_()
    assert editor.shift("human face", "human face with glasses").any()


def test_stacked_edits_add_up(editor, avatar_face):
    beard = EditRequest("human face", "human face with a beard", alpha=0.7)
    both = editor.edit(avatar_face, [GLASSES, beard])
    expected = avatar_face.w_plus + editor.shift(GLASSES.neutral_text, GLASSES.target_text)
    expected = expected + 0.7 * editor.shift(beard.neutral_text, beard.target_text)
    assert torch.allclose(both.w_plus, expected, atol=1e-5)
    assert both.requests == (GLASSES, beard)


def test_levels_and_threshold_restrict_the_shift(editor, avatar_face):
    coarse = editor.edit(avatar_face, dataclasses.replace(GLASSES, levels="coarse"))
    moved = (coarse.w_plus - avatar_face.w_plus).abs().sum(dim=1)
    assert moved[:4].all() and not moved[4:].any()
    sparse = editor.edit(avatar_face, dataclasses.replace(GLASSES, threshold=0.9))
    share = ((sparse.w_plus - avatar_face.w_plus).abs() > 1e-6).float().mean().item()
    assert share == pytest.approx(0.1, abs=0.02)


def test_equal_texts_change_nothing_and_give_a_note(editor, avatar_face):
    result = editor.edit(avatar_face, EditRequest("human face", " human  face "))
    assert result.crop.tobytes() == avatar_face.inversion_crop.tobytes()
    assert any("nothing moved" in note for note in result.notes)


def test_unknown_words_change_nothing_and_give_a_note(editor, avatar_face):
    request = EditRequest("human face", "human face with zorblax glasses")
    result = editor.edit(avatar_face, request)
    assert any("zorblax" in note for note in result.notes)
    assert torch.allclose(result.w_plus, editor.edit(avatar_face, GLASSES).w_plus, atol=1e-5)


LONG = (
    "a person with brown hair, blue eyes, a wide smile, red lipstick, round glasses, a green hat, "
    "a white shirt, freckles, wrinkles, a pink background and no earrings"
)


def test_a_long_text_is_read_to_its_end_or_gives_a_note(editor, avatar_face):
    whole = editor.edit(avatar_face, EditRequest("human face", LONG))
    assert whole.notes == ()
    shorter = editor.shift("human face", LONG.replace("no earrings", "earrings"))
    assert not torch.equal(shorter, editor.shift("human face", LONG))
    cut = editor.edit(avatar_face, EditRequest(LONG, LONG + " and a beard and glasses"))
    (note,) = cut.notes
    assert "longer than the text encoder reads" in note and "“a beard and glasses”" in note


@pytest.mark.parametrize(
    ("neutral", "target"),
    [
        ("human face", "human face with a zorblax"),
        ("human face", "zorblax"),
        ("human face", "人の顔"),
        ("human face", "🜁"),
        ("human face", "a portrait of a person."),
        ("face", "human face"),
    ],
)
def test_texts_that_differ_by_wording_alone_change_nothing(editor, avatar_face, neutral, target):
    result = editor.edit(avatar_face, EditRequest(neutral, target))
    assert result.crop.tobytes() == avatar_face.inversion_crop.tobytes()
    assert any("nothing moved" in note for note in result.notes)
    unknown = editor.unknown_words(target)
    assert all(any(word in note for note in result.notes) for word in unknown)


def test_the_faintest_attributes_have_a_shift(editor):
    for trait in ("a thin face", "bushy eyebrows", "a big nose", "blue eyes", "freckles"):
        assert editor.shift("human face", f"human face with {trait}").any()


def test_numbers_of_numpy_are_accepted(editor, avatar_face, tmp_path):
    request = EditRequest(
        *GLASSES_TEXTS, np.float32(0.5), levels=np.arange(4), threshold=np.float32(0.25)
    )
    plain = EditRequest(*GLASSES_TEXTS, 0.5, levels=(0, 1, 2, 3), threshold=0.25)
    result = editor.edit(avatar_face, request)
    assert torch.equal(result.w_plus, editor.edit(avatar_face, plain).w_plus)
    save_image(result.image, tmp_path / "out.png", editor.recipe([request]))
    assert read_recipe(tmp_path / "out.png") == editor.recipe([plain])
    assert torch.equal(editor.sample(np.int64(3)).w_plus, editor.sample(3).w_plus)


@pytest.mark.parametrize(
    ("face", "request_", "said"),
    [
        (None, GLASSES, "NoneType instead of a prepared face"),
        (Image.new("RGB", (8, 8)), GLASSES, "Image instead of a prepared face"),
        ("prepared", "human face with glasses", "str instead of an EditRequest"),
        ("prepared", None, "NoneType instead of an EditRequest"),
        ("prepared", [GLASSES, {"alpha": 1}], "dict instead of an EditRequest"),
        ("prepared", [], "empty"),
    ],
)
def test_values_of_other_types_are_refused(editor, avatar_face, face, request_, said):
    face = avatar_face if face == "prepared" else face
    with pytest.raises(RequestError, match=said):
        editor.edit(face, request_)
    with pytest.raises(RequestError, match=said):
        editor.edit_many([face], [request_])


@pytest.mark.parametrize(
    "texts",
    [
        ("", "glasses"),
        ("human face", "   "),
        ("face", "glasses " * 90),
        ("face", 5),
        (b"face", "glasses"),
        ("face", ["glasses"]),
    ],
)
def test_unusable_texts_are_refused(editor, avatar_face, texts):
    with pytest.raises(TextError):
        editor.edit(avatar_face, EditRequest(*texts))


def test_a_face_of_another_domain_is_refused(editor, avatar_face):
    with pytest.raises(RequestError, match="ffhq"):
        editor.edit(dataclasses.replace(avatar_face, domain="ffhq"), GLASSES)


def test_an_image_without_a_face_is_refused(editor):
    with pytest.raises(NoFaceError):
        editor.prepare(Image.new("RGB", (300, 200), (120, 150, 180)))


def test_an_aligned_crop_needs_no_face(editor, portrait):
    prepared = editor.prepare(portrait, aligned=True)
    assert prepared.faces == () and prepared.crop.size == (editor.domain.resolution,) * 2


@pytest.mark.parametrize("face", [5, -1, True])
def test_an_unknown_face_number_is_refused(editor, portrait, face):
    with pytest.raises(RequestError, match="face"):
        editor.prepare(portrait, face=face)


def test_an_unknown_inversion_is_refused(editor, portrait):
    with pytest.raises(RequestError, match="e4e"):
        editor.prepare(portrait, inversion="psychic")


def test_a_file_that_is_not_an_image_is_refused(editor, tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("not an image")
    with pytest.raises(ImageError):
        editor.prepare(path)


def test_domains_have_a_status():
    status = {d.key: d for d in list_domains()}
    assert set(status) == {"avatar", "ffhq", "car", "church"}
    assert status["avatar"].available and not status["avatar"].reason
    assert all(d.available or d.reason for d in status.values())


@pytest.mark.parametrize("inversion", ["e4e", "hfgi"])
def test_bf16_edits_are_close_to_float32(editor, portrait, device, inversion):
    rough = load_editor("avatar", device=device, dtype="bfloat16")
    crops = []
    for one in (editor, rough):
        prepared = one.prepare(portrait, inversion=inversion, aligned=True)
        crops.append(pixels(one.edit(prepared, GLASSES).crop))
    error = np.square(crops[0] - crops[1]).mean()
    assert 0 < error < 255**2 / 10**4  # a peak signal-to-noise ratio of 40 dB


def test_the_recipe_names_domain_weights_and_edits(editor):
    recipe = editor.recipe([GLASSES])
    assert recipe["domain"] == "avatar" and recipe["weights"] == editor.bundle.fingerprint()
    assert recipe["edits"][0]["target_text"] == GLASSES.target_text
    assert recipe["software"].startswith("TMSA ")


@pytest.mark.parametrize("work", ["prepare", "edit", "edit_many", "sample", "shift"])
def test_a_full_device_is_reported_in_one_sentence(avatar_face, monkeypatch, work):
    editor = load_editor("avatar", device="cpu")

    def full(*args: object, **kwargs: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr(editor.models.generator, "synthesise", full)
    monkeypatch.setattr(editor.models.load_clip(), "embed_texts", full)
    works = {
        "prepare": lambda: editor.prepare(avatar_face.crop, aligned=True),
        "edit": lambda: editor.edit(avatar_face, GLASSES),
        "edit_many": lambda: editor.edit_many([avatar_face], [GLASSES]),
        "sample": lambda: editor.sample(seed=1),
        "shift": lambda: editor.shift(*GLASSES_TEXTS),
    }
    with pytest.raises(MemoryFullError, match="too little free memory"):
        works[work]()
