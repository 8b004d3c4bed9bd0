"""Milliseconds from a moved strength slider to the new image, as a visitor's browser sees it.

Run with ``python -m benchmarks.bench_browser``: it starts the real page, opens it in a headless
Chromium and moves the slider. A step at rest is timed from the slider's ``input`` event until the
new image is decoded. A drag moves the slider far more often than images can come: there the
time between two images is given, and how long after the last move the newest one was there.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from itertools import pairwise
from typing import TYPE_CHECKING

from tests.live import running_app

if TYPE_CHECKING:
    from playwright.sync_api import Page

ARGUMENTS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run")
PATIENCE = 120_000  # milliseconds
# Notes when each edited image was decoded, and offers ``tmsaMove`` to move the slider.
WATCH = """() => {
  const slider = document.querySelector('#alpha input[type=range]');
  const set = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set;
  window.tmsaShown = [];
  document.addEventListener('load', async (event) => {
    const images = [...document.querySelectorAll('#before-after img')];
    if (event.target !== images[1]) return;
    const source = event.target.src;
    await event.target.decode();
    if (source !== tmsaShown.at(-1)?.source) tmsaShown.push({at: performance.now(), source});
  }, true);
  window.tmsaMove = (alpha) => {
    set.call(slider, alpha);
    slider.dispatchEvent(new Event('input', {bubbles: true}));
    return performance.now();
  };
}"""
STEP = """(alpha) => new Promise((resolve) => {
  const seen = tmsaShown.length;
  const start = tmsaMove(alpha);
  const look = () => tmsaShown.length > seen
    ? resolve(tmsaShown[seen].at - start) : setTimeout(look, 1);
  look();
})"""
DRAG = """async ([alphas, every, rest]) => {
  const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  const seen = tmsaShown.length;
  let moved = 0;
  for (const alpha of alphas) { moved = tmsaMove(alpha); await wait(every); }
  await wait(rest);
  return [moved, tmsaShown.slice(seen).map(image => image.at)];
}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=20, help="of the slider, one at a time")
    parser.add_argument("--address", help="of a page that runs already")
    options = parser.parse_args()
    running = nullcontext(options.address) if options.address else running_app()
    with running as address, _opened(address) as page:
        steps = _steps(page, options.steps)
        late, between = _drag(page)
    print(f"{len(steps)} single steps, from the slider's event to the image decoded:")
    low, high = min(steps), max(steps)
    print(f"  median {statistics.median(steps):.0f} ms, least {low:.0f}, most {high:.0f}")
    print(f"a drag of 2 s: an image every {statistics.median(between):.0f} ms (median),")
    print(f"  the newest one {late:.0f} ms after the last move")


def _steps(page: Page, count: int) -> list[float]:
    """Milliseconds of each step; the page is at rest before each of them."""
    alphas = [round(-1 + 3 * i / count, 2) for i in range(count)]
    times = []
    for alpha in alphas:
        _wait_until_still(page)
        times.append(page.evaluate(STEP, f"{alpha}"))
    return times


def _drag(page: Page) -> tuple[float, list[float]]:
    """How late the newest image came, and the gaps between the others, in milliseconds."""
    _wait_until_still(page)
    alphas = [f"{-1 + 3 * i / 80:.2f}" for i in range(80)]
    moved, shown = page.evaluate(DRAG, [alphas, 25, 3000])
    return _newest(shown, moved), [b - a for a, b in pairwise(shown)]


def _newest(shown: list[float], moved: float) -> float:
    """The second of the images that came after the last move: the first may be of another."""
    after = [at - moved for at in shown if at > moved]
    return after[min(1, len(after) - 1)]


def _wait_until_still(page: Page) -> None:
    while True:
        count = page.evaluate("tmsaShown.length")
        page.wait_for_timeout(1000)
        if page.evaluate("tmsaShown.length") == count:
            return


@contextmanager
def _opened(address: str) -> Iterator[Page]:
    """The page in Chromium, its first edit done."""
    from playwright.sync_api import expect, sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(ARGUMENTS))
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(address)
        expect(page.locator("#scores")).to_contain_text("Identity kept", timeout=PATIENCE)
        page.evaluate(WATCH)
        yield page
        browser.close()


if __name__ == "__main__":
    main()
