"""Which hosts a page answers to, and from which other pages it takes calls."""

from __future__ import annotations

import json

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocket

from tmsa_core.errors import RequestError
from tmsa_core.server.hosts import HostGuard
from tmsa_core.server.settings import host_name, make_settings

EVERYWHERE = (
    ("GET", ""),
    ("GET", "config"),
    ("GET", "theme.css"),
    ("GET", "gradio_api/info"),
    ("GET", "gradio_api/file=/etc/hostname"),
    ("GET", "gradio_api/queue/data?session_hash=x"),
    ("GET", "gradio_api/heartbeat/x"),
    ("GET", "gradio_api/mcp/"),
    ("GET", "gradio_api/mcp/sse"),
    ("GET", "gradio_api/mcp/schema"),
    ("GET", "no/such/path"),
    ("POST", "gradio_api/mcp/"),
    ("POST", "gradio_api/upload"),
    ("POST", "gradio_api/call/domains"),
    ("POST", "gradio_api/queue/join"),
    ("POST", "gradio_api/run/domains"),
    ("OPTIONS", "gradio_api/call/domains"),
)
CALL = "gradio_api/call/domains"


@pytest.fixture
def guarded() -> TestClient:
    """A small application behind the guard, at a public name and below a parent name."""

    async def answer(_request: object) -> PlainTextResponse:
        return PlainTextResponse("served")

    async def talk(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text("served")
        await socket.close()

    methods = ["GET", "POST", "OPTIONS"]
    app = Starlette(
        routes=[Route("/", answer, methods=methods), WebSocketRoute("/talk", talk)],
        middleware=[Middleware(HostGuard, allowed_hosts=("faces.example.org", ".tunnel.example"))],
    )
    return TestClient(app, base_url="http://localhost:7860")


@pytest.mark.parametrize(
    "host",
    ["localhost:7860", "LOCALHOST", "127.0.0.1:1", "[::1]:7860", "faces.example.org:443",
     "a1b2.tunnel.example"],
)  # fmt: skip
def test_known_hosts_are_served(guarded: TestClient, host: str) -> None:
    assert guarded.get("/", headers={"Host": host}).text == "served"


@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example", "evil-faces.example.org", "faces.example.org.evil",
     "tunnel.example", "127.0.0.1.evil.example", "localhost@evil.example", "[", "",
     "evil.example/localhost", "127.1"],
)  # fmt: skip
def test_other_hosts_are_refused_in_one_sentence(guarded: TestClient, host: str) -> None:
    answer = guarded.get("/", headers={"Host": host})
    assert answer.status_code == 403
    assert "does not answer to the name" in answer.json()["error"]
    assert len(answer.json()["error"]) < 300


def test_a_long_host_is_quoted_in_part(guarded: TestClient) -> None:
    answer = guarded.get("/", headers={"Host": "x" * 5000 + ".example"})
    assert answer.status_code == 403 and len(answer.json()["error"]) < 300


def test_the_address_that_a_request_came_in_at_is_served() -> None:
    app = HostGuard(PlainTextResponse("served"))
    here = TestClient(app, base_url="http://192.168.1.5:7860")
    assert here.get("/").text == "served"
    assert here.get("/", headers={"Host": "192.168.1.6"}).status_code == 403


@pytest.mark.parametrize(
    ("host", "origin", "served"),
    [
        ("localhost:7860", "http://localhost:7860", True),
        ("localhost:7860", "http://127.0.0.1:3000", True),
        ("localhost:7860", "https://faces.example.org", True),
        ("faces.example.org", "https://faces.example.org", True),
        ("a1.tunnel.example", "https://a1.tunnel.example", True),
        ("localhost:7860", "https://evil.example", False),
        ("localhost:7860", "null", False),
        ("localhost:7860", "https://a1.tunnel.example", False),
        ("a1.tunnel.example", "https://b2.tunnel.example", False),
        ("faces.example.org", "http://localhost:3000", False),
    ],
)
def test_orders_come_from_own_pages_only(
    guarded: TestClient, host: str, origin: str, served: bool
) -> None:
    headers = {"Host": host, "Origin": origin}
    for method in ("POST", "OPTIONS", "PUT", "DELETE"):
        assert (guarded.request(method, "/", headers=headers).status_code == 403) is not served
    assert guarded.get("/", headers=headers).text == "served"  # but nothing allows to read it


