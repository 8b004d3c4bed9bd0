"""Encoded images: every format that Pillow writes, in every mode, whole and damaged."""

from __future__ import annotations

import functools
import io
import json
import struct
import warnings
import zlib
from random import Random

import numpy as np
from PIL import Image, PngImagePlugin

from tests.fuzz.values import nested, recipe

MODES = (
    "RGB", "1", "L", "LA", "P", "PA", "RGBA", "CMYK", "YCbCr", "LAB", "HSV", "I", "F", "I;16",
    "RGBX",
)  # fmt: skip
HUGE = 60_000  # pixels a side that a header declares
ORIENTATION = 0x0112  # the EXIF tag


@functools.cache
def formats() -> tuple[str, ...]:
    """The formats that Pillow writes here."""
    Image.init()
    return tuple(sorted(Image.SAVE))


def random_image(rng: Random, base: Image.Image) -> bytes:
    """An image's file: mostly damaged or odd, sometimes whole. base: a portrait."""
    make = rng.choice((_whole, _whole, _cut, _flipped, _flipped, _huge, _with_recipe, _large))
    return make(rng, base)


def in_mode(image: Image.Image, mode: str, rng: Random) -> Image.Image:
    """The image in a mode; deep modes get values that their files may hold."""
    if mode in ("I", "F", "I;16"):
        grey = np.asarray(image.convert("L"), dtype=np.float32)
        odd = rng.choice((1.0, 257.0, 1 / 255, -1.0, np.nan, np.inf)) if mode == "F" else 200
        kind = {"I": np.int32, "F": np.float32, "I;16": np.uint16}[mode]
        with np.errstate(invalid="ignore"):
            return Image.fromarray((grey * odd).astype(kind))
    return image.convert("P").convert("PA") if mode == "PA" else image.convert(mode)


def encode(image: Image.Image, form: str, rng: Random) -> bytes:
    """The image in a format; as PNG where the format does not hold such an image."""
    options: dict[str, object] = {}  # never both: libavif crashes on a turned animation
    if rng.random() < 0.3:
        exif = Image.Exif()
        exif[ORIENTATION] = rng.choice((0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 65535))
        options["exif"] = exif
    elif rng.random() < 0.4 and form in ("GIF", "PNG", "WEBP", "TIFF", "AVIF"):
        options |= {"save_all": True, "append_images": [image.rotate(180)] * 3}
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            image.save(buffer, form, **options)
        except Exception:  # Pillow refuses in many ways what a format cannot hold
            buffer = io.BytesIO()
            image.convert("RGB").save(buffer, "PNG")
    return buffer.getvalue()


def _whole(rng: Random, base: Image.Image) -> bytes:
    side = rng.choice((1, 2, 40, 128, 257))
    small = base.resize((side, rng.choice((1, side, 2 * side))))
    return encode(in_mode(small, rng.choice(MODES), rng), rng.choice(formats()), rng)


def _cut(rng: Random, base: Image.Image) -> bytes:
    data = _whole(rng, base)
    return data[: rng.randrange(len(data) + 1)]


def _flipped(rng: Random, base: Image.Image) -> bytes:
    data = bytearray(_whole(rng, base))
    most = rng.choice((60, len(data)))  # damage to headers says more than damage to pixels
    for _ in range(rng.randrange(1, 30)):
        data[rng.randrange(min(most, len(data)))] ^= 1 << rng.randrange(8)
    return bytes(data)


def _huge(rng: Random, base: Image.Image) -> bytes:
    """Few bytes that declare very many pixels."""
    side = rng.choice((7_900, HUGE))
    return rng.choice((_huge_png, _huge_gif, _huge_bmp, _huge_ppm, _huge_jpeg_2000))(side)


def _huge_png(side: int) -> bytes:
    chunk = b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(b"\0" * 100)
    chunks = (
        struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in (chunk, data)
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _huge_gif(side: int) -> bytes:
    return b"GIF89a" + struct.pack("<HH", side, side) + b"\xf0\0\0" + b"\0" * 6 + b",\0\0\0\0"


def _huge_bmp(side: int) -> bytes:
    header = struct.pack("<IiiHHIIiiII", 40, side, -side, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + header + b"\0" * 64


def _huge_ppm(side: int) -> bytes:
    return f"P6 {side} {side} 255\n".encode() + b"\0" * 64


def _huge_jpeg_2000(side: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64)).save(buffer, "JPEG2000")
    # Width and height of the image and of its one tile are all 64, and nothing else near is.
    return buffer.getvalue().replace(struct.pack(">I", 64), struct.pack(">I", side))


def _with_recipe(rng: Random, base: Image.Image) -> bytes:
    text = rng.choice(
        (json.dumps(recipe(rng)), json.dumps(nested(800)), "[" * 100_000, "{", '{"domain": NaN}')
    )
    info = PngImagePlugin.PngInfo()
    info.add_text("tmsa", text.encode("utf-8", "replace").decode(), zip=rng.random() < 0.5)
    buffer = io.BytesIO()
    base.save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def _large(rng: Random, base: Image.Image) -> bytes:
    """Sometimes a photo of twelve megapixels with the face in it, or with none."""
    if rng.random() < 0.8:
        return _whole(rng, base)
    canvas = Image.new("RGB", (4000, 3000), "teal")
    if rng.random() < 0.5:
        canvas.paste(base.resize((1200, 1200)), (1300, 900))
    return encode(canvas, "JPEG", rng)
