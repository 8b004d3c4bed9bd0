"""Images of every kind become upright RGB, or one clear sentence."""

from __future__ import annotations

import io
import struct
import sys
import zlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from tmsa_core.errors import ImageError
from tmsa_core.imaging.images import MAX_PIXELS, load_image, to_image, to_tensor
from tmsa_core.imaging.resize import resize_tensor


@pytest.fixture
def image() -> Image.Image:
    """A small image whose corners differ: red, green, blue, white."""
    pixels = np.zeros((24, 40, 3), np.uint8)
    pixels[:12, :20], pixels[:12, 20:] = (255, 0, 0), (0, 255, 0)
    pixels[12:, :20], pixels[12:, 20:] = (0, 0, 255), (255, 255, 255)
    return Image.fromarray(pixels)


def encoded(image: Image.Image, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def distance(one: Image.Image, other: Image.Image) -> int:
    assert one.size == other.size
    return int(np.abs(np.asarray(one, int) - np.asarray(other, int)).max())


def test_paths_bytes_arrays_and_images_are_the_same_image(image, tmp_path):
    path = tmp_path / "a.png"
    image.save(path)
    for source in (image, path, str(path), path.read_bytes(), np.asarray(image)):
        loaded = load_image(source)
        assert loaded.mode == "RGB"
        assert distance(loaded, image) == 0


def test_the_given_image_is_not_shared(image):
    loaded = load_image(image)
    loaded.putpixel((0, 0), (1, 2, 3))
    assert image.getpixel((0, 0)) == (255, 0, 0)


@pytest.mark.parametrize("form", ["PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF"])
def test_formats(image, form):
    lossless = {"WEBP": {"lossless": True}, "AVIF": {"quality": 100, "subsampling": "4:4:4"}}
    loaded = load_image(encoded(image, form, **lossless.get(form, {})))
    assert distance(loaded, image) <= (20 if form == "AVIF" else 0)


@pytest.mark.parametrize("tag", range(1, 9))
def test_exif_rotation_is_applied(image, tag):
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # the transposition that makes such a file
    stored = image if tag == 1 else image.transpose(Image.Transpose(undo[tag]))
    exif = Image.Exif()
    exif[0x0112] = tag
    loaded = load_image(encoded(stored, "PNG", exif=exif))
    assert distance(loaded, image) == 0


def test_unreadable_exif_is_ignored(image):
    broken = encoded(image, "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff garbage", quality=95)
    assert load_image(broken).size == image.size


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "RGBa", "La"])
def test_transparency_becomes_white(mode):
    base = Image.new("RGBA", (8, 8), (0, 0, 0, 255))
    base.paste((0, 0, 0, 0), (0, 0, 4, 8))
    image = {
        "LA": lambda: base.convert("LA"),
        "La": lambda: base.convert("LA").convert("La"),
        "PA": lambda: base.convert("P").convert("PA"),
    }.get(mode, lambda: base.convert(mode))()
    loaded = load_image(image)
    assert loaded.getpixel((1, 1)) == (255, 255, 255)
    assert loaded.getpixel((6, 6)) == (0, 0, 0)


def test_transparent_palette_and_tagged_grey():
    palette = Image.new("P", (8, 8), 1)
    palette.putpalette([255, 0, 0, 0, 0, 255])
    palette.paste(0, (0, 0, 4, 8))
    loaded = load_image(encoded(palette, "PNG", transparency=0))
    assert loaded.getpixel((0, 0)) == (255, 255, 255)
    assert loaded.getpixel((7, 7)) == (0, 0, 255)
    grey = Image.new("L", (8, 8), 9)
    assert load_image(encoded(grey, "PNG", transparency=9)).getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK", "YCbCr", "HSV", "LAB"])
def test_other_modes_keep_their_colour(mode):
    white = Image.new("RGB", (8, 8), "white")
    image = Image.new("LAB", (8, 8), (255, 128, 128)) if mode == "LAB" else white.convert(mode)
    assert distance(load_image(image), white) <= 1


