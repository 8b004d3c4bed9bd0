"""Folders of real images: which are accepted, and which are refused before any work."""

import numpy as np
import pytest
import torch
from PIL import Image

from tmsa_core.bundles import checkpoints_folder
from tmsa_core.domains import DOMAINS
from tmsa_core.errors import BundleError, ImageError, RequestError
from tmsa_core.training.mapper.bank import encoder_view
from tmsa_core.training.mapper.image_folder import MIN_IMAGES, open_images
from tmsa_core.training.run import Options
from tmsa_core.training.train_domain import train_domain

AVATAR = DOMAINS["avatar"]
SIDE = AVATAR.resolution


def fill(folder, count=MIN_IMAGES, size=(SIDE, SIDE), colour=(255, 0, 0)):
    folder.mkdir(exist_ok=True)
    for i in range(count):
        Image.new("RGB", size, colour).save(folder / f"{i:03d}.png")
    return folder


def test_a_folder_gives_crops_sorted_by_name(tmp_path):
    fill(tmp_path / "a")
    Image.new("RGB", (2 * SIDE, 2 * SIDE), "blue").save(tmp_path / "a" / "003.png")
    folder = open_images(tmp_path / "a", AVATAR)
    assert len(folder) == MIN_IMAGES
    images = folder.images(torch.tensor([0, 3]))
    assert images.shape == (2, 3, SIDE, SIDE)
    assert images[0].mean(dim=(1, 2)).tolist() == [1, -1, -1]
    assert images[1].mean(dim=(1, 2)).tolist() == [-1, -1, 1]
    assert folder.digest() == open_images(tmp_path / "a", AVATAR).digest()


def test_a_car_keeps_its_proportions_on_black():
    domain = DOMAINS["car"]
    crops = torch.full((1, 3, 512, 512), -1.0)
    crops[:, :, 64:448] = 1.0  # the domain's crops use 384 of 512 rows
    view = encoder_view(crops, 256, domain.content)
    assert view.shape == (1, 3, 192, 256) and (view == 1).all()


def test_unusable_folders_are_refused_with_a_reason(tmp_path):
    with pytest.raises(RequestError, match="no folder"):
        open_images(tmp_path / "nowhere", AVATAR)
    (tmp_path / "empty").mkdir()
    with pytest.raises(RequestError, match="holds 0 images, at least 16"):
        open_images(tmp_path / "empty", AVATAR)
    with pytest.raises(RequestError, match="holds 3 images"):
        open_images(fill(tmp_path / "few", 3), AVATAR)
    with pytest.raises(ImageError, match=rf"64 x 64 pixels.*at least {SIDE} x {SIDE}"):
        open_images(fill(tmp_path / "small", size=(64, 64)), AVATAR)
    with pytest.raises(ImageError, match=r"not square.*tmsa align"):
        open_images(fill(tmp_path / "wide", size=(SIDE + 72, SIDE)), AVATAR)
    broken = fill(tmp_path / "broken")
    (broken / "005.png").write_bytes(b"\x89PNG no image")
    with pytest.raises(ImageError, match=r"005.png cannot be read"):
        open_images(broken, AVATAR)
    huge = fill(tmp_path / "huge")
    Image.new("1", (9000, 9000)).save(huge / "005.png")
    with pytest.raises(ImageError, match=r"005.png cannot be read.*64 megapixels"):
        open_images(huge, AVATAR)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".bmp", ".tif"])
def test_a_truncated_image_is_refused(tmp_path, suffix):
    cut = fill(tmp_path / "cut") / f"002{suffix}"
    pixels = np.random.default_rng(0).integers(0, 255, (256, 256, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(cut)
    whole = cut.read_bytes()
    cut.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ImageError, match=f"002{suffix} cannot be read"):
        open_images(tmp_path / "cut", AVATAR)


def test_the_digest_changes_with_an_image(tmp_path):
    fill(tmp_path / "a")
    Image.new("RGB", (SIDE, SIDE), "green").save(tmp_path / "a" / "004.bmp")
    before = open_images(tmp_path / "a", AVATAR).digest()
    Image.new("RGB", (SIDE, SIDE), "white").save(tmp_path / "a" / "004.bmp")
    assert open_images(tmp_path / "a", AVATAR).digest() != before


def test_images_of_every_mode_become_colour_crops(tmp_path):
    fill(tmp_path / "a")
    for mode, suffix in (("L", "png"), ("RGBA", "png"), ("P", "png"), ("CMYK", "jpg")):
        Image.new("RGB", (SIDE + 32, SIDE + 32), "red").convert(mode).save(
            tmp_path / "a" / f"{mode}.{suffix}"
        )
    folder = open_images(tmp_path / "a", AVATAR)
    images = folder.images(torch.arange(MIN_IMAGES, len(folder)))
    assert images.shape == (4, 3, SIDE, SIDE) and images.abs().max() <= 1


def test_invalid_arguments_are_refused_before_any_work(tmp_path):
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
