"""The recipe and the notice inside saved pictures."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from tmsa_core.errors import ImageError
from tmsa_core.imaging.metadata import annotate, encode_png, read_recipe, save_picture

RECIPE = {"domain": "avatar", "weights": "0123", "edits": [{"target_text": "Brille 👓 & <Bart>"}]}


@pytest.fixture
def picture() -> Image.Image:
    return Image.new("RGB", (32, 24), "orange")


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".jpeg", ".webp", ".PNG"])
def test_recipe_comes_back(picture: Image.Image, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    save_picture(picture, path, RECIPE)
    assert read_recipe(path) == RECIPE


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
@pytest.mark.parametrize(
    ("edited", "kind"),
    [(True, b"compositeWithTrainedAlgorithmicMedia"), (False, b"/trainedAlgorithmicMedia")],
)
def test_file_says_how_it_was_made(
    picture: Image.Image, tmp_path: Path, suffix: str, edited: bool, kind: bytes
) -> None:
    path = tmp_path / f"out{suffix}"
    save_picture(picture, path, RECIPE, edited=edited)
    assert kind in path.read_bytes()
    assert (b"Edited with TMSA" in path.read_bytes()) == edited


def test_pixels_of_png_are_unchanged(picture: Image.Image, tmp_path: Path) -> None:
    save_picture(picture, tmp_path / "out.png", RECIPE)
    with Image.open(tmp_path / "out.png") as saved:
        assert saved.tobytes() == picture.tobytes()


def test_annotated_picture_keeps_its_texts_through_encoding(picture: Image.Image) -> None:
    marked = annotate(picture, RECIPE)
    assert read_recipe(marked) == RECIPE and "tmsa" not in picture.info
    with Image.open(io.BytesIO(encode_png(marked))) as read:
        assert read_recipe(read) == RECIPE
        assert "XML:com.adobe.xmp" in read.info


def test_foreign_pictures_have_no_recipe(picture: Image.Image, tmp_path: Path) -> None:
    assert read_recipe(picture) is None
    picture.save(tmp_path / "plain.jpg", comment=b"a comment")
    assert read_recipe(tmp_path / "plain.jpg") is None
    save_picture(picture, tmp_path / "crop.png")
    assert read_recipe(tmp_path / "crop.png") is None


def test_unusable_names_are_refused(picture: Image.Image, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"\.png, \.jpg, \.jpeg or \.webp"):
        save_picture(picture, tmp_path / "out.gif", RECIPE)
    with pytest.raises(ImageError, match="does not exist"):
        save_picture(picture, tmp_path / "nowhere" / "out.png", RECIPE)
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(ImageError, match="cannot be read as a picture"):
        read_recipe(tmp_path / "text.png")
