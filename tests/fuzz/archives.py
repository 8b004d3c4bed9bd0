"""ZIP archives: damaged, lying, odd, and bombs."""

from __future__ import annotations

import functools
import io
import struct
import zipfile
from random import Random

from PIL import Image

from tests.fuzz.images import random_image

NAMES = (
    "a.png", "A.PNG", "b/c.jpg", "../up.png", "/root.png", "//x/y.png", "C:\\x.png", "..",
    "a/../../b.png", "/", "", "folder/", ".hidden.png", "__MACOSX/._a.png", "con.png", "a\x00b.png",
    "\u202egnp.exe", "=1+1.png", "x" * 5000 + ".png", "a\nb.png", "scores.csv", "recipe.json",
)  # fmt: skip
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
LINK = 0o120777 << 16
BOMB = 400 << 20  # bytes of one member, unpacked
MEMBERS = 300  # that overlap


def archive(rng: Random, base: Image.Image) -> bytes:
    """An archive of a few images, in one of many ways not as it should be."""
    make = rng.choice((_mixed, _mixed, _cut, _lying, _overlapping, _locked, _many, _nested, _bomb))
    return make(rng, base)


def _mixed(rng: Random, base: Image.Image) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as out:
        for name in rng.sample(NAMES, rng.randrange(3)):
            member = zipfile.ZipInfo(name or "x")
            member.filename = name  # ZipInfo would mend it
            member.compress_type = rng.choice(METHODS)
            member.external_attr = LINK if rng.random() < 0.2 else 0
            content = rng.choice((random_image(rng, base), b"../../etc/passwd", b"", b"text"))
            out.writestr(member, content)
    return buffer.getvalue()


def _cut(rng: Random, base: Image.Image) -> bytes:
    data = bytearray(_mixed(rng, base))
    for _ in range(rng.randrange(10)):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(data[rng.randrange(8) :]) + bytes(rng.randrange(3) * 70_000)


def _lying(rng: Random, base: Image.Image) -> bytes:
    """The sizes in the table of contents are not those of the members."""
    data = bytearray(_mixed(rng, base))
    start = data.find(b"PK\x01\x02")
    if start >= 0:
        lie = rng.choice((0, 1, 0xFFFFFFFE, 0xFFFFFFFF, 5 << 30 & 0xFFFFFFFF))
        struct.pack_into("<I", data, start + rng.choice((20, 24, 42)), lie)
    return bytes(data)


def _overlapping(rng: Random, base: Image.Image) -> bytes:
    """Many entries of the table of contents that name the bytes of one member."""
    content = bytes(rng.choice((1, 60)) << 20)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("a.png", content)
        out.filelist *= MEMBERS
    return buffer.getvalue()


def _locked(rng: Random, base: Image.Image) -> bytes:
    data = bytearray(_mixed(rng, base))
    for mark, offset in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        if (start := data.find(mark)) >= 0:
            data[start + offset] |= rng.choice((1, 0x20, 0x41))
    return bytes(data)


def _many(rng: Random, base: Image.Image) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as out:
        for number in range(rng.choice((20, 1001, 3000))):
            out.writestr(f"{number}.png", b"")
    return buffer.getvalue()


def _nested(rng: Random, base: Image.Image) -> bytes:
    data = _mixed(rng, base)
    for _ in range(rng.randrange(1, 5)):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as out:
            out.writestr(rng.choice(("inner.zip", "inner.png")), data)
        data = buffer.getvalue()
    return data


def _bomb(rng: Random, base: Image.Image) -> bytes:
    return _zeros(rng.choice(METHODS[1:]))


@functools.cache
def _zeros(method: int) -> bytes:
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(buffer, "w", method, compresslevel=1) as out,
        out.open("zeros.png", "w") as member,
    ):
        for _ in range(BOMB >> 20):
            member.write(bytes(1 << 20))
    return buffer.getvalue()
