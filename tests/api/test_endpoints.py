"""The HTTP endpoints, called by Gradio's client on a live server."""

from __future__ import annotations

import base64
import io
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from tmsa_core import Editor, EditRequest
from tmsa_core.imaging.metadata import read_recipe

TEXTS = ("human face", "human face with sunglasses")
ALIGNED = {"aligned": True}


@pytest.fixture(scope="module")
def client(server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    downloads = tmp_path_factory.mktemp("downloads")
    client = Client(server, verbose=False, download_files=downloads, analytics_enabled=False)
    yield client
    client.close()


@pytest.fixture(scope="module")
def file(portrait: Image.Image, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("images") / "portrait.png"
    portrait.save(path)
    return path


def pixels(path: str | Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def test_endpoints_are_these(client: Client) -> None:
    described = client.view_api(return_format="dict")
    assert set(described["named_endpoints"]) == {
        "/edit",
        "/align",
        "/invert",
        "/sweep",
        "/sample",
        "/domains",
        "/batch",
    }
    assert not described["unnamed_endpoints"]


def test_edit_takes_four_values_first_and_defaults_after(client: Client) -> None:
    parameters = client.view_api(return_format="dict")["named_endpoints"]["/edit"]["parameters"]
    names = [p["parameter_name"] for p in parameters]
    assert names[:4] == ["image", "neutral_text", "target_text", "alpha"]
    assert all(p["parameter_has_default"] for p in parameters[4:])


def test_edit_gives_a_png_with_its_recipe(client: Client, file: Path) -> None:
    path = client.predict(handle_file(file), *TEXTS, 1.0, api_name="/edit", **ALIGNED)
    with Image.open(path) as image:
        assert image.format == "PNG"
    recipe = read_recipe(path)
    assert recipe["edits"][0]["target_text"] == TEXTS[1] and recipe["domain"] == "avatar"
    assert recipe["inversion"] == "e4e"
    assert pixels(path).shape == pixels(file).shape
    assert np.abs(pixels(path) - pixels(file)).mean() > 1


MORE = [{"target_text": "old human face", "alpha": 0.5, "levels": "coarse", "threshold": 0.1}]


@pytest.mark.parametrize("more", [MORE, json.dumps(MORE)], ids=["list", "text"])
def test_edit_takes_several_edits(
    client: Client, file: Path, editor: Editor, portrait: Image.Image, more: object
) -> None:
    path = client.predict(
        handle_file(file), *TEXTS, 1.0, api_name="/edit", more_edits=more, **ALIGNED
    )
    first, second = read_recipe(path)["edits"]
    assert first["target_text"] == TEXTS[1]
    assert second == {"neutral_text": TEXTS[0], **MORE[0]}
    requests = [EditRequest(*TEXTS), EditRequest(TEXTS[0], "old human face", 0.5, "coarse", 0.1)]
    wanted = editor.edit(editor.prepare(portrait, aligned=True), requests)
    assert np.array_equal(pixels(path), np.asarray(wanted.image).astype(int))


BAD_LISTS: dict[str, tuple[object, str]] = {
    "no JSON": ("[{", "not JSON"),
    "no list": ({"target_text": "old"}, "a list"),
    "no object": (["old human face"], "object"),
    "unknown field": ([{"target_text": "old human face", "strength": 1}], "fields"),
    "no text": ([{"alpha": 1}], "target_text"),
    "alpha is text": ([{"target_text": "old human face", "alpha": "much"}], "number"),
    "too many": (MORE * 8, "at most 7"),
    "level": ([{"target_text": "old human face", "levels": [0, 99]}], "level"),
    "empty text": ([{"target_text": " "}], "empty"),
}


@pytest.mark.parametrize("case", BAD_LISTS)
def test_bad_list_of_edits_is_one_clear_sentence(client: Client, file: Path, case: str) -> None:
    more, message = BAD_LISTS[case]
    with pytest.raises(AppError, match=message) as caught:
        client.predict(handle_file(file), *TEXTS, 1.0, api_name="/edit", more_edits=more, **ALIGNED)
    assert "Traceback" not in str(caught.value) and len(str(caught.value)) < 300


def test_edit_finds_the_face_by_itself(client: Client, file: Path) -> None:
    path = client.predict(handle_file(file), *TEXTS, 1.0, api_name="/edit")
    assert pixels(path).shape == pixels(file).shape


def test_edit_at_zero_is_the_inversion(client: Client, file: Path, editor: Editor) -> None:
    edited = client.predict(
        handle_file(file), *TEXTS, 0.0, paste_back=False, api_name="/edit", **ALIGNED
    )
    inverted, code = client.predict(handle_file(file), api_name="/invert", **ALIGNED)
    assert np.array_equal(pixels(edited), pixels(inverted))
    assert np.asarray(code["w_plus"]).shape == (editor.domain.levels, 512)


def test_align_says_where_the_face_is(client: Client, file: Path, editor: Editor) -> None:
    crop, found = client.predict(handle_file(file), api_name="/align")
    assert pixels(crop).shape == (editor.domain.resolution, editor.domain.resolution, 3)
    left, top, right, bottom = found["faces"][0]
    assert left < right and top < bottom and len(found["quad"]) == 4


def test_sweep_gives_an_image_for_each_strength(client: Client, file: Path) -> None:
    images = client.predict(handle_file(file), *TEXTS, -1, 1, 3, api_name="/sweep", **ALIGNED)
    assert [p["caption"] for p in images] == ["-1", "0", "1"]
    first, _, third = (pixels(p["image"]) for p in images)
    assert np.abs(first - third).mean() > 1


def test_sample_is_decided_by_its_seed(client: Client) -> None:
    one, same, other = (client.predict(seed, api_name="/sample") for seed in (5, 5, 6))
    assert np.array_equal(pixels(one), pixels(same))
    assert not np.array_equal(pixels(one), pixels(other))
    assert read_recipe(one)["edits"] == []


def test_domains_are_listed_with_reasons(client: Client) -> None:
    rows = {row["key"]: row for row in client.predict(api_name="/domains")}
    assert rows["avatar"]["available"] and rows["ffhq"]["title"] == "Photos of faces"
    assert all(row["available"] or row["reason"] for row in rows.values())
    assert rows["avatar"]["can_edit"] and not rows["avatar"]["missing"]
    assert "non-commercial" in rows["ffhq"]["notice"]
    assert "e4e_ffhq_encode.pt" in [file["name"] for file in rows["ffhq"]["missing"]]


BAD_REQUESTS: dict[str, tuple[tuple, str]] = {
    "empty target": (("human face", "", 1.0), "empty"),
    "empty neutral": (("   ", "human face", 1.0), "empty"),
    "too long": (("human face", "glasses " * 90, 1.0), "too long"),
    "alpha is text": ((*TEXTS, "strong"), "number"),
    "alpha is huge": ((*TEXTS, 1e9), "alpha"),
    "unknown levels": ((*TEXTS, 1.0, "upper"), "levels"),
    "level out of range": ((*TEXTS, 1.0, "0,99"), "level"),
    "threshold": ((*TEXTS, 1.0, "all", 1.5), "threshold"),
    "inversion": ((*TEXTS, 1.0, "all", 0.0, "magic"), "inversion"),
}


@pytest.mark.parametrize("case", BAD_REQUESTS)
def test_bad_request_is_one_clear_sentence(client: Client, file: Path, case: str) -> None:
    values, message = BAD_REQUESTS[case]
    with pytest.raises(AppError, match=message) as caught:
        client.predict(handle_file(file), *values, api_name="/edit", **ALIGNED)
    assert "Traceback" not in str(caught.value) and len(str(caught.value)) < 300


@pytest.mark.parametrize("alpha", ["NaN", "Infinity", "-Infinity"])
def test_alpha_that_is_not_finite_is_refused(client: Client, file: Path, alpha: str) -> None:
    with pytest.raises(AppError, match="alpha"):
        client.predict(handle_file(file), *TEXTS, alpha, api_name="/edit", **ALIGNED)


def test_missing_image_and_missing_face_are_said(client: Client, file: Path) -> None:
    with pytest.raises(AppError, match="no image"):
        client.predict(None, *TEXTS, 1.0, api_name="/edit")
    with pytest.raises(AppError, match="face number 7"):
        client.predict(handle_file(file), 7, api_name="/align")


BAD_FILES: dict[str, bytes] = {
    "text.png": b"this is no image",
    "empty.jpg": b"",
    "script.html": b"<script>alert(1)</script>",
    "blank.png": b"blank",
    "cut.jpg": b"cut",
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_file_is_one_clear_sentence(
    client: Client, portrait: Image.Image, tmp_path: Path, name: str
) -> None:
    data = BAD_FILES[name]
    if name == "blank.png":
        data = _encoded(Image.new("RGB", (300, 300), "white"), "PNG")
    if name == "cut.jpg":
        data = _encoded(portrait.resize((600, 600)), "JPEG")[:4000]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(AppError) as caught:
        client.predict(handle_file(tmp_path / name), *TEXTS, 1.0, api_name="/edit")
    message = str(caught.value)
    assert ("face" if name == "blank.png" else "photo") in message
    assert len(message) < 300 and str(tmp_path) not in message


def _encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _turned(image: Image.Image) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6  # shown after a quarter turn clockwise
    return _encoded(image.rotate(90, expand=True), "JPEG", exif=exif, quality=95)


GOOD_FILES: dict[str, Callable[[Image.Image], bytes]] = {
    "transparent.png": lambda image: _encoded(image.convert("RGBA"), "PNG"),
    "grey.png": lambda image: _encoded(image.convert("L"), "PNG"),
    "palette.gif": lambda image: _encoded(image.convert("P"), "GIF"),
    "print.jpg": lambda image: _encoded(image.convert("CMYK"), "JPEG", quality=95),
    "turned.jpg": _turned,
    "photo.webp": lambda image: _encoded(image, "WEBP"),
}


@pytest.mark.parametrize("name", GOOD_FILES)
def test_every_kind_of_image_is_edited(
    client: Client, portrait: Image.Image, tmp_path: Path, name: str
) -> None:
    large = portrait.resize((256, 240))
    (tmp_path / name).write_bytes(GOOD_FILES[name](large))
    path = client.predict(handle_file(tmp_path / name), *TEXTS, 1.0, api_name="/edit", **ALIGNED)
    edited = pixels(path)
    assert edited.shape == (240, 256, 3)
    expected = np.asarray(large.convert("L" if name == "grey.png" else "RGB").convert("RGB"))
    corner = np.abs(edited[:8, :8] - expected[:8, :8].astype(int)).mean()
    assert corner < 20, "the background in the corner is not the image's"


def test_plain_http_works_too(server: str, file: Path) -> None:
    url = "data:image/png;base64," + base64.b64encode(file.read_bytes()).decode()
    image = {"url": url, "meta": {"_type": "gradio.FileData"}}
    body = {
        "image": image,
        "neutral_text": TEXTS[0],
        "target_text": TEXTS[1],
        "alpha": 1.0,
        "aligned": True,
    }
    request = urllib.request.Request(
        f"{server}gradio_api/call/v2/edit",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=200) as answer:
        event = json.load(answer)["event_id"]
    with urllib.request.urlopen(f"{server}gradio_api/call/edit/{event}", timeout=200) as answer:
        text = answer.read().decode()
    assert "event: complete" in text, text
    assert "image.png" in text


def post(server: str, name: str, values: list[object]) -> str:
    """What a raw call of an endpoint is answered: the end of its stream of events."""
    address = f"{server}gradio_api/call/{name}"
    data = json.dumps({"data": values}).encode()
    headers = {"Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(address, data, headers)) as answer:
        event = json.load(answer)["event_id"]
    with urllib.request.urlopen(f"{address}/{event}", timeout=200) as answer:
        return answer.read().decode()


def test_a_raw_call_may_leave_out_what_has_a_default(server: str, file: Path) -> None:
    url = "data:image/png;base64," + base64.b64encode(file.read_bytes()).decode()
    image = {"url": url, "meta": {"_type": "gradio.FileData"}}
    for name, values in (("edit", [image, *TEXTS]), ("align", [image]), ("sample", [])):
        answer = post(server, name, values)
        assert "event: complete" in answer and "image.png" in answer, answer


def test_a_raw_call_without_an_image_is_told_so(server: str) -> None:
    for values in ([], [None, *TEXTS, 1.0]):
        answer = post(server, "edit", values)
        assert "event: error" in answer and "There is no image; send a PNG" in answer


@pytest.mark.parametrize(
    ("name", "value"), [("edit", 5), ("edit", "x.png"), ("batch", {}), ("batch", ["x.zip"])]
)
def test_a_file_in_the_wrong_form_is_told_so(server: str, name: str, value: object) -> None:
    answer = post(server, name, [value, *TEXTS])
    assert "event: error" in answer and f"What /{name} was sent as a file is not one" in answer


@pytest.mark.parametrize(
    ("name", "body", "explained"),
    [
        ("v2/edit", {}, "image"),
        ("v2/edit", {"image": None, "neutral_text": "a"}, "target_text"),
        ("v2/sample", {"sed": 3}, "sed"),
        ("v2/nothing", {}, "no such endpoint"),
        ("nothing", {"data": []}, "no such endpoint"),
    ],
)
def test_a_call_that_does_not_fit_is_told_so(
    server: str, name: str, body: dict[str, object], explained: str
) -> None:
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(
        f"{server}gradio_api/call/{name}", json.dumps(body).encode(), headers
    )
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=200)
    assert caught.value.code == 400
    assert explained in json.load(caught.value)["error"]


def test_a_world_that_is_not_here_is_not_fetched_for_a_call(
    client: Client, file: Path, outside_hosts: list[str]
) -> None:
    before = list(outside_hosts)
    with pytest.raises(AppError, match=r"cannot be used here yet.*download church"):
        client.predict(handle_file(file), *TEXTS, 1.0, domain="church", api_name="/edit")
    assert outside_hosts == before


def test_edit_notes_words_that_it_does_not_know(client: Client, file: Path) -> None:
    texts = ("human face", "human face with qwxyzzy sunglasses")
    made = client.predict(handle_file(file), *texts, 1.0, **ALIGNED, api_name="/edit")
    assert any("qwxyzzy" in note for note in read_recipe(made)["notes"])
