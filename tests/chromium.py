"""What the tests in a real browser share; the fixture ``browser`` is in ``conftest``."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WAIT = 120_000  # ms

expect.set_options(timeout=WAIT)
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium: on Debian, `apt-get install chromium` gives one"
)


@contextmanager
def open_browser() -> Iterator[Browser]:
    """Start Chromium, and close it at the end of the block."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        yield browser
        browser.close()
