"""The generated values: texts, numbers, JSON, images, archives, files and paths.

``Draw`` is the source of all that is random in one case, and remembers what it gave.
"""

from __future__ import annotations

import functools
import io
import json
import math
import os
import struct
import warnings
import zipfile
import zlib
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from PIL import Image, PngImagePlugin

TEXTS = (
    "human face", "human face with sunglasses", "", "   ", "\x00", "a\x00b\x1b[31m\x7f",
    "\ud800 half a pair", "\u202eecaf namuh\u202c\u2066", "<img src=x onerror=alert(1)>",
    "=cmd|' /C calc'!A0", "{0.__class__} %s %n ${x}", "../../../etc/passwd",
    "\U0001f469\u200d\U0001f680" * 40, "\u0130\u00df\ufb03\u1e9e", "-1", "null", "[1, 2",
)  # fmt: skip
FLOODS = ("\ufdfa", "a", "e\u0301", "\u202e", "<", "\U0001f600", "face ", "\u0e33", "[")
NUMBERS: tuple[Any, ...] = (
    0, 1, -1, 0.5, 2, 7, -0.0, 99, 1e9, -1e308, 1e-320, 2**31, 2**63, 2**64, 10**400, -(10**400),
    math.nan, math.inf, -math.inf, True, "1", "1e400", "NaN", "0x10", "1_0", "\u0663", " 2 ", "1,5",
    "9" * 5000,
)  # fmt: skip
JSON: tuple[Any, ...] = (
    None, True, False, [], {}, [[]], [None], {"": ""}, {"path": 5}, {"__type__": "update"},
    {"a": [1, {"b": None}]}, [0] * 1000, "1+2j",
)  # fmt: skip
OBJECTS: tuple[Any, ...] = (
    b"", b"\0", object(), Decimal("NaN"), Decimal("1e999"), Fraction(1, 3), np.float32("nan"),
    np.int64(1), np.array([1, 2]), np.zeros((0, 3)), 1 + 2j, range(3), (), {1}, Path("x"),
)  # fmt: skip
MODES = ("RGB", "1", "L", "LA", "P", "PA", "RGBA", "CMYK", "YCbCr", "LAB", "HSV", "I", "F", "I;16")
MEMBERS = (
    "a.png", "b/c.jpg", "../up.png", "/root.png", "//x/y.png", "C:\\x.png", "..", "/", "",
    "__MACOSX/._a.png", "a\x00b.png", "\u202egnp.exe", "=1+1.png", "x" * 5000 + ".png", "a\nb.png",
    "scores.csv", "inner.zip",
)  # fmt: skip
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)


