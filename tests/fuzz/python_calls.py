"""Calls of the package's functions with values that they should refuse, or take."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from tests.fuzz import values
from tests.fuzz.archives import archive
from tests.fuzz.harness import Case
from tests.fuzz.images import MODES, in_mode, random_image
from tests.fuzz.worker import Subject
from tmsa_core import EditRequest, load_editor
from tmsa_core.api.values import stacked
from tmsa_core.editing.archives import read_entries
from tmsa_core.editing.batch import BatchOptions, run_batch
from tmsa_core.imaging.images import load_image
from tmsa_core.imaging.metadata import read_recipe
from tmsa_core.text.cleaning import clean_text
from tmsa_core.ui.links import from_query, from_recipe
from tmsa_core.validation import number, parse_levels, whole

OBJECTS: tuple[Any, ...] = (
    b"", b"\0", object(), Decimal("NaN"), Decimal("1e999"), Fraction(1, 3), np.float32("nan"),
    np.int64(1), np.array([1, 2]), np.zeros((0, 3)), 1 + 2j, range(3), (), {1}, Path("x"), print,
)  # fmt: skip
SHAPES: tuple[tuple[int, ...], ...] = (
    (), (0,), (8, 8), (8, 8, 1), (8, 8, 2), (8, 8, 3), (8, 8, 4), (0, 8, 3), (8, 8, 3, 1),
)  # fmt: skip
TYPES = ("uint8", "int8", "uint16", "float32", "bool", "complex64", "object")


def make(rng: Random, subject: Subject) -> Case:
    """A call of a random function."""
    build = rng.choice(
        (_load_file, _load_file, _load_value, _edit, _edit, _prepare, _sample, _load_editor,
         _recipe, _parse, _parse, _batch, _archive)
    )  # fmt: skip
    return build(rng, subject)


def value(rng: Random) -> Any:
    """A value of any kind, of JSON or not."""
    return rng.choice((values.junk(rng), rng.choice(OBJECTS), rng.choice(values.NUMBERS)))


def path(rng: Random, folder: Path) -> Any:
    """The path of something that is not an image's file."""
    os.mkfifo(folder / "pipe")
    (folder / "loop").symlink_to("loop")
    (folder / "empty.png").touch()
    special = (
        "/dev/zero", "/dev/full", "/dev/null", "/proc/self/mem", ".", "/", "", "a\0b", "\ud800",
        "x" * 300, "x/" * 3000, folder, folder / "pipe", folder / "loop", folder / "empty.png",
        values.short_text(rng), "http://127.0.0.1:9/a.png",
    )  # fmt: skip
    return rng.choice(special)


def _case(name: str, call: Callable[..., Any], *args: Any) -> Case:
    words = ", ".join(f"{argument!r:.80}" for argument in args)
    return Case(re.sub(r"\s+| at 0x\w+", " ", f"{name}({words})"), lambda: call(*args))


def _load_file(rng: Random, subject: Subject) -> Case:
    data = random_image(rng, subject.portrait)
    if rng.random() < 0.5:
        return _case("load_image", load_image, data)
    file = subject.folder / "image.png"
    file.write_bytes(data)
    return _case("load_image", load_image, rng.choice((file, str(file))))


def _load_value(rng: Random, subject: Subject) -> Case:
    array = np.zeros(rng.choice(SHAPES), dtype=rng.choice(TYPES))
    mode = in_mode(subject.portrait, rng.choice(MODES), rng)
    return _case(
        "load_image", load_image, rng.choice((array, mode, value(rng), path(rng, subject.folder)))
    )


def _edit(rng: Random, subject: Subject) -> Case:
    fields: dict[str, Any] = {"neutral_text": values.text(rng), "target_text": values.text(rng)}
    for name in rng.sample(("alpha", "levels", "threshold", "paste_back", "target_text"), 1):
        fields[name] = value(rng)
    request: Any = EditRequest(**fields)
    request = rng.choice((request, request, [request] * rng.randrange(9), value(rng)))
    face: Any = subject.face if rng.random() < 0.9 else value(rng)
    return _case("edit", lambda _: subject.editor.edit(face, request), request)


def _prepare(rng: Random, subject: Subject) -> Case:
    image: Any = rng.choice((random_image(rng, subject.portrait), subject.portrait, value(rng)))
    options = {rng.choice(("inversion", "face", "aligned")): value(rng)}
    return _case("prepare", lambda *_: subject.editor.prepare(image, **options), image, options)


def _sample(rng: Random, subject: Subject) -> Case:
    editor = subject.editor
    call, name = rng.choice(
        ((editor.sample, "sample"), (editor.draw, "draw"), (editor.shift, "shift"),
         (editor.unknown_words, "unknown_words"), (editor.embed_text, "embed_text"))
    )  # fmt: skip
    first = value(rng) if name == "sample" else values.text(rng)
    second = {"sample": value(rng), "draw": value(rng), "shift": values.text(rng)}
    return _case(name, call, first, *([second[name]] if name in second else []))


def _load_editor(rng: Random, subject: Subject) -> Case:
    options = {rng.choice(("device", "dtype", "domain")): value(rng)}
    options.setdefault("domain", rng.choice(("car", "no", values.text(rng))))
    return _case("load_editor", lambda _: load_editor(**options), options)


def _recipe(rng: Random, subject: Subject) -> Case:
    if rng.random() < 0.5:
        return _case("from_recipe", from_recipe, rng.choice((values.recipe(rng), value(rng))))
    file = subject.folder / "image.png"
    file.write_bytes(random_image(rng, subject.portrait))
    return _case("read_recipe", read_recipe, rng.choice((file, file, path(rng, subject.folder))))


def _parse(rng: Random, subject: Subject) -> Case:
    keys = ("target", "neutral", "alpha", "levels", "threshold", "seed", "sample", "domain")
    pairs = [(rng.choice(keys), str(value(rng))) for _ in range(rng.randrange(5))]
    first = EditRequest("human face", "old human face")
    return rng.choice(
        (
            _case("number", number, value(rng), "alpha"),
            _case("whole", whole, value(rng), "face"),
            _case("parse_levels", parse_levels, value(rng)),
            _case("from_query", from_query, pairs),
            _case("clean_text", clean_text, values.text(rng)),
            _case("stacked", stacked, first, values.edits(rng)),
            _case("stacked", stacked, first, json.dumps(values.edits(rng))),
        )
    )  # fmt: skip


def _batch(rng: Random, subject: Subject) -> Case:
    file = subject.folder / "sent.zip"
    file.write_bytes(archive(rng, subject.portrait))
    options = BatchOptions(**{rng.choice(("inversion", "face", "aligned", "format")): value(rng)})
    if rng.random() < 0.5:
        options = BatchOptions(aligned=True)
    out, requests = subject.folder / "out.zip", [EditRequest("human face", "old human face")]
    return _case(
        "run_batch",
        lambda *_: _few(run_batch(subject.editor, [file], requests, out, options)),
        options,
    )


def _archive(rng: Random, subject: Subject) -> Case:
    file = subject.folder / "sent.zip"
    file.write_bytes(archive(rng, subject.portrait))
    sources = rng.choice(([file], [file], [file, Path(str(path(rng, subject.folder)))]))
    return _case("read_entries", lambda _: _few(read_entries(sources), 3000), sources)


def _few(rows: Any, most: int = 20) -> None:
    """Draw some rows and stop."""
    for _ in zip(range(most), rows, strict=False):
        pass
    rows.close()
