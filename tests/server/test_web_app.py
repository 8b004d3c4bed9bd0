"""Requests that do not fit get one sentence, and the server's log no traceback."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import gradio
import httpx
import pytest
from PIL import Image

from tmsa_core.imaging.metadata import encode_png
from tmsa_core.server import request_limits
from tmsa_core.server.settings import PRIVATE_NETWORKS, prepare_environment
from tmsa_core.server.web_app import CHECKED_GRADIO

TEXTS = ("human face", "old human face")
LONG = "x" * 5000
CALLS = ("queue/join", "api/edit", "api/nope", "run/edit", "call/edit", "cancel", "reset")
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def client(server: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{server}gradio_api", timeout=200) as client:
        yield client


@pytest.fixture
def quiet(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """The server, which runs in this process, writes no traceback."""
    yield
    output = capfd.readouterr()
    assert "Traceback" not in output.err + output.out


def post(client: httpx.Client, path: str, body: Any) -> httpx.Response:
    """Send a value as JSON, also halves of surrogate pairs."""
    return client.post(path, content=json.dumps(body).encode(), headers=JSON)


def sentence(client: httpx.Client, name: str, values: list[Any]) -> str:
    """The end of a call's answer."""
    event = post(client, f"call/{name}", {"data": values}).raise_for_status().json()["event_id"]
    return client.get(f"call/{name}/{event}").text


def test_gradio_is_the_version_whose_inside_was_checked() -> None:
    assert gradio.__version__ == CHECKED_GRADIO, "check the list in tmsa_core.server.web_app again"


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("path", CALLS)
@pytest.mark.parametrize(
    "body",
    [b"\xff\xfe\x00", b'{"data": 5, "x": "' + LONG.encode() + b'"}', b'["' + LONG.encode() + b'"]',
     b'{"data": [], "fn_index": -1}', b'{"data": [], "fn_index": 99999, "session_hash": "a"}'],
    ids=["no UTF-8", "long value", "long list", "negative", "unknown"],
)  # fmt: skip
def test_a_body_that_does_not_fit_gets_one_short_sentence(
    client: httpx.Client, path: str, body: bytes
) -> None:
    answer = client.post(path, content=body, headers=JSON)
    if path == "call/edit" and b"fn_index" in body:
        return  # the name of the endpoint decides
    assert answer.status_code in (400, 422) and len(answer.text) < 600
    assert "xxxxx" not in answer.text and answer.json()["detail"]


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("value", [None, {"a": 1}, LONG, [1], "\ud800", 10**400], ids=range(6))
def test_events_of_the_page_with_wrong_values_get_a_sentence(
    server: str, client: httpx.Client, value: Any
) -> None:
    for event in client.get(f"{server}config").json()["dependencies"]:
        if event["queue"] is False:
            body = {"data": [value] * len(event["inputs"]), "fn_index": event["id"]}
            answer = post(client, "run/x", body | {"session_hash": f"s{event['id']}"})
            assert len(answer.text) < 1000 or answer.status_code == 200


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("value", [LONG, "1+2j", [LONG], {"a": LONG}, "\ud800"], ids=range(5))
def test_long_values_are_quoted_in_part(
    client: httpx.Client, portrait: Image.Image, value: Any
) -> None:
    [path] = client.post("upload", files={"files": ("me.png", encode_png(portrait))}).json()
    image = {"path": path, "meta": {"_type": "gradio.FileData"}}
    start: list[Any] = [image, *TEXTS]
    calls: dict[str, tuple[str, list[Any]]] = {
        "alpha": ("edit", [*start, value]),
        "levels": ("edit", [*start, 1, value]),
        "inversion": ("edit", [*start, 1, "all", 0, value]),
        "face": ("edit", [*start, 1, "all", 0, "e4e", value]),
        "domain": ("edit", [*start, 1, "all", 0, "e4e", 0, True, True, False, value]),
        "alpha_from": ("sweep", [*start, value]),
        "seed": ("sample", [value]),
        "aligned": ("batch", [[image], *TEXTS, 1, "all", 0, "e4e", 0, value]),
        "format": ("batch", [[image], *TEXTS, 1, "all", 0, "e4e", 0, True, value]),
    }
    for field, (name, values) in calls.items():
        answer = sentence(client, name, values)
        assert "event: error" in answer or field == "aligned", field
        assert len(answer) < 1000, field


def test_a_tools_call_names_the_client_and_no_address_that_it_invents() -> None:
    scope = {"type": "http", "headers": [(b"x-forwarded-for", b"1.1.1.1")]}
    named = request_limits._naming_client(scope, "8.8.8.8")
    assert named["headers"] == [(b"x-forwarded-for", b"8.8.8.8")]
    assert scope["headers"] == [(b"x-forwarded-for", b"1.1.1.1")]


@pytest.mark.parametrize(
    ("space", "own", "expected"),
    [("me/it", None, PRIVATE_NETWORKS), ("me/it", "10.1.2.3", "10.1.2.3"), (None, None, None)],
)
def test_a_space_trusts_its_proxies_and_nobody_else(
    monkeypatch: pytest.MonkeyPatch, space: str | None, own: str | None, expected: str | None
) -> None:

    for name, value in (("SPACE_ID", space), ("FORWARDED_ALLOW_IPS", own)):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    for name in ("NO_PROXY", "no_proxy", "GRADIO_ANALYTICS_ENABLED", "HF_HUB_DISABLE_TELEMETRY"):
        monkeypatch.setenv(name, "")
    prepare_environment()
    assert os.environ.get("FORWARDED_ALLOW_IPS") == expected
