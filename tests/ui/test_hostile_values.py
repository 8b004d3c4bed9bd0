"""Values from links, images and archives never become elements or requests of the page."""

from __future__ import annotations

import re
import urllib.parse
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import gradio as gr
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.chromium import WAIT, needs_chromium
from tmsa_core.imaging.metadata import save_image
from tmsa_core.server.messages import plain_markdown, toast_error

ROOT = Path(__file__).parent.parent.parent
HOSTILE = (
    '<img src="http://foreign.example/a" name=foreign>'
    '<form name=foreign action="//foreign.example"><input name=foreign></form>'
    '<a href="//foreign.example" name=foreign>x</a> ![](http://foreign.example/b) '
    "[x](//foreign.example) http://foreign.example www.foreign.example "
    "{{#each this}}<b name=foreign>{{/each}} ${document.title='foreign'} \">'><b name=foreign>"
)
FOREIGN = (
    "[name=foreign], [src*='foreign.example'], [href*='foreign.example'],"
    " [action*='foreign.example']"
)
QUERY_KEYS = (
    "domain", "inversion", "seed", "sample", "neutral", "target", "alpha", "levels", "threshold",
)  # fmt: skip

pytestmark = needs_chromium


@dataclass
class Watched:
    """An open page and the hosts of all its requests."""

    page: Page
    hosts: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.page.set_default_timeout(WAIT)
        self.page.on("request", lambda request: self._note(request.url))

    def _note(self, address: str) -> None:
        parts = urllib.parse.urlsplit(address)
        if parts.scheme not in ("data", "blob", "about"):
            self.hosts.add(parts.hostname or "")

    def open(self, address: str) -> None:
        """Open the page and wait until its first edit has succeeded or failed."""
        self.page.goto(address, timeout=WAIT)
        expect(self.page.locator("#notes")).to_contain_text(
            re.compile("edited in|did not work"), timeout=WAIT
        )

    def check(self) -> None:
        """Fail if part of a foreign value became an element, a script or a request."""
        self.page.wait_for_timeout(1000)
        assert self.page.locator(FOREIGN).count() == 0
        assert "foreign" not in self.page.title()
        assert self.hosts == {"127.0.0.1"}


@pytest.fixture
def watched(browser: Browser) -> Iterator[Watched]:
    context = browser.new_context()
    yield Watched(context.new_page())
    context.close()


@pytest.mark.parametrize("key", QUERY_KEYS)
def test_a_link_adds_nothing_to_the_page(server: str, watched: Watched, key: str) -> None:
    values = {"neutral": "human face", "target": "old human face", key: HOSTILE}
    watched.open(f"{server}?{urllib.parse.urlencode(values)}")
    if key in ("domain", "seed", "alpha", "threshold", "levels"):
        toast = watched.page.locator(".toast-body")
        expect(toast.first).to_contain_text("<img src=", timeout=WAIT)
    watched.check()


@pytest.mark.parametrize("name", ["domain", "inversion", "sample", "levels", "texts"])
def test_the_recipe_of_an_image_adds_nothing_to_the_page(
    server: str, watched: Watched, portrait: Image.Image, tmp_path: Path, name: str
) -> None:
    edit = {"neutral_text": "human face", "target_text": "old human face", "alpha": 1.0}
    recipe: dict[str, object] = {"domain": "avatar", "edits": [edit]}
    if name == "levels":
        edit["levels"] = HOSTILE
    elif name == "texts":
        recipe["edits"] = [edit | {"neutral_text": HOSTILE, "target_text": HOSTILE}] * 2
    else:
        recipe[name] = HOSTILE
    save_image(portrait, tmp_path / "hostile.png", recipe)
    watched.open(server)
    page = watched.page
    page.locator("#image").get_by_role("button", name="Remove Image").click()
    with page.expect_response(lambda answer: "/upload" in answer.url):
        page.locator("#image input[type=file]").set_input_files(tmp_path / "hostile.png")
    if name == "texts":
        expect(page.locator("#stack")).to_contain_text("<img src=", timeout=WAIT)
    page.wait_for_timeout(3000)
    watched.check()


def test_names_in_an_archive_add_nothing_to_the_page(
    server: str, watched: Watched, portrait: Image.Image, tmp_path: Path
) -> None:
    portrait.save(tmp_path / "good.png")
    with zipfile.ZipFile(tmp_path / "hostile.zip", "w") as archive:
        archive.writestr(f"{HOSTILE}.png", b"no image")
        archive.write(tmp_path / "good.png", "<img src=x name=foreign>.png")
    watched.open(server)
    page = watched.page
    page.get_by_role("tab", name="Batch").first.click()
    with page.expect_response(lambda answer: "/upload" in answer.url):
        page.locator("#batch-files input[type=file]").set_input_files(tmp_path / "hostile.zip")
    page.locator("#batch-start").click()
    expect(page.locator("#batch-status")).to_contain_text("Done", timeout=WAIT)
    expect(page.locator("#batch-table")).to_contain_text("img src=", timeout=WAIT)
    watched.check()


def test_a_typed_text_adds_nothing_to_the_page(server: str, watched: Watched) -> None:
    watched.open(server)
    page = watched.page
    page.locator("#target textarea").fill(HOSTILE[:49])
    page.locator("#edit").click()
    expect(page.locator("#stack")).to_contain_text("<img src=", timeout=WAIT)
    page.wait_for_timeout(3000)
    watched.check()


@pytest.mark.parametrize("error", [gr.Error("<b>&"), ValueError("<b>&")])
def test_an_error_is_escaped_once(error: Exception) -> None:
    shown = toast_error(error)
    assert shown.message == "&lt;b&gt;&amp;"
    assert shown.print_exception


def test_markdown_shows_foreign_text_literally() -> None:
    assert plain_markdown("a\n# b http://c.d") == r"a \# b http\:\/\/c\.d"


def test_messages_go_through_one_module() -> None:
    for path in (ROOT / "tmsa_core").rglob("*.py"):
        if path.name != "messages.py":
            assert not re.search(r"gr\.(Warning|Info|Success)\(", path.read_text()), path