def test_cmyk_jpeg_file(image):
    loaded = load_image(encoded(image.convert("CMYK"), "JPEG", quality=95))
    assert loaded.getpixel((3, 3))[0] > 200
    assert loaded.getpixel((3, 3))[1] < 60


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0, 32768, 65535]], np.uint16), [0, 128, 255]),
        (np.array([[0, 32768, 65535]], np.int32), [0, 128, 255]),
        (np.array([[-5, 128, 255]], np.int32), [0, 128, 255]),
        (np.array([[0, 512, 1023]], np.uint16), [0, 128, 255]),
        (np.array([[0, 2048, 4095]], np.uint16), [0, 128, 255]),
        (np.array([[0.0, 0.5, 1.0]], np.float32), [0, 128, 255]),
        (np.array([[np.nan, 128.0, 255.0]], np.float32), [0, 128, 255]),
    ],
)
def test_deep_grey(values, expected):
    grey = np.asarray(load_image(Image.fromarray(values)))[0]
    assert grey[:, 0].tolist() == expected
    assert (grey == grey[:, :1]).all()


def grey_of(values: np.ndarray) -> np.ndarray:
    return np.asarray(load_image(Image.fromarray(values)))[..., 0].astype(int)


RAMP = np.linspace(0, 1, 32 * 32).reshape(32, 32)
DEEP = {  # an image, and its highest value or values changed to what sensors and programs leave
    "1 with 1.0001": (RAMP.astype(np.float32), 1.0001),
    "1 with 40": (RAMP.astype(np.float32), 40.0),
    "1 with infinity": (RAMP.astype(np.float32), np.inf),
    "255 with 255.5": ((255 * RAMP).astype(np.float32), 255.5),
    "8 bits with 256": ((255 * RAMP).astype(np.uint16), 256),
    "10 bits with a hot pixel": ((1023 * RAMP).astype(np.uint16), 4095),
    "12 bits with a hot pixel": ((4095 * RAMP).astype(np.uint16), 65535),
    "12 bits in 32 with a hot pixel": ((4095 * RAMP).astype(np.int32), 2**31 - 1),
    "-1 to 1": ((2 * RAMP - 1).astype(np.float32), 1.0),
    "-1 to 1 with a hot pixel": ((2 * RAMP - 1).astype(np.float32), 3.0),
    "0 to 1 with overshoot": ((1.06 * RAMP - 0.03).astype(np.float32), 1.05),
}


@pytest.mark.parametrize("case", DEEP)
def test_single_pixels_do_not_decide_the_range_of_deep_grey(case):
    values, hot = DEEP[case]
    values = values.copy()
    values[5, 7] = hot
    grey, expected = grey_of(values), 255 * RAMP
    assert grey[5, 7] == 255
    expected[5, 7] = 255
    assert np.abs(grey - expected).max() <= (8 if "overshoot" in case else 2)


def test_dim_fractions_are_not_black():
    assert abs(grey_of((3 * RAMP).astype(np.float32)).mean() - 127) < 2


def test_deep_grey_without_a_finite_value_is_black():
    assert not grey_of(np.full((4, 4), np.nan, np.float32)).any()


def test_sixteen_bit_png_file(tmp_path):
    Image.fromarray(np.full((4, 4), 65535, np.uint16)).save(tmp_path / "deep.png")
    assert load_image(tmp_path / "deep.png").getpixel((0, 0)) == (255, 255, 255)


