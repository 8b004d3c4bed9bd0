"""Shared fixtures: the avatar editor, a portrait, a live server, a browser; no network."""

from __future__ import annotations

import os

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import ipaddress
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from PIL.Image import Image
    from playwright.sync_api import Browser

    from tmsa_core import Editor, PreparedFace


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--runslow", action="store_true", help="also run tests marked slow")


# Few and long tests, so that no process is left alone with one of them at the end.
FIRST = ("tests/ui/test_browser.py", "tests/ui", "tests/server", "tests/align", "tests/evaluation")


def _rank(item: pytest.Item) -> int:
    """The place of a test's file or folder in ``FIRST``; all others come after it."""
    places = (k for k, start in enumerate(FIRST) if item.nodeid.startswith(start))
    return next(places, len(FIRST))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    items.sort(key=_rank)
    if config.getoption("--runslow"):
        return
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="slow: run with --runslow"))


def _is_local(host: object) -> bool:
    if host in (None, "", "localhost", b"localhost", socket.gethostname()):
        return True
    try:
        address = ipaddress.ip_address(host.decode() if isinstance(host, bytes) else str(host))
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


@pytest.fixture(scope="session", autouse=True)
def outside_hosts() -> Iterator[list[str]]:
    """Refuses every connection that leaves this machine; yields the hosts that were asked for."""
    asked: list[str] = []
    connect, lookup = socket.socket.connect, socket.getaddrinfo

    def guard(host: object) -> None:
        if not _is_local(host):
            asked.append(str(host))
            raise OSError(f"tests run without a network; {host!r} was asked for")

    def guarded_connect(self: socket.socket, address: object) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            guard(address[0])  # type: ignore[index]
        connect(self, address)  # type: ignore[arg-type]

    def guarded_lookup(host: object, *args: object, **kwargs: object) -> object:
        guard(host)
        return lookup(host, *args, **kwargs)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded_connect)
        patch.setattr(socket, "getaddrinfo", guarded_lookup)
        yield asked


@pytest.fixture(scope="session", autouse=True)
def empty_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test sees, or adds to, what this machine has downloaded."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMSA_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def device() -> str:
    return "cpu"


@pytest.fixture(scope="session")
def editor(device: str) -> Editor:
    """The committed avatar bundle."""
    from tmsa_core import load_editor

    return load_editor("avatar", device=device)


@pytest.fixture(scope="session")
def avatar_face(editor: Editor) -> PreparedFace:
    """A portrait drawn from the generator, ready to be edited."""
    return editor.sample(seed=0)


@pytest.fixture(scope="session")
def portrait(avatar_face: PreparedFace) -> Image:
    """The same portrait as an image."""
    return avatar_face.crop


def free_port() -> int:
    """A port that nobody uses. Gradio's own search leaves a socket open for each one in use."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture
def port() -> int:
    """A free port of this machine."""
    return free_port()


@pytest.fixture(scope="session")
def server(editor: Editor) -> Iterator[str]:
    """The page and its endpoints on a free port of this machine; yields the address."""
    from tmsa_core.ui.page import build_ui, launch_options

    options = {"prevent_thread_lock": True, "quiet": True, "server_port": free_port()}
    blocks = build_ui(editor)
    _, address, _ = blocks.launch(**options, **launch_options())
    yield address
    blocks.close(verbose=False)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A running Chromium, for modules marked with ``needs_chromium``."""
    from tests.chromium import open_browser

    with open_browser() as opened:
        yield opened
