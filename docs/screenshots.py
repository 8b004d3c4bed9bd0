"""Take the screenshots of the page for the README: python docs/screenshots.py [FOLDER]

Starts the page on a free port, opens its tabs in Chromium, and writes WebP files.
"""

from __future__ import annotations

import io
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from tmsa_core import load_editor
from tmsa_core.ui.page import build_ui, launch_options

WAIT = 180_000
LOADED = """([selector, count]) => [...document.querySelectorAll(selector)]
  .filter(image => image.complete && image.naturalWidth > 0).length >= count"""


def main(folder: Path) -> None:
    """Start the page, take all screenshots, stop the page."""
    blocks = build_ui(load_editor("avatar"))
    _, address, _ = blocks.launch(prevent_thread_lock=True, quiet=True, **launch_options())
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--headless", "--no-sandbox", "--disable-gpu"]
        )
        for name, width, height, dark, act in SHOTS:
            shoot(browser, address, folder / f"{name}.webp", (width, height), dark, act)
        browser.close()
    blocks.close(verbose=False)


def shoot(
    browser: Browser,
    address: str,
    path: Path,
    size: tuple[int, int],
    dark: bool,
    act: Callable[[Page], None],
) -> None:
    """Open the page, wait for the first edit, act, and save what the window shows."""
    context = browser.new_context(viewport={"width": size[0], "height": size[1]})
    page = context.new_page()
    page.goto(f"{address}?__theme={'dark' if dark else 'light'}")
    page.locator("#notes", has_text="edited in").wait_for(timeout=WAIT)
    act(page)
    page.wait_for_timeout(1500)
    image = Image.open(io.BytesIO(page.screenshot()))
    image.convert("RGB").save(path, quality=80, method=6)
    print(f"{path}: {path.stat().st_size // 1024} kB")
    context.close()


def edit(page: Page) -> None:
    """Stack two edits of another portrait."""
    page.locator("#samples button").nth(4).click()
    page.wait_for_timeout(8000)
    page.locator("#chips").get_by_role("button", name="smile", exact=True).click()
    page.locator("#stack", has_text="smiling").wait_for(timeout=WAIT)
    page.locator("#target textarea").fill("human face with glasses")
    page.locator("#add").click()
    page.locator("#stack li").nth(1).wait_for(timeout=WAIT)
    page.locator("#scores", has_text="Each:").wait_for(timeout=WAIT)
    page.evaluate("window.scrollTo(0, 0)")


def result(page: Page) -> None:
    """Scroll to the result, as on a phone."""
    page.locator("#before-after").scroll_into_view_if_needed()
    page.evaluate("document.querySelector('#before-after').scrollIntoView()")


def grid(page: Page) -> None:
    """Make a grid of prompts and portraits."""
    page.get_by_role("tab", name="Explore").click()
    page.get_by_role("tab", name="Grid").click()
    page.locator("#grid-start").click()
    page.wait_for_function(LOADED, arg=["#grid img", 1], timeout=WAIT)


def spaces(page: Page) -> None:
    """Draw the map of CLIP's and StyleGAN's spaces."""
    page.get_by_role("tab", name="Explore").click()
    page.get_by_role("tab", name="CLIP and StyleGAN map").click()
    page.locator("#map-start").click()
    page.locator("#map .main-svg").first.wait_for(timeout=WAIT)


def batch(page: Page) -> None:
    """Edit five portraits."""
    samples = load_editor("avatar").bundle.folder / "samples"
    page.get_by_role("tab", name="Batch").click()
    page.locator("#batch-files input[type=file]").set_input_files(sorted(samples.glob("*.png"))[:5])
    page.locator("#batch-files", has_text="5").wait_for(timeout=WAIT)
    page.wait_for_timeout(2000)
    page.locator("#batch-start").click()
    page.locator("#batch-status", has_text="Done").wait_for(timeout=WAIT)


SHOTS = (
    ("screen-edit", 1200, 1320, False, edit),
    ("screen-phone", 380, 900, True, result),
    ("screen-grid", 1200, 1250, False, grid),
    ("screen-spaces", 1200, 900, True, spaces),
    ("screen-batch", 1200, 900, False, batch),
)

if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