def wide_profile() -> bytes:
    """An RGB profile with wider primaries than sRGB (Adobe's), gamma 2.2, made from its numbers."""

    def fixed(*numbers: float) -> bytes:
        return b"".join(struct.pack(">i", round(number * 65536)) for number in numbers)

    def xyz(*numbers: float) -> bytes:
        return b"XYZ \0\0\0\0" + fixed(*numbers)

    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(2.2 * 256)) + b"\0\0"
    name = b"Wide"
    description = b"desc\0\0\0\0" + struct.pack(">I", len(name) + 1) + name + bytes(1 + 8 + 3 + 67)
    tags = {
        b"desc": description + bytes(-len(description) % 4),
        b"cprt": b"text\0\0\0\0none\0\0\0\0",
        b"wtpt": xyz(0.9642, 1.0, 0.8249),
        b"rXYZ": xyz(0.60974, 0.31111, 0.01947),
        b"gXYZ": xyz(0.20528, 0.62567, 0.06087),
        b"bXYZ": xyz(0.14919, 0.06322, 0.74457),
        b"rTRC": curve,
        b"gTRC": curve,
        b"bTRC": curve,
    }
    table, body, offset = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for tag, data in tags.items():
        table += tag + struct.pack(">II", offset + len(body), len(data))
        body += data
    header = struct.pack(">I4sI4s4s4s", offset + len(body), bytes(4), 0x02100000, b"mntr", b"RGB ",
                    b"XYZ ")  # fmt: skip
    header += (
        struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + fixed(0.9642, 1, 0.8249)
    )
    return header.ljust(128, b"\0") + table + body


# A colour in those primaries, and the same in sRGB: by the matrices of both (D50) 204.9, 89.5, 55.5
WIDE, IN_SRGB = (180, 90, 60), (205, 90, 55)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_colours_of_another_profile_become_srgb(form):
    lossless = {"WEBP": {"lossless": True}, "JPEG": {"quality": 100, "subsampling": 0}}
    data = encoded(
        Image.new("RGB", (16, 16), WIDE), form, icc_profile=wide_profile(), **lossless.get(form, {})
    )
    loaded = load_image(data)
    assert np.abs(np.subtract(loaded.getpixel((8, 8)), IN_SRGB)).max() <= 3
    assert "icc_profile" not in loaded.info


@pytest.mark.parametrize("mode", ["RGBA", "P"])
def test_profiles_go_with_transparency(mode):
    image = Image.new("RGBA", (8, 8), (*WIDE, 255))
    image.paste((*WIDE, 0), (0, 0, 4, 8))
    if mode == "P":
        image = image.quantize(4)
    loaded = load_image(encoded(image, "PNG", icc_profile=wide_profile()))
    assert np.abs(np.subtract(loaded.getpixel((6, 6)), IN_SRGB)).max() <= 3
    assert loaded.getpixel((1, 1)) == (255, 255, 255)


@pytest.mark.parametrize("kind", ["broken", "cut", "of another kind", "sRGB"])
def test_an_unusable_profile_changes_nothing(image, kind):
    profile = {
        "broken": b"no profile",
        "cut": wide_profile()[:200],
        "of another kind": ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes(),
        "sRGB": ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
    }[kind]
    loaded = load_image(encoded(image, "PNG", icc_profile=profile))
    assert distance(loaded, image) == 0 and "icc_profile" not in loaded.info


def test_a_damaged_avif_is_refused():
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    data = bytearray(encoded(Image.fromarray(noise), "AVIF"))
    start = data.index(b"mdat") + 4
    data[start : start + 38] = b"\xff" * 38
    with pytest.raises(ImageError, match="damaged or incomplete"):
        load_image(bytes(data))


def test_first_frame_of_an_animation(image):
    frames = [Image.new("RGB", image.size, "black")]
    loaded = load_image(encoded(image, "GIF", save_all=True, append_images=frames))
    assert loaded.getpixel((0, 0)) == (255, 0, 0)


@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 1), (6, 5, 3), (6, 5, 4)])
def test_array_shapes(shape):
    loaded = load_image(np.full(shape, 255, np.uint8))
    assert loaded.size == (5, 6)
    assert loaded.getpixel((0, 0)) == (255, 255, 255)


def test_arrays_with_odd_strides():
    array = np.arange(2 * 4 * 3, dtype=np.uint8).reshape(2, 4, 3)[:, ::-1]
    assert (np.asarray(load_image(array)) == array).all()


