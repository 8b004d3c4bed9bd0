"""A domain of photos is downloaded and aligned by the page's own buttons, in a real browser."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import huggingface_hub.constants
import pytest
from playwright.sync_api import Browser, Locator, expect

from tests import test_bundle_completion
from tests.chromium import WAIT, needs_chromium
from tests.hub_server import Hub
from tests.ui.test_browser import Visitor
from tmsa_core import Editor
from tmsa_core.availability import list_domains
from tmsa_core.domains import find_domain
from tmsa_core.training.mapper import calibrate, quick
from tmsa_core.ui.page import build_ui, launch_options
from tmsa_core.weights import download

pytestmark = needs_chromium
public_files = test_bundle_completion.public_files
photo_domain = test_bundle_completion.photo_domain


@pytest.fixture
def hub(photo_domain: tuple[Hub, Path], monkeypatch: pytest.MonkeyPatch) -> Hub:
    """A Hub with a miniature photo domain, at the address that huggingface_hub uses."""
    served, _ = photo_domain
    template = served.address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", served.address)
    monkeypatch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(download, "PAUSE", 0.0)
    return served


@pytest.fixture
def visitor(browser: Browser, editor: Editor, hub: Hub, port: int) -> Iterator[Visitor]:
    """A visitor of a separate page, which lists the miniature domain."""
    blocks = build_ui(editor, allow_setup=True)
    options = {"prevent_thread_lock": True, "quiet": True, "server_port": port}
    _, address, _ = blocks.launch(**options, **launch_options())
    visitor = Visitor(browser, address)
    yield visitor
    visitor.context.close()
    blocks.close(verbose=False)


def choose(visitor: Visitor, title: str) -> None:
    visitor.page.locator("#domain input").click()
    visitor.page.get_by_role("option", name=title).click()


def panel_text(visitor: Visitor) -> Locator:
    return visitor.page.locator("#world-words")


def test_photos_are_downloaded_aligned_and_edited_by_buttons(
    visitor: Visitor, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = visitor.page
    large = next(name for name in hub.files if name.endswith("e4e.pt"))
    content = hub.files.pop(large)
    choose(visitor, "Photos of faces")
    expect(panel_text(visitor)).to_contain_text("e4e.pt", timeout=WAIT)
    expect(page.locator("#world-align")).to_be_hidden()
    page.locator("#world-fetch").click()
    expect(panel_text(visitor)).to_contain_text("The last try failed", timeout=WAIT)

    hub.files[large] = content
    finish = hub.held[large] = threading.Event()
    page.locator("#world-fetch").click()
    expect(panel_text(visitor)).to_contain_text("e4e.pt (5", timeout=WAIT)  # half of it has arrived
    expect(panel_text(visitor)).to_contain_text("use the other domains meanwhile")
    expect(page.locator("#world-fetch")).to_be_hidden()
    visitor.write("a text of this domain")
    choose(visitor, "Drawn portraits")
    expect(panel_text(visitor)).to_be_hidden(timeout=WAIT)
    expect(page.locator("#target textarea")).not_to_have_value("a text of this domain")
    visitor.write("human face with sunglasses")
    visitor.change(visitor.press_edit)  # the page works during the download
    choose(visitor, "Photos of faces")
    finish.set()
    expect(panel_text(visitor)).to_contain_text("can be inverted already", timeout=WAIT)
    expect(page.locator("#world-fetch")).to_be_hidden()

    monkeypatch.setattr(quick, "NOISES", (0.6, 1.2))
    monkeypatch.setattr(quick, "SUBJECTS", 2)
    monkeypatch.setattr(calibrate, "FACTORS", (0.2, 0.4))
    monkeypatch.setattr(quick, "quick_align", partial(quick.quick_align, pairs=64))
    page.locator("#world-align").click()
    expect(panel_text(visitor)).to_be_hidden(timeout=WAIT)
    assert {d.key: d for d in list_domains()}["ffhq"].can_edit
    page.locator("#domain input").click()
    option = page.get_by_role("option", name=find_domain("ffhq").title)
    expect(option).not_to_contain_text("needs a", timeout=WAIT)
    option.click()
    visitor.change(lambda: page.locator("#random").click())
    visitor.wait_until_still()
    expect(page.locator("#notes")).to_contain_text("edited in", timeout=WAIT)
    before, after = visitor.images()
    assert before.shape == (64, 64, 3) and (before != after).any()

    page.get_by_role("tab", name="Explore").click()
    page.get_by_role("tab", name="Grid").click()
    for name in ("portrait-1", "portrait-2"):
        expect(page.get_by_role("checkbox", name=name)).to_be_checked(timeout=WAIT)
    page.locator("#grid-start").click()
    expect(page.locator("#grid img")).to_be_visible(timeout=WAIT)
    assert not visitor.complaints
