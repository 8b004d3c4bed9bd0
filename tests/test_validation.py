"""What cannot be used is refused in one short sentence, whatever value and interface it comes by.

Each row: what is called, with which value, which error it raises and what its message says. The
quoted value is cut, so that no message is longer than a reader reads.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from PIL import Image

from tmsa_core import Editor, EditRequest, PreparedFace, load_editor
from tmsa_core.api.values import stacked
from tmsa_core.bundles import open_bundle
from tmsa_core.cli.main import main
from tmsa_core.devices import find_device
from tmsa_core.domains import find_domain
from tmsa_core.editing.shift import level_mask
from tmsa_core.errors import (
    LETTERS,
    BundleError,
    ImageError,
    RequestError,
    StrengthError,
    TextError,
    TmsaError,
    listed,
    quoted,
    shortened,
)
from tmsa_core.files import checked_path
from tmsa_core.imaging.images import load_image
from tmsa_core.imaging.metadata import check_destination, read_recipe, save_image
from tmsa_core.text.cleaning import clean_text
from tmsa_core.ui.edit_stack import Layer, new_history
from tmsa_core.ui.links import from_query, from_recipe
from tmsa_core.validation import (
    MAX_LAYERS,
    check_alpha,
    check_requests,
    check_threshold,
    choose_face,
    finite_number,
    is_whole,
    number,
    parse_levels,
    strengths,
    whole,
)

MAX_CHARACTERS = 300
EDIT = EditRequest("human face", "smiling human face")
HUGE = 10**400
HUGER = 10**5000  # more digits than Python writes
LONG = "x" * 5000
DEEP: list[Any] = []
for _ in range(3000):
    DEEP = [DEEP]
NO_TEXT = (None, 3, b"avatar", Path("avatar"), ["avatar"], {"a": 1}, 1.5, HUGER)


def refusal(error: type[TmsaError], call: Callable[..., Any], *values: Any, **named: Any) -> str:
    """The message of a refusal: one short sentence."""
    with pytest.raises(error) as caught:
        call(*values, **named)
    message = str(caught.value)
    assert message and "\n" not in message and message.isprintable()
    assert len(message) <= MAX_CHARACTERS
    assert message.rstrip().endswith((".", '".'))
    return message


def recipe_with(**fields: Any) -> dict[str, Any]:
    return {"edits": [{"neutral_text": "a", "target_text": "b"} | fields]}


def one_more(**fields: Any) -> list[EditRequest]:
    return stacked(EDIT, [{"target_text": "b"} | fields])


VALUES: list[tuple[Callable[..., Any], Any, type[TmsaError], str]] = [
    *(
        (check_requests, wrong, RequestError, "EditRequest")
        for wrong in (LONG, None, 3, [EDIT, "smile"])
    ),
    (check_requests, [], RequestError, "empty"),
    *(
        (check_alpha, wrong, StrengthError, "use a number from -10 to 10")
        for wrong in (True, "1", LONG, None, np.nan, float("inf"), -10.01, HUGE, HUGER, 1j, DEEP)
    ),
    *(
        (check_threshold, wrong, RequestError, "threshold is")
        for wrong in (-0.01, 1, float("nan"), None, LONG, HUGE, HUGER, DEEP)
    ),
    *(
        (lambda wrong: number(wrong, "alpha"), wrong, RequestError, "alpha must be a number")
        for wrong in (HUGE, -HUGE, HUGER, LONG, None, [1], {}, b"x" * 5000, DEEP)
    ),
    *(
        (lambda wrong: whole(wrong, "seed"), wrong, RequestError, "seed must be a")
        for wrong in (1.5, "1.5", "1e400", float("nan"), LONG, None, DEEP)
    ),
    *(
        (lambda wrong: strengths(wrong, 2, 7), wrong, RequestError, "alpha_from")
        for wrong in (HUGE, float("inf"), float("nan"), LONG)
    ),
    *(
        (lambda wrong: strengths(0, 2, wrong), wrong, RequestError, "steps must be")
        for wrong in (1, 16, HUGE, 2.5, LONG)
    ),
    *(
        (lambda wrong: level_mask(parse_levels(wrong), 12), wrong, RequestError, "levels")
        for wrong in ("--1", "²", LONG, [HUGER], [LONG], [0.5], 3.5, {"a": 1}, b"all", HUGE, DEEP)
    ),
    *(
        (lambda wrong: level_mask(wrong, 12), wrong, RequestError, "levels")
        for wrong in (None, 3, LONG, (12,), (-1,), (True,), (HUGER,))
    ),
    *(
        (lambda wrong: one_more(**wrong), wrong, RequestError, "more_edits|must be a number|levels")
        for wrong in (
            {"alpha": HUGE},
            {"threshold": HUGE},
            {"alpha": LONG},
            {LONG: 1},
            {"target_text": 3},
            {"neutral_text": 3},
            {"levels": 3.5},
        )
    ),
    *(
        (lambda wrong: stacked(EDIT, wrong), wrong, RequestError, "more_edits")
        for wrong in ("{", "[" * 200_000, 3, "3", [3], [{}] * MAX_LAYERS, DEEP)
    ),
    *(
        (from_recipe, wrong, RequestError, "recipe cannot be read")
        for wrong in (
            {"edits": 3},
            {"edits": ["a"]},
            {"edits": [{"neutral_text": "a"}]},
            {"edits": [], "seed": "x"},
            {"edits": [], "seed": float("inf")},
            {"edits": [], "domain": DEEP},
            {"edits": [], "sample": 3},
            recipe_with(levels=["x"]),
            recipe_with(alpha=float("nan")),
            recipe_with(alpha=HUGE),
            recipe_with(threshold=float("inf")),
            recipe_with(target_text=DEEP),
        )
    ),
    *(
        (lambda wrong: from_query([("target", "a"), wrong]), wrong, RequestError, "")
        for wrong in (
            ("alpha", "much"),
            ("alpha", LONG),
            ("alpha", "1e400"),
            ("seed", "x"),
            ("seed", "inf"),
            ("seed", LONG),
            ("threshold", ""),
        )
    ),
    *(
        (find_domain, wrong, RequestError, "There is no domain")
        for wrong in ("dog", LONG, *NO_TEXT)
    ),
    *(
        (find_device, wrong, RequestError, "device")
        for wrong in ("abacus", "meta", "", "cpu\0", LONG, *NO_TEXT)
    ),
    *((clean_text, wrong, TextError, "write it as a text") for wrong in NO_TEXT if wrong),
    *(
        (checked_path, wrong, RequestError, "path")
        for wrong in ("", "a\0b", "\ud800.png", LONG, "é" * 128, "a/" * 2500, None, 3, b"a", HUGER)
    ),
    *(
        (load_image, wrong, ImageError, says)
        for wrong, says in (
            ("no/such/file.png", "does not exist"),
            (f"no/{'x' * 250}.png", "does not exist"),
            ("", "empty"),
            ("null\0byte.png", "no file name can hold"),
            ("lone\ud800.png", "no file name can hold"),
            (LONG + ".png", "too long"),
            ("/", "folder"),
            (None, "Got nothing"),
            (42, "Got a int"),
            (np.zeros((4, 4), [(LONG, "u1")]), "of type"),
            (np.zeros((1,) * 30, np.uint8), "of shape"),
        )
    ),
    *(
        (read_recipe, wrong, ImageError, says)
        for wrong, says in (
            ("no.png", "does not exist"),
            ("a\0.png", "no file name can hold"),
            (LONG, "too long"),
            ("/", "folder"),
            (None, "instead of a path"),
        )
    ),
    *(
        (lambda wrong: check_destination(Path(wrong)), wrong, ImageError, says)
        for wrong, says in (
            ("a\0.png", "no file name can hold"),
            ("\ud800.png", "no file name can hold"),
            (LONG + ".png", "too long"),
            ("out.gif", "'out.gif'"),
            (f"nowhere/{'x' * 200}/out.png", "does not exist"),
        )
    ),
    *(
        (lambda wrong: Layer(EditRequest("a", "b", wrong)), wrong, StrengthError, "alpha is")
        for wrong in (HUGE, HUGER, float("nan"), None, LONG)
    ),
    *(
        (lambda wrong: new_history([EDIT]).now.act("choose", wrong), wrong, RequestError, "no edit")
        for wrong in (1, -1, HUGER, None, LONG, 0.0)
    ),
    *(
        (lambda wrong: new_history([EDIT]).now.act(wrong, 0), wrong, RequestError, "no action")
        for wrong in (LONG, None, ["up"])
    ),
    *(
        (lambda wrong: open_bundle("avatar", wrong), wrong, RequestError, "path")
        for wrong in ("a\0", LONG, 3, b"folder", "")
    ),
]


@pytest.mark.parametrize(
    ("call", "value", "error", "says"),
    VALUES,
    ids=[f"{i}-{says[:20]}-{shortened(quoted(value))[:24]}" for i, (_, value, _, says) in
         enumerate(VALUES)],
)  # fmt: skip
def test_a_wrong_value_is_refused_in_one_short_sentence(
    call: Callable[..., Any], value: Any, error: type[TmsaError], says: str
) -> None:
    message = refusal(error, call, value)
    assert any(part in message for part in says.split("|"))


LOADING = {
    "dtype": ("int3", torch.int8, torch.float8_e4m3fn, LONG, *NO_TEXT),
    "device": (None, b"cpu", Path("cpu"), 0),
    "domain": NO_TEXT,
    "folder": (3, b"folder", "a\0b", LONG),
    "progress": (None, "print", 3),
    "on_gpu": ("yes", 3),
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in LOADING.items() for value in values],
    ids=lambda value: quoted(value)[:24],
)  # fmt: skip
def test_an_editor_is_not_loaded_from_wrong_values(name: str, value: Any) -> None:
    message = refusal(RequestError, load_editor, **({"device": "cpu"} | {name: value}))
    assert name in message or name == "folder"


def test_an_empty_folder_has_no_bundle(tmp_path: Path) -> None:
    message = refusal(BundleError, load_editor, "avatar", device="cpu", folder=tmp_path)
    assert "No bundle" in message and str(tmp_path.parent) not in message


CALLS: dict[str, tuple[Callable[[Editor, PreparedFace], Any], str]] = {
    "alpha": (lambda e, f: e.edit(f, EditRequest("a", "b", HUGE)), "alpha is"),
    "alpha in a recipe": (lambda e, f: e.recipe([EditRequest("a", "b", HUGE)]), "alpha is"),
    "levels in a recipe": (lambda e, f: e.recipe([EditRequest("a", "b", 1, [DEEP])]), "levels"),
    "levels": (lambda e, f: e.edit(f, EditRequest("a", "b", 1, [LONG])), "levels"),
    "threshold": (lambda e, f: e.edit(f, EditRequest("a", "b", 1, "all", HUGE)), "threshold"),
    "texts": (lambda e, f: e.edit(f, EditRequest(3, "b")), "neutral text"),
    "no face": (lambda e, f: e.edit(LONG, EDIT), "instead of a prepared face"),
    "no result": (lambda e, f: e.scores(f, LONG), "instead of a result"),
    "faces without edits": (lambda e, f: e.edit_many([f, f], [EDIT]), "2 faces and 1 edits"),
    "seed": (lambda e, f: e.sample(HUGER), "seed is"),
    "truncation": (lambda e, f: e.sample(0, HUGE), "truncation is"),
    "strength": (lambda e, f: e.draw("old face", HUGE), "alpha is"),
    "inversion": (lambda e, f: e.prepare(f.crop, inversion=LONG), "inversion is"),
    "no inversion": (lambda e, f: e.prepare(f.crop, inversion=None), "inversion is"),
    "words": (lambda e, f: e.unknown_words(3), "write it as a text"),
    "image": (lambda e, f: e.embed_image(3), "instead of an image"),
}


@pytest.mark.parametrize("case", CALLS)
def test_an_editor_refuses_wrong_values(
    editor: Editor, avatar_face: PreparedFace, case: str
) -> None:
    call, says = CALLS[case]
    assert says in refusal(TmsaError, call, editor, avatar_face)


@pytest.mark.parametrize("edits", [EDIT, [EDIT], (EDIT,), iter([EDIT])])
def test_one_edit_or_several_become_a_tuple(edits: Any) -> None:
    assert check_requests(edits) == (EDIT,)


def test_real_numbers_of_every_type_are_accepted() -> None:
    for alpha in (0, -10, 10.0, np.float32(1.5), np.int64(2), Fraction(1, 2)):
        assert check_alpha(alpha) == float(alpha)
    assert check_threshold(0) == 0 and check_threshold(0.99) == 0.99
    assert finite_number(True) is None and not is_whole(False)
    assert finite_number(np.float64("-inf")) is None
    assert is_whole(np.int8(3)) and not is_whole(3.0)


def test_a_face_is_chosen_by_its_number() -> None:
    assert choose_face(["left", "right"], np.int32(1)) == "right"
    for wrong in (-1, 2, 0.0, "0", True, HUGER, LONG):
        assert "use a number from 0 to 1" in refusal(
            RequestError, choose_face, ["left", "right"], wrong
        )
    assert "1 face was found" in refusal(RequestError, choose_face, ["one"], 1)


def test_long_seeds_stay_exact() -> None:
    seed = 2**53 + 1
    assert whole(seed, "seed") == seed
    assert from_query([("seed", str(seed))]).seed == seed


class Loud:
    """An object whose description is long and on many lines."""

    def __repr__(self) -> str:
        return "loud\n" * 1000


@pytest.mark.parametrize(
    "value",
    [LONG, b"\xff" * 10**7, HUGE, HUGER, DEEP, Loud(), {LONG: LONG}, "\ud800\n\x1b[31m"],
    ids=["text", "bytes", "400 digits", "5000 digits", "nested", "object", "mapping", "escapes"],
)
def test_quoted_values_are_cut_to_one_printable_line(value: object) -> None:
    for words in (quoted(value), shortened(quoted(value)), listed([quoted(value)])):
        assert 0 < len(words) <= LETTERS and words.isprintable()


def test_short_values_are_quoted_whole() -> None:
    assert quoted("dog") == "'dog'" and quoted(3) == "3" and shortened("a name") == "a name"
    assert listed("abcdef") == "a, b, c, d, ..."


@pytest.mark.parametrize("kind", ["device", "full device", "pipe", "socket", "folder"])
def test_only_regular_files_are_read(tmp_path: Path, kind: str) -> None:
    """The devices would never end, the pipe never begin."""
    path = {"device": Path("/dev/zero"), "full device": Path("/dev/full")}.get(kind)
    path = path or tmp_path / "in.png"
    if kind == "pipe":
        os.mkfifo(path)
    if kind == "folder":
        path.mkdir()
    with socket.socket(socket.AF_UNIX) as open_socket:
        if kind == "socket":
            open_socket.bind(str(path))
        for read in (load_image, read_recipe):
            message = refusal(ImageError, read, path)
            assert ("is a folder" if kind == "folder" else "device or a pipe") in message
            assert str(tmp_path) not in message
        if kind not in ("socket", "device", "full device"):
            refusal(ImageError, save_image, Image.new("RGB", (2, 2)), path)


def test_a_file_is_read_up_to_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "large.png"
    path.write_bytes(bytes(2 << 20))
    monkeypatch.setattr("tmsa_core.imaging.images.MAX_BYTES", 1 << 20)
    assert "more than 1 MB" in refusal(ImageError, load_image, path)


ARGUMENTS: dict[str, list[str]] = {
    "null byte": ["edit", "a\0b.png", "-o", "out.png", "--target", "old face"],
    "surrogate": ["edit", "a\ud800.png", "-o", "out.png", "--target", "old face"],
    "long name": ["edit", LONG, "-o", "out.png", "--target", "old face"],
    "long output": ["sample", "-o", f"{LONG}.png"],
    "long domain": ["sample", "-o", "out.png", "--domain", LONG],
    "long device": ["sample", "-o", "out.png", "--device", LONG],
    "long number": ["sample", "-o", "out.png", "--seed", "9" * 5000],
    "huge seed": ["sample", "-o", "out.png", "--seed", "9" * 400],
    "huge face": ["align", "in.png", "-o", "out.png", "--face", "9" * 400],
    "infinite alpha": ["edit", "in.png", "-o", "out.png", "--target", "x", "--alpha", "1e400"],
    "long levels": ["edit", "in.png", "-o", "out.png", "--target", "x", "--levels", LONG],
    "long list": ["edit", "in.png", "-o", "out.png", "--target", "x", "--levels", "1,x" * 999],
    "long command": [LONG],
    "long option": ["sample", f"--{LONG}"],
    "long words": ["sample", "-o", "out.png", "--seed", "one " * 999],
    "long stage": ["train", "avatar", LONG],
    "long figure": ["figures", LONG],
    "long method": ["evaluate", "--methods", LONG],
    "long study": ["measure", LONG],
    "long bundle": ["evaluate", LONG],
    "long repository": ["publish", "avatar", LONG],
    "long prompts": ["evaluate", "--prompts", LONG, "--methods", "tmsa"],
    "long votes": ["study", "--table", "--votes", LONG],
}


@pytest.mark.parametrize("case", ARGUMENTS)
def test_a_command_refuses_in_one_short_sentence(
    case: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (64, 64), "white").save("in.png")
    assert main(ARGUMENTS[case]) in (1, 2)
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1
    assert len(said.err) <= len("Error: \n") + MAX_CHARACTERS


def test_a_file_name_that_is_not_unicode_is_printed(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name = os.fsdecode(b"caf\xe9.png")
    assert main(["sample", "-o", name]) == 0
    assert Path(name).is_file() and capfdbinary.readouterr().out.startswith(b"caf")


def test_deeply_nested_json_is_not_a_recipe(tmp_path: Path) -> None:
    texts = ("[" * 200_000, '{"domain": ' * 100_000, json.dumps([1]), "x")
    for place, text in enumerate(texts):
        image = Image.new("RGB", (4, 4))
        image.info["tmsa"] = text
        assert read_recipe(image) is None
        from PIL.PngImagePlugin import PngInfo

        information = PngInfo()
        information.add_text("tmsa", text)
        path = tmp_path / f"{place}.png"
        image.save(path, pnginfo=information)
        assert read_recipe(path) is None


NUMBERS_BY_HTTP: dict[str, list[Any]] = {
    "sample": [HUGE, 0.7, ""],
    "sample truncation": [0, HUGE, ""],
    "sweep": [None, "a", "b", HUGE, 2, 7, "e4e", 0, False, ""],
    "sweep steps": [None, "a", "b", 0, 2, HUGE, "e4e", 0, False, ""],
}


@pytest.mark.parametrize("case", NUMBERS_BY_HTTP)
def test_huge_numbers_are_refused_over_http(server: str, case: str) -> None:
    name = case.split(maxsplit=1)[0]
    calls = f"{server.rstrip('/')}/gradio_api/call/{name}"
    asked = httpx.post(calls, json={"data": NUMBERS_BY_HTTP[case]}, timeout=200)
    with httpx.stream("GET", f"{calls}/{asked.json()['event_id']}", timeout=120) as answer:
        said = "".join(answer.iter_text())
    assert "event: error" in said and len(said) < 2 * MAX_CHARACTERS
    assert any(what in said for what in ("number", "seed is", "truncation is", "steps must"))