class Draw:
    """The random values of one case.

    Args:
        seed: Of the run.
        kind: Of the case.
        index: Of the case.
        portrait: An image with a face.
        folder: An empty folder for files.
    """

    def __init__(
        self, seed: int, kind: str, index: int, portrait: Image.Image, folder: Path
    ) -> None:
        self.rng = Random(f"{seed}:{kind}:{index}")
        self.portrait, self.folder = portrait, folder
        self.drawn: list[str] = []

    def pick(self, *options: Any) -> Any:
        """One of the options; a function among them is called for its value."""
        option = self.rng.choice(options)
        value = option() if callable(option) else option
        self.drawn.append(f"{value!r:.60}".replace(f"{self.folder}/", ""))
        return value

    def text(self) -> str:
        """A short text, a flood of up to 300,000 letters, or random letters of all planes."""
        choice = self.rng.random()
        if choice < 0.6:
            return self.rng.choice(TEXTS)
        if choice < 0.8:
            return self.rng.choice(FLOODS) * self.rng.choice((50, 700, 5_000, 300_000))
        return "".join(chr(self.rng.randrange(0x110000)) for _ in range(self.rng.randrange(1, 200)))

    def name(self) -> str:
        """A text that fits into a request line or a command line: no NUL, no half pairs."""
        return self.text()[:300].encode("utf-8", "replace").decode().replace("\0", "")

    def number(self) -> Any:
        """A number, or a text like one."""
        return self.rng.choice(NUMBERS)

    def json(self) -> Any:
        """A value that JSON can hold."""
        nested: Any = functools.reduce(lambda inner, _: [inner], range(50), [])
        return self.pick(*JSON, nested, self.text, self.text, self.number, self.number)

    def any(self) -> Any:
        """A value of any kind."""
        return self.pick(self.json, self.number, *OBJECTS)

    def edits(self) -> Any:
        """What may be sent as a list of further edits."""
        good = {"target_text": self.text(), "alpha": self.number()}
        field = self.rng.choice(("target_text", "levels", "alpha", "threshold", "x"))
        wrong = good | {field: self.json()}
        return self.pick([good], [wrong], [good] * 20, [self.json()], self.json, "[" * 100_000)

    def recipe(self) -> Any:
        """What may stand in an image as its recipe."""
        edit = {"neutral_text": "human face", "target_text": self.text(), "alpha": self.json()}
        whole = {"domain": "avatar", "edits": [edit], "seed": self.number()}
        return self.pick(whole, whole | {"edits": self.json()}, whole | {"domain": self.json()})

    def array(self) -> np.ndarray:
        """An array that may look like pixels."""
        shapes = ((), (0,), (8, 8), (8, 8, 2), (8, 8, 3), (8, 8, 4), (0, 8, 3), (8, 8, 3, 1))
        kinds = ("uint8", "int8", "uint16", "float32", "bool", "complex64", "object")
        return np.zeros(self.rng.choice(shapes), dtype=self.rng.choice(kinds))

    def opened(self) -> Image.Image:
        """A small image in any mode; deep modes hold values that their files may hold."""
        side = self.rng.choice((1, 2, 40, 128))
        image = self.portrait.resize((side, self.rng.choice((1, side, 2 * side))))
        mode = self.rng.choice(MODES)
        if mode not in ("I", "F", "I;16"):
            return image.convert("P").convert("PA") if mode == "PA" else image.convert(mode)
        grey = np.asarray(image.convert("L"), dtype=np.float32)
        odd = self.rng.choice((1.0, 257.0, -1.0, np.nan, np.inf)) if mode == "F" else 200
        kind = {"I": np.int32, "F": np.float32, "I;16": np.uint16}[mode]
        with np.errstate(invalid="ignore"):
            return Image.fromarray((grey * odd).astype(kind))

    def image(self) -> bytes:
        """The file of an image: mostly damaged or odd, sometimes whole."""
        return self.pick(
            self._whole, self._whole, self._cut, self._flipped, self._flipped, self._huge,
            self._with_recipe, self._photo,
        )  # fmt: skip

    def _whole(self) -> bytes:
        Image.init()
        image, form = self.opened(), self.rng.choice(sorted(Image.SAVE))
        options: dict[str, Any] = {}  # never both: libavif crashes on a turned animation
        if self.rng.random() < 0.3:
            options["exif"] = Image.Exif()
            options["exif"][0x0112] = self.rng.choice((0, 3, 6, 9, 65535))  # orientation
        elif self.rng.random() < 0.4 and form in ("GIF", "PNG", "WEBP", "TIFF", "AVIF"):
            options = {"save_all": True, "append_images": [image.rotate(180)] * 3}
        buffer = io.BytesIO()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                image.save(buffer, form, **options)
            except Exception:  # Pillow refuses in many ways what a format cannot hold
                buffer = io.BytesIO()
                image.convert("RGB").save(buffer, "PNG")
        return buffer.getvalue()

    def _cut(self) -> bytes:
        data = self._whole()
        return data[: self.rng.randrange(len(data) + 1)]

    def _flipped(self) -> bytes:
        data = bytearray(self._whole())
        most = min(len(data), self.rng.choice((60, len(data))))  # the header, or everywhere
        for _ in range(self.rng.randrange(1, 30)):
            data[self.rng.randrange(most)] ^= 1 << self.rng.randrange(8)
        return bytes(data)

    def _huge(self) -> bytes:
        """Few bytes that declare very many pixels."""
        side = self.rng.choice((7_900, 60_000))
        head = b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
        chunks = (head, b"IDAT" + zlib.compress(b"\0" * 100))
        packed = (
            struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in chunks
        )
        jpeg_2000 = io.BytesIO()
        Image.new("RGB", (64, 64)).save(jpeg_2000, "JPEG2000")
        numbers = struct.pack(">I", 64), struct.pack(">I", side)
        return self.rng.choice(
            (
                b"\x89PNG\r\n\x1a\n" + b"".join(packed),
                b"GIF89a" + struct.pack("<HH", side, side) + b"\xf0\0\0" + b"\0" * 6 + b",\0\0\0\0",
                f"P6 {side} {side} 255\n".encode() + b"\0" * 64,
                jpeg_2000.getvalue().replace(*numbers),
            )
        )

    def _with_recipe(self) -> bytes:
        text = self.pick("[" * 100_000, "{", '{"domain": NaN}', json.dumps(self.recipe()))
        info = PngImagePlugin.PngInfo()
        info.add_text("tmsa", text.encode("utf-8", "replace").decode(), zip=True)
        buffer = io.BytesIO()
        self.portrait.save(buffer, "PNG", pnginfo=info)
        return buffer.getvalue()

    def _photo(self) -> bytes:
        """A photo, sometimes of twelve megapixels, with the face in it or without."""
        scale = self.rng.choice((1, 1, 1, 10))
        canvas = Image.new("RGB", (400 * scale, 300 * scale), "teal")
        if self.rng.random() < 0.5:
            face = self.portrait.resize((120 * scale, 120 * scale))
            canvas.paste(face, (130 * scale, 90 * scale))
        buffer = io.BytesIO()
        canvas.save(buffer, "JPEG")
        return buffer.getvalue()

    def archive(self) -> bytes:
        """A ZIP archive: damaged, lying, odd, or a bomb."""
        repeated = self.rng.choice((1, 1, 1, 300))  # entries that name the same bytes
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as out:
            for name in self.rng.sample(MEMBERS, self.rng.randrange(4)):
                member = zipfile.ZipInfo(name or "x")
                member.filename = name  # ZipInfo would mend it
                member.compress_type = self.rng.choice(METHODS)
                member.external_attr = 0o120777 << 16 if self.rng.random() < 0.2 else 0  # a link
                out.writestr(member, self.pick(self.image, b"../../etc/passwd", b""))
            out.filelist *= repeated
        data = bytearray(buffer.getvalue())
        start = data.find(b"PK\x01\x02")  # of the table of contents
        if start >= 0 and self.rng.random() < 0.3:
            place = self.rng.choice((8, 20, 24, 42))  # flags, sizes, offset
            struct.pack_into("<I", data, start + place, self.rng.choice((0, 1, 0xFFFFFFFE)))
        damaged = bytes(data[self.rng.randrange(8) :]) + bytes(70_000)
        many = functools.partial(_zip, self.rng.choice((20, 1001)), 0, METHODS[0])
        bomb = functools.partial(_zip, 1, 400 << 20, self.rng.choice(METHODS[1:3]))
        return self.pick(bytes(data), bytes(data), damaged, many, bomb)

    def file(self, data: bytes, name: str = "sent") -> Path:
        """A file with this content."""
        path = self.folder / name
        path.write_bytes(data)
        return path

    def path(self) -> Any:
        """The path of something that is no image."""
        for link, target in (("loop", "loop"), ("full", "/dev/full"), ("null", "/dev/null")):
            if not (self.folder / link).is_symlink():
                (self.folder / link).symlink_to(target)
        if not (self.folder / "pipe").exists():
            os.mkfifo(self.folder / "pipe")
        here = [self.folder / name for name in ("loop", "full", "null", "pipe", "missing")]
        return self.pick(
            *here, self.folder, "/dev/zero", "/proc/self/mem", ".", "", "a\0b", "\ud800", "x" * 300,
            "x/" * 3000, self.text, "http://127.0.0.1:9/a.png",
        )  # fmt: skip


@functools.cache
def _zip(count: int, size: int, method: int) -> bytes:
    """An archive of many empty members, or of one with very many zeros."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method, compresslevel=1) as out:
        for number in range(count):
            with out.open(f"{number}.png", "w") as member:
                for _ in range(size >> 20):
                    member.write(bytes(1 << 20))
    return buffer.getvalue()