def bomb(width: int, height: int) -> bytes:
    """A PNG header that promises many pixels and holds none."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    data = b"IDAT" + zlib.compress(b"")
    rest = struct.pack(">I", len(data) - 4) + data + struct.pack(">I", zlib.crc32(data))
    return b"\x89PNG\r\n\x1a\n" + chunk + rest


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (b"", "empty"),
        (b"hello, I am a text", "not an image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),
        (bomb(20_000, 20_000), "megapixels"),
        (bomb(10_000, 9_500), "10000 x 9500"),
        (bomb(50, 50), "damaged or incomplete"),
        (np.zeros((4, 4, 3), np.float32), "type float32"),
        (np.zeros((4, 4, 2), np.uint8), "shape 4x4x2"),
        (np.zeros((1, 4, 4, 3), np.uint8), "shape 1x4x4x3"),
        (np.zeros((0, 4, 3), np.uint8), "without a pixel"),
        (Image.new("RGB", (0, 5)), "no pixel"),
    ],
)
def test_unreadable_sources_are_refused(source, says):
    with pytest.raises(ImageError, match=says) as caught:
        load_image(source)
    assert "\n" not in str(caught.value) and ". " not in str(caught.value)
    assert str(caught.value).endswith(".")


def test_heic_without_its_reader_is_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    data = struct.pack(">I", 24) + b"ftypheic" + bytes(200)
    with pytest.raises(ImageError, match=r"HEIC image.* save it as JPEG"):
        load_image(data)


def test_heic_is_handed_to_its_reader(monkeypatch):
    asked: list[bool] = []
    reader = SimpleNamespace(register_heif_opener=lambda: asked.append(True))
    monkeypatch.setitem(sys.modules, "pillow_heif", reader)
    with pytest.raises(ImageError, match=r"not an image|damaged"):
        load_image(struct.pack(">I", 24) + b"ftypheic" + bytes(200))
    assert asked == [True]


def test_folder_and_closed_image(tmp_path, image):
    with pytest.raises(ImageError, match="is a folder"):
        load_image(tmp_path)
    path = tmp_path / "a.png"
    image.save(path)
    opened = Image.open(path)
    opened.close()
    with pytest.raises(ImageError, match=r"damaged|closed"):
        load_image(opened)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.9])
def test_truncated_files(form, share):
    noise = np.random.default_rng(0).integers(0, 255, (60, 60, 3), dtype=np.uint8)
    data = encoded(Image.fromarray(noise), form)
    with pytest.raises(ImageError, match=r"damaged|not an image"):
        load_image(data[: int(len(data) * share)])


def test_large_image_is_refused_before_decoding(tmp_path: Path):
    too_wide = Image.new("1", (MAX_PIXELS // 1000 + 1, 1000))
    with pytest.raises(ImageError, match="64 megapixels"):
        load_image(too_wide)
    too_wide.save(tmp_path / "wide.png")
    with pytest.raises(ImageError, match=r"wide.png has 64001 x 1000 pixels"):
        load_image(tmp_path / "wide.png")


def test_tensor_round_trip_is_exact():
    every_level = np.stack([np.arange(256, dtype=np.uint8).reshape(16, 16)] * 3, axis=-1)
    image = Image.fromarray(every_level)
    tensor = to_tensor(image)
    assert tensor.shape == (1, 3, 16, 16)
    assert tensor.dtype == torch.float32
    assert (float(tensor.min()), float(tensor.max())) == (-1, 1)
    assert distance(to_image(tensor), image) == 0
    assert distance(to_image(tensor[0]), image) == 0


def test_to_image_clamps_and_rejects_batches():
    pixels = torch.tensor([-9.0, 0.0, 9.0]).view(3, 1, 1).expand(3, 2, 2)
    assert to_image(pixels).getpixel((0, 0)) == (0, 128, 255)
    with pytest.raises(ValueError, match="expected"):
        to_image(torch.zeros(2, 3, 4, 4))


@pytest.mark.parametrize("size", [8, 24, 100, (16, 48)])
def test_resize_keeps_the_mean_and_takes_fine_detail_away(size):
    fine = torch.ones(1, 3, 48, 48)
    fine[..., ::2] = -1  # stripes of one pixel
    resized = resize_tensor(fine, size)
    height, width = (size, size) if isinstance(size, int) else size
    assert resized.shape == (1, 3, height, width)
    assert abs(float(resized.mean())) < 0.05
    if width <= 24:
        assert float(resized.abs().max()) < 0.3
