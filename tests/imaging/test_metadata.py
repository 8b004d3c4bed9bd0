"""The recipe and the notice inside saved images."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from tmsa_core.errors import ImageError
from tmsa_core.imaging.metadata import annotate, encode_png, read_recipe, save_image

RECIPE = {"domain": "avatar", "weights": "0123", "edits": [{"target_text": "Brille 👓 & <Bart>"}]}


@pytest.fixture
def image() -> Image.Image:
    return Image.new("RGB", (32, 24), "orange")


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".jpeg", ".webp", ".PNG"])
def test_recipe_comes_back(image: Image.Image, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    save_image(image, path, RECIPE)
    assert read_recipe(path) == RECIPE


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
@pytest.mark.parametrize(
    ("edited", "kind"),
    [(True, b"compositeWithTrainedAlgorithmicMedia"), (False, b"/trainedAlgorithmicMedia")],
)
def test_file_says_how_it_was_made(
    image: Image.Image, tmp_path: Path, suffix: str, edited: bool, kind: bytes
) -> None:
    path = tmp_path / f"out{suffix}"
    save_image(image, path, RECIPE, edited=edited)
    assert kind in path.read_bytes()
    assert (b"Edited with TMSA" in path.read_bytes()) == edited


def test_pixels_of_png_are_unchanged(image: Image.Image, tmp_path: Path) -> None:
    save_image(image, tmp_path / "out.png", RECIPE)
    with Image.open(tmp_path / "out.png") as saved:
        assert saved.tobytes() == image.tobytes()


def test_annotated_image_keeps_its_texts_through_encoding(image: Image.Image) -> None:
    marked = annotate(image, RECIPE)
    assert read_recipe(marked) == RECIPE and "tmsa" not in image.info
    with Image.open(io.BytesIO(encode_png(marked))) as read:
        assert read_recipe(read) == RECIPE
        assert "XML:com.adobe.xmp" in read.info


def test_foreign_images_have_no_recipe(image: Image.Image, tmp_path: Path) -> None:
    assert read_recipe(image) is None
    image.save(tmp_path / "plain.jpg", comment=b"a comment")
    assert read_recipe(tmp_path / "plain.jpg") is None
    save_image(image, tmp_path / "crop.png")
    assert read_recipe(tmp_path / "crop.png") is None


def test_unusable_names_are_refused(image: Image.Image, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"\.png, \.jpg, \.jpeg or \.webp"):
        save_image(image, tmp_path / "out.gif", RECIPE)
    with pytest.raises(ImageError, match="does not exist"):
        save_image(image, tmp_path / "nowhere" / "out.png", RECIPE)
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(ImageError, match="cannot be read as an image"):
        read_recipe(tmp_path / "text.png")
