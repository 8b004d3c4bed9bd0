"""Folders of real images: what is taken and what is refused before any work; arrays on disk."""

import numpy as np
import pytest
import torch
from PIL import Image

from tmsa_core.bundles import checkpoints_folder
from tmsa_core.domains import DOMAINS
from tmsa_core.errors import BundleError, ImageError, RequestError
from tmsa_core.training.mapper.bank import encoder_view
from tmsa_core.training.mapper.cache import cached
from tmsa_core.training.mapper.image_folder import MIN_IMAGES, open_images
from tmsa_core.training.run import Options
from tmsa_core.training.train_domain import train_domain

AVATAR = DOMAINS["avatar"]


def fill(folder, count=MIN_IMAGES, size=(128, 128), colour=(255, 0, 0)):
    folder.mkdir(exist_ok=True)
    for i in range(count):
        Image.new("RGB", size, colour).save(folder / f"{i:03d}.png")
    return folder


def test_a_folder_gives_crops_in_the_order_of_names(tmp_path):
    fill(tmp_path / "a")
    Image.new("RGB", (256, 256), "blue").save(tmp_path / "a" / "003.png")
    folder = open_images(tmp_path / "a", AVATAR)
    assert len(folder) == MIN_IMAGES
    images = folder.images(torch.tensor([0, 3]))
    assert images.shape == (2, 3, 128, 128)
    assert images[0].mean(dim=(1, 2)).tolist() == [1, -1, -1]
    assert images[1].mean(dim=(1, 2)).tolist() == [-1, -1, 1]
    assert folder.digest() == open_images(tmp_path / "a", AVATAR).digest()


def test_a_car_keeps_its_proportions_on_black():
    domain = DOMAINS["car"]
    crops = torch.full((1, 3, 512, 512), -1.0)
    crops[:, :, 64:448] = 1.0  # as the domain's crops are: 384 of 512 rows
    view = encoder_view(crops, 256, domain.content)
    assert view.shape == (1, 3, 192, 256) and (view == 1).all()


def test_folders_that_cannot_be_used_say_why(tmp_path):
    with pytest.raises(RequestError, match="no folder"):
        open_images(tmp_path / "nowhere", AVATAR)
    (tmp_path / "empty").mkdir()
    with pytest.raises(RequestError, match="holds 0 images, at least 16"):
        open_images(tmp_path / "empty", AVATAR)
    with pytest.raises(RequestError, match="holds 3 images"):
        open_images(fill(tmp_path / "few", 3), AVATAR)
    with pytest.raises(ImageError, match="64 x 64 pixels.*at least 128 x 128"):
        open_images(fill(tmp_path / "small", size=(64, 64)), AVATAR)
    with pytest.raises(ImageError, match="not square.*tmsa align"):
        open_images(fill(tmp_path / "wide", size=(200, 128)), AVATAR)
    broken = fill(tmp_path / "broken")
    (broken / "005.png").write_bytes(b"\x89PNG no image")
    with pytest.raises(ImageError, match="005.png cannot be read"):
        open_images(broken, AVATAR)
    huge = fill(tmp_path / "huge")
    Image.new("1", (9000, 9000)).save(huge / "005.png")
    with pytest.raises(ImageError, match="005.png cannot be read.*64 megapixels"):
        open_images(huge, AVATAR)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".bmp", ".tif"])
def test_a_image_that_ends_half_way_is_refused_at_once(tmp_path, suffix):
    cut = fill(tmp_path / "cut") / f"002{suffix}"
    pixels = np.random.default_rng(0).integers(0, 255, (256, 256, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(cut)
    whole = cut.read_bytes()
    cut.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ImageError, match=f"002{suffix} cannot be read"):
        open_images(tmp_path / "cut", AVATAR)


def test_another_image_of_the_same_size_makes_another_folder(tmp_path):
    fill(tmp_path / "a")
    Image.new("RGB", (128, 128), "green").save(tmp_path / "a" / "004.bmp")
    before = open_images(tmp_path / "a", AVATAR).digest()
    Image.new("RGB", (128, 128), "white").save(tmp_path / "a" / "004.bmp")
    assert open_images(tmp_path / "a", AVATAR).digest() != before


def test_images_of_every_mode_become_colour_crops(tmp_path):
    fill(tmp_path / "a")
    for mode, suffix in (("L", "png"), ("RGBA", "png"), ("P", "png"), ("CMYK", "jpg")):
        Image.new("RGB", (160, 160), "red").convert(mode).save(tmp_path / "a" / f"{mode}.{suffix}")
    folder = open_images(tmp_path / "a", AVATAR)
    images = folder.images(torch.arange(MIN_IMAGES, len(folder)))
    assert images.shape == (4, 3, 128, 128) and images.abs().max() <= 1


def test_training_refuses_bad_input_before_any_work(tmp_path):
    options = Options(tmp_path / "work", checkpoints_folder() / "avatar")
    with pytest.raises(RequestError, match="avatar, ffhq, car, church"):
        train_domain("dog", options)
    with pytest.raises(RequestError, match="fast, paper"):
        train_domain("avatar", options, preset="slow")
    with pytest.raises(RequestError, match="no folder"):
        train_domain("avatar", options, images=tmp_path / "nowhere")
    with pytest.raises(BundleError):
        train_domain("avatar", Options(tmp_path / "work", tmp_path / "no-weights"))
    assert not (tmp_path / "work").exists()


def test_arrays_come_from_disk_until_their_key_changes(tmp_path):
    calls = []

    def make(parts):
        calls.append(1)
        return {"x": torch.arange(6.0).view(2, 3) + len(calls)}

    first = cached(tmp_path, "kind", {"weights": "a"}, make)
    again = cached(tmp_path, "kind", {"weights": "a"}, make)
    assert len(calls) == 1 and torch.equal(first["x"], again["x"])
    other = cached(tmp_path, "kind", {"weights": "b"}, make)
    assert len(calls) == 2 and not torch.equal(first["x"], other["x"])
    assert len(list(tmp_path.glob("kind-*"))) == 1
    file = next(tmp_path.glob("kind-*/x.npy"))
    assert isinstance(np.load(file, mmap_mode="r"), np.memmap)


def test_damaged_arrays_are_made_again(tmp_path):
    first = cached(tmp_path, "kind", "key", lambda parts: {"x": torch.arange(600.0)})
    file = next(tmp_path.glob("kind-*/x.npy"))
    file.write_bytes(file.read_bytes()[:1000])
    again = cached(tmp_path, "kind", "key", lambda parts: {"x": torch.arange(600.0)})
    assert torch.equal(again["x"], torch.arange(600.0)) and len(first) == len(again) == 1


def test_a_disk_that_takes_no_arrays_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BundleError, match="file could not be written"):
        cached(tmp_path / "file", "kind", "key", lambda parts: {"x": torch.ones(2)})