def test_web_sockets_are_guarded_as_well(guarded: TestClient) -> None:
    with guarded.websocket_connect("/talk", headers={"Host": "localhost"}) as socket:
        assert socket.receive_text() == "served"
    for bad in ({"Host": "evil.example"}, {"Host": "localhost", "Origin": "http://evil.example"}):
        with (
            pytest.raises(WebSocketDenialResponse) as denied,
            guarded.websocket_connect("/talk", headers=bad),
        ):
            pass
        assert denied.value.status_code == 403


@pytest.mark.parametrize(("method", "path"), EVERYWHERE)
def test_a_live_page_refuses_foreign_hosts_everywhere(server: str, method: str, path: str) -> None:
    headers = {"Host": "evil.example", "Origin": "http://evil.example"}
    if method == "OPTIONS":
        headers["Access-Control-Request-Method"] = "POST"
    answer = httpx.request(method, server + path, headers=headers, timeout=200)
    assert answer.status_code == 403 and "evil.example" in answer.json()["error"]
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_a_live_page_tells_no_other_site_what_it_answers(server: str) -> None:
    foreign = {"Origin": "https://evil.example"}
    read = httpx.get(server + "config", headers=foreign)
    assert read.status_code == 200 and "access-control-allow-origin" not in read.headers
    preflight = foreign | {"Access-Control-Request-Method": "POST"}
    asked = httpx.options(server + CALL, headers=preflight)
    assert asked.status_code == 403 and "access-control-allow-origin" not in asked.headers
    ordered = httpx.post(server + CALL, headers=foreign, json={"data": []})
    assert ordered.status_code == 403 and "access-control-allow-origin" not in ordered.headers


def test_a_live_page_obeys_its_own_page_and_scripts(server: str) -> None:
    for headers in ({"Origin": server.rstrip("/")}, {"Origin": "http://localhost:3000"}, {}):
        begun = httpx.post(server + CALL, headers=headers, json={"data": []})
        assert begun.status_code == 200, begun.text
        answer = httpx.get(f"{server}{CALL}/{begun.json()['event_id']}", headers=headers).text
        rows = json.loads(answer.partition("data: ")[2])[0]
        assert "avatar" in [row["key"] for row in rows]


@pytest.mark.parametrize(
    ("address", "name"),
    [("LocalHost:7860", "localhost"), ("[::1]:7860", "::1"), ("https://a.example/x", "a.example"),
     ("null", "null"), ("[", ""), ("", ""), ("a:b:c", "a")],
)  # fmt: skip
def test_host_of_an_address(address: str, name: str) -> None:
    assert host_name(address) == name


def test_hosts_are_what_the_operator_and_the_space_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPACE_HOST", "somebody-faces.hf.space")
    settings = make_settings(
        "0.0.0.0", None, "avatar", True, None, ("a.example, B.example", ".c.example")
    )
    assert settings.allowed_hosts == (
        "a.example",
        "b.example",
        ".c.example",
        "somebody-faces.hf.space",
        ".gradio.live",
    )
    settings = make_settings("faces.lan", 80, "avatar", False, None, ())
    assert "faces.lan" in settings.allowed_hosts


@pytest.mark.parametrize("name", ["*", "*.example", "a b", "http://a.example", "a/b", "a@b", "["])
def test_what_is_no_host_name_is_refused(name: str) -> None:
    with pytest.raises(RequestError, match="is not a host name"):
        make_settings("127.0.0.1", None, "avatar", False, None, (name,))
