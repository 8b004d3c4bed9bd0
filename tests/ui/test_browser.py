"""The page in a browser: what a visitor sees and does."""

from __future__ import annotations

import io
import time
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, Request, Route, expect

from tests.chromium import WAIT, needs_chromium
from tmsa_core import Editor
from tmsa_core.imaging.images import load_image
from tmsa_core.imaging.metadata import read_recipe

IMAGES = "#before-after img"
SOURCES = f"() => [...document.querySelectorAll('{IMAGES}')].map(image => image.src)"
LOADED = (
    f"() => {{ const all = [...document.querySelectorAll('{IMAGES}')];"
    " return all.length == 2 && all.every(image => image.complete && image.naturalWidth > 0) }"
)
CHANGED = f"(old) => {{ const now = ({SOURCES})(); return now.length == 2 && now[1] != old }}"
# Visible buttons and fields without a name for screen readers.
NAMELESS = """() => [...document.querySelectorAll('button, input, textarea, select')].filter(
  part => part.offsetParent && part.type != 'file' && !part.innerText?.trim() && !part.title
    && !part.ariaLabel && !part.labels?.length && !part.closest('label')
    && !part.getAttribute('aria-labelledby') && !part.querySelector('img[alt]:not([alt=""])')
).map(part => part.outerHTML.slice(0, 200))"""
QUIET = 0.7  # seconds without work until a page counts as at rest; a slider reports after 0.3
LONG_QUIET = 10.0

pytestmark = needs_chromium


class Visitor:
    """An open page that has done its first edit; records the hosts of all requests."""

    def __init__(self, browser: Browser, address: str, width: int = 1280) -> None:
        self.context = browser.new_context(viewport={"width": width, "height": 900})
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(WAIT)
        self.hosts: set[str] = set()
        self.complaints: list[str] = []
        self.at_work: set[Request] = set()
        self.page.on("request", self._note)
        for done in ("requestfinished", "requestfailed"):
            self.page.on(done, self._finished)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.visit(address)

    def visit(self, address: str) -> None:
        """Open the page as a new visitor and wait for its first edit."""
        self.at_work.clear()
        self.page.goto(address, timeout=WAIT)
        expect(self.page.locator("#notes")).to_contain_text("edited in")
        self.wait_until_still()

    def _note(self, request: Request) -> None:
        parts = urllib.parse.urlsplit(request.url)
        if parts.scheme not in ("data", "blob", "about"):
            self.hosts.add(parts.hostname or "")
        if "/queue/" in parts.path:  # this stream is open while events run
            self.at_work.add(request)

    def _finished(self, request: Request) -> None:
        # Playwright cannot register a method of a built-in type as a handler.
        self.at_work.discard(request)

    def settled(self) -> None:
        """Wait until both images are loaded."""
        self.page.wait_for_function(LOADED, timeout=WAIT)

    def sources(self) -> list[str]:
        return self.page.evaluate(SOURCES)

    def images(self) -> tuple[np.ndarray, np.ndarray]:
        """The images before and after the edit, as the browser received them."""
        self.settled()
        before, after = (_fetched(source) for source in self.sources())
        return before, after

    def wait_for_change(self, old: str) -> None:
        self.page.wait_for_function(CHANGED, arg=old, timeout=WAIT)
        self.settled()

    def wait_for_image(self, wanted: np.ndarray) -> None:
        """Wait until the edited image is ``wanted``; others may be shown before."""
        end = time.monotonic() + WAIT / 1000
        while not np.array_equal(self.images()[1], wanted):
            assert time.monotonic() < end, "the page never showed that image"
            self.page.wait_for_timeout(500)

    def wait_until_still(self) -> None:
        """Wait until no event runs and the images no longer change.

        Gradio may leave its stream open after the last event, so an open stream is
        ignored when the images have not changed for ``LONG_QUIET``.
        """
        shown, since, free = self.sources(), time.monotonic(), time.monotonic()
        end = since + WAIT / 1000
        while time.monotonic() < max(since, free) + QUIET and time.monotonic() < since + LONG_QUIET:
            assert time.monotonic() < end, "the page never came to rest"
            self.page.wait_for_timeout(100)
            now = self.sources()
            if now != shown:
                shown, since = now, time.monotonic()
            if self.at_work:
                free = time.monotonic()
        if shown:
            self.settled()

    def change(self, act: Callable[[], object]) -> None:
        """Do something, and wait until it changed the edited image and the page is at rest."""
        old = self.sources()[1]
        act()
        self.wait_for_change(old)
        self.wait_until_still()

    def download(self) -> Path:
        """Press Download and return the file."""
        with self.page.expect_download(timeout=WAIT) as download:
            self.page.locator("#save").click()
        assert download.value.suggested_filename.startswith("tmsa-")
        return download.value.path()

    def write(self, target: str) -> None:
        self.page.locator("#target textarea").fill(target)

    def press_edit(self) -> None:
        self.page.locator("#edit").click()


def _fetched(source: str) -> np.ndarray:
    with urllib.request.urlopen(source, timeout=200) as answer:
        return np.asarray(Image.open(io.BytesIO(answer.read())).convert("RGB")).astype(int)


@pytest.fixture(scope="module")
def page_open(browser: Browser, server: str) -> Iterator[Visitor]:
    visitor = Visitor(browser, server)
    yield visitor
    assert not visitor.complaints
    assert visitor.hosts == {"127.0.0.1"}
    visitor.context.close()


@pytest.fixture
def visitor(page_open: Visitor, server: str) -> Visitor:
    """One page for all tests of the module, opened again for each."""
    page_open.visit(server)
    return page_open


@pytest.fixture
def photo(editor: Editor, tmp_path: Path) -> Path:
    """An image with two people."""
    people = [load_image(path) for path in sorted(editor.bundle.folder.glob("samples/*.png"))[:2]]
    side = people[0].width
    both = Image.new("RGB", (2 * side, side))
    for i, person in enumerate(people):
        both.paste(person.resize((side, side)), (i * side, 0))
    both.save(tmp_path / "both.png")
    return tmp_path / "both.png"


def test_edit_pressed_before_the_first_image_waits_for_it(browser: Browser, server: str) -> None:
    context = browser.new_context()
    page, held = context.new_page(), []
    pressed = False

    def hold(route: Route) -> None:
        """Hold back the first image until Edit is pressed."""
        if pressed:
            route.continue_()
        else:
            held.append(route)

    page.route("**/queue/data*", hold)
    page.goto(server, timeout=WAIT)
    with page.expect_request(lambda request: "/queue/join" in request.url, timeout=WAIT):
        page.locator("#edit").click(timeout=WAIT)
    pressed = True
    for route in held:
        route.continue_()
    expect(page.locator("#notes")).to_contain_text("edited in")
    expect(page.locator(".toast-body")).to_have_count(0)
    context.close()


def test_file_that_is_never_edited_is_deleted_when_its_visitor_leaves(
    browser: Browser, server: str, tmp_path: Path
) -> None:
    other = Visitor(browser, server)
    Image.new("RGB", (301, 303), "pink").save(tmp_path / "blank.png")
    with other.page.expect_response(lambda answer: "/upload?" in answer.url) as sent:
        _upload(other, tmp_path / "blank.png")
    [path] = sent.value.json()
    expect(other.page.locator("#notes")).to_contain_text("No face was found")
    other.wait_until_still()  # a running edit would keep the file after its visitor left
    assert Path(path).exists()
    other.context.close()
    end = time.monotonic() + WAIT / 1000
    while Path(path).exists():
        assert time.monotonic() < end, "the file stayed after its visitor had left"
        time.sleep(0.2)


def test_sample_portrait_is_edited_and_follows_the_strength(visitor: Visitor) -> None:
    first = visitor.sources()
    visitor.page.locator("#samples button").nth(2).click()
    visitor.wait_for_change(first[1])
    visitor.wait_until_still()
    assert visitor.sources()[0] != first[0], "the portrait before the edit is still the old one"

    default = visitor.sources()[1]
    visitor.write("human face with sunglasses")
    visitor.press_edit()
    visitor.wait_for_change(default)
    visitor.wait_until_still()
    before, full = visitor.images()
    assert np.abs(before - full).mean() > 1
    expect(visitor.page.locator("#scores")).to_contain_text("Identity kept")
    expect(visitor.page.locator("#scores")).to_contain_text("Text match")

    slider = visitor.page.locator("#alpha input[type=range]")
    for alpha in ("0", "2"):
        shown = visitor.sources()[1]
        slider.fill(alpha)
        visitor.wait_for_change(shown)
        visitor.wait_until_still()
        _, other = visitor.images()
        assert np.abs(other - full).mean() > 0.5

    visitor.page.locator("#alpha").get_by_role("button", name="Reset to default value").click()
    visitor.wait_for_image(full)


def test_newest_strength_wins_while_dragging(visitor: Visitor) -> None:
    slider = visitor.page.locator("#alpha input[type=range]")
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2
    visitor.page.mouse.move(box["x"] + box["width"] * 0.6, middle)
    visitor.page.mouse.down()
    for step in range(12):
        visitor.page.mouse.move(box["x"] + box["width"] * (0.6 - 0.04 * step), middle)
    visitor.page.mouse.up()
    visitor.wait_until_still()
    chosen = float(slider.input_value())
    assert chosen < 0
    recipe = read_recipe(visitor.download())
    assert recipe["edits"][0]["alpha"] == pytest.approx(chosen)


def move_by_keys(page: Page) -> float:
    """Move the strength slider; its report follows 300 ms later, or with the next press."""
    slider = page.locator("#alpha input[type=range]")
    slider.focus()
    for _ in range(4):
        slider.press("ArrowLeft")
    return float(slider.input_value())


@pytest.mark.parametrize("overtakes", [False, True])
def test_strength_by_key_is_set_before_the_next_press(visitor: Visitor, overtakes: bool) -> None:
    """Also if the press arrives at the server before the report of the strength."""
    page = visitor.page
    reports: list[Route] = []

    def hold_report(route: Route) -> None:
        sent = (route.request.post_data_json or {}).get("event_data") or {}
        if set(sent) == {"index", "count"}:
            reports.append(route)
        else:
            route.continue_()

    if overtakes:
        page.route("**/queue/join*", hold_report)
    count = page.locator("#stack li").count()
    chosen = move_by_keys(page)
    page.locator("#add").click()
    expect(page.locator("#stack li")).to_have_count(count + 1)
    if overtakes:
        assert len(reports) == 1
        reports[0].continue_()
        page.unroute("**/queue/join*", hold_report)
        visitor.wait_until_still()
    for layer in (count - 1, count):
        expect(page.locator("#stack li").nth(layer)).to_contain_text(f"{chosen:+.2f}")
    visitor.wait_until_still()


def test_number_field_of_the_strength_accepts_anything_while_typing(visitor: Visitor) -> None:
    page = visitor.page
    field = page.locator("#alpha input[type=number]")
    field.fill("")
    visitor.wait_until_still()
    field.fill("99")
    visitor.wait_until_still()
    expect(page.locator("#stack li")).to_contain_text("+3.00")
    field.fill("0.5")
    visitor.wait_until_still()
    expect(page.locator("#stack li")).to_contain_text("+0.50")
    expect(page.locator(".toast-body")).to_have_count(0)


def test_copied_link_restores_the_setting(visitor: Visitor, server: str) -> None:
    page = visitor.page
    visitor.write("old human face")
    visitor.change(visitor.press_edit)
    page.locator("#link").click()
    expect(page.locator(".toast-body")).to_contain_text("Link copied")
    page.wait_for_url("**/?*target=old+human+face*", timeout=WAIT)
    visitor.visit(page.url)
    assert page.locator("#target textarea").input_value() == "old human face"


def test_long_training_is_announced_and_cancelled(visitor: Visitor) -> None:
    page = visitor.page
    visitor.write("human face with a rather odd hat")  # a text without a trained mapper
    page.get_by_role("tab", name="Explore").click()
    page.get_by_role("tab", name="Methods").click()
    page.locator("#methods").get_by_text("latent mapper (5 min").click()
    page.locator("#methods-start").click()
    expect(page.locator("#methods-shown")).to_contain_text("/1000 steps")
    page.locator("#methods-cancel").click()
    expect(page.locator(".toast-body")).to_contain_text("The comparison ends here")
    expect(page.locator("#methods-shown")).not_to_contain_text("/1000 steps")
    expect(page.locator("#methods-shown .thumbnail-item img")).to_have_count(3)


def test_edits_of_a_random_portrait_stack_switch_off_and_undo(visitor: Visitor) -> None:
    page = visitor.page
    small = [page.locator(name) for name in ("#crop img", "#inversion img")]
    old = [image.get_attribute("src") or "" for image in small]
    visitor.change(lambda: page.locator("#random").click())
    expect(page.locator("#faces")).to_contain_text("Using the whole image as the face")
    for image, source in zip(small, old, strict=True):
        expect(image).not_to_have_attribute("src", source)
    press = page.locator("#chips").get_by_role("button", name="beard", exact=True).click
    visitor.change(press)
    assert page.locator("#target textarea").input_value() == "human face with a beard"
    _, beard = visitor.images()
    visitor.write("old human face")
    visitor.change(lambda: page.locator("#add").click())
    _, both = visitor.images()
    expect(page.locator("#stack li")).to_have_count(2)
    visitor.change(lambda: page.get_by_role("button", name="Switch edit 2").click())
    visitor.wait_for_image(beard)
    visitor.change(lambda: page.locator("#undo").click())
    visitor.wait_for_image(both)
    page.get_by_role("button", name="Move edit 2, old human face up").click()
    expect(page.locator("#stack li").first).to_contain_text("old human face")
    page.get_by_role("button", name="Remove edit 1").click()
    expect(page.locator("#stack li")).to_have_count(1)
    visitor.wait_for_image(beard)


def test_no_press_is_lost_while_an_edit_runs(visitor: Visitor) -> None:
    page = visitor.page
    for label in ("beard", "glasses", "smile"):  # each while the last edit still runs
        page.locator("#chips").get_by_role("button", name=label, exact=True).click()
    expect(page.locator("#stack li")).to_contain_text("smiling human face")
    for _ in range(2):
        count = page.locator("#stack li").count()
        page.locator("#add").click()
        expect(page.locator("#stack li")).to_have_count(count + 1)
    switch = page.locator("#stack").get_by_role("button", name="Switch edit 1")
    for _ in range(5):
        switch.click()
    expect(switch).to_have_text("Off")
    visitor.wait_until_still()
    expect(switch).to_have_text("Off")
    for _ in range(5):
        page.locator("#undo").click()
    visitor.wait_until_still()
    expect(switch).to_have_text("On")
    page.locator("#stack").get_by_role("button", name="Remove edit 1").dblclick()
    visitor.wait_until_still()
    expect(page.locator("#stack li")).to_have_count(2)


def test_face_is_chosen_and_a_saved_result_restores_its_recipe(
    visitor: Visitor, photo: Path, tmp_path: Path
) -> None:
    page = visitor.page
    visitor.change(lambda: _upload(visitor, photo))
    expect(page.locator("#faces button")).to_have_count(2)
    before, first = visitor.images()
    visitor.change(lambda: page.get_by_role("button", name="Edit face 2 of 2").click())
    _, second = visitor.images()
    half = before.shape[1] // 2
    moved = [np.abs(after[:, :half] - before[:, :half]).mean() > 0.5 for after in (first, second)]
    assert sorted(moved) == [False, True], "each choice edits its own face"

    saved = visitor.download()
    recipe = read_recipe(saved)
    assert recipe["domain"] == "avatar" and recipe["weights"]
    dropped = tmp_path / "saved.png"
    dropped.write_bytes(saved.read_bytes())
    visitor.write("something else")
    _upload(visitor, dropped)
    expect(page.locator("#target textarea")).to_have_value(recipe["edits"][-1]["target_text"])
    expect(page.locator("#notes")).to_contain_text("No edit is switched on")


def test_unusable_images_and_texts_are_explained_and_the_page_works_on(
    visitor: Visitor, tmp_path: Path
) -> None:
    (tmp_path / "text.png").write_bytes(b"no image")
    Image.new("RGB", (300, 300), "white").save(tmp_path / "blank.png")
    Image.new("1", (20_000, 20_000)).save(tmp_path / "huge.png")
    cases = (("text.png", "not an image"), ("huge.png", "megapixels"), ("blank.png", "face"))
    for name, explained in cases:
        _upload(visitor, tmp_path / name)
        expect(visitor.page.locator("#notes")).to_contain_text(explained)
        expect(visitor.page.locator(IMAGES)).to_have_count(0)
    visitor.page.locator("#samples button").nth(1).click()
    expect(visitor.page.locator("#notes")).to_contain_text("edited in")
    visitor.settled()
    visitor.write("   ")
    visitor.press_edit()
    expect(visitor.page.locator("#notes")).to_contain_text("empty")
    visitor.write("old human face")
    visitor.change(visitor.press_edit)


def test_an_empty_result_is_as_high_as_a_full_one(visitor: Visitor, tmp_path: Path) -> None:
    def height() -> float:
        return visitor.page.locator("#before-after").evaluate("part => part.offsetHeight")

    shown = height()
    (tmp_path / "text.png").write_bytes(b"no image")
    _upload(visitor, tmp_path / "text.png")
    expect(visitor.page.locator(IMAGES)).to_have_count(0)
    assert height() == pytest.approx(shown, abs=4)


def test_unavailable_domain_says_what_it_needs(visitor: Visitor) -> None:
    page = visitor.page
    for option, seen in (("Photos of faces", True), ("Drawn portraits", False)):
        page.locator("#domain input").click()
        page.get_by_role("option", name=option).click()
        expect(page.locator("#world-words")).to_be_visible(visible=seen)
        if seen:
            expect(page.locator("#world-words")).to_contain_text("cannot be edited here yet")


def test_exploring_shows_a_strip_and_a_portrait_from_a_text(visitor: Visitor) -> None:
    page = visitor.page
    page.get_by_role("tab", name="Explore").click()
    page.locator("#strip-start").click()
    expect(page.locator("#strip .thumbnail-item img")).to_have_count(6)
    page.get_by_role("tab", name="From text").click()
    page.locator("#draw-text textarea").fill("face of a kid")
    page.locator("#draw-start").click()
    expect(page.locator("#drawn img")).to_be_visible(timeout=WAIT)


def test_batch_is_edited_and_downloaded(visitor: Visitor, editor: Editor, tmp_path: Path) -> None:
    page = visitor.page
    page.get_by_role("tab", name="Batch").click()
    good = sorted(editor.bundle.folder.glob("samples/*.png"))[0]
    (tmp_path / "bad.png").write_bytes(b"no image")
    page.locator("#batch-files input[type=file]").set_input_files([good, tmp_path / "bad.png"])
    expect(page.locator("#batch-files")).to_contain_text("bad")
    page.locator("#batch-start").click()
    expect(page.locator("#batch-status")).to_contain_text("1 edited, 1 failed")
    with page.expect_download(timeout=WAIT) as download:
        page.locator("#batch-archive a").first.click()
    with zipfile.ZipFile(download.value.path()) as archive:
        assert set(archive.namelist()) == {f"{good.stem}.png", "scores.csv", "recipe.json"}


def test_two_visitors_are_separate_and_leave_no_files(
    browser: Browser, server: str, visitor: Visitor, photo: Path
) -> None:
    other = Visitor(browser, server)
    mine = visitor.sources()
    with Image.open(photo) as image:
        image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(
            photo
        )  # an image that only this visitor has
    other.change(lambda: _upload(other, photo))
    assert visitor.sources() == mine and not set(other.sources()) & set(mine)
    left = [Path(urllib.parse.unquote(s.split("file=")[1])) for s in other.sources()]
    assert all(path.exists() for path in left)
    other.context.close()
    for _ in range(120):
        if not any(path.exists() for path in left):
            break
        visitor.page.wait_for_timeout(500)
    assert not any(path.exists() for path in left), "images remained after the visitor had left"
    assert all(Path(urllib.parse.unquote(s.split("file=")[1])).exists() for s in mine)


def test_link_and_narrow_window(browser: Browser, server: str) -> None:
    visitor = Visitor(browser, f"{server}?seed=5&target=old+human+face&alpha=0.5", 380)
    page = visitor.page
    assert page.locator("#target textarea").input_value() == "old human face"
    assert float(page.locator("#alpha input[type=range]").input_value()) == 0.5
    for name in ("#edit", "#alpha", "#save", "#random", "#target textarea", "#stack", "#domain"):
        box = page.locator(name).bounding_box()
        assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= 380, name
    for tab in ("Edit", "Explore", "Batch", "Scripts", "Consent"):
        _open_tab(page, tab)
        assert page.evaluate("document.documentElement.scrollWidth") <= 380, tab
        assert not page.evaluate(NAMELESS), tab
    assert not visitor.complaints
    visitor.context.close()


# Texts with too little contrast (WCAG 2.1, 1.4.3), except in code and disabled components.
FAINT = """() => {
  const numbers = colour => (colour.match(/[\\d.]+/g) ?? []).map(Number);
  const bright = rgb => rgb.slice(0, 3).map(v => v / 255)
    .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = part => {
    for (let at = part; at; at = at.parentElement) {
      const colour = numbers(getComputedStyle(at).backgroundColor);
      if (colour.length == 3 || colour[3] > 0.5) return colour;
    }
    return [255, 255, 255];
  };
  return [...document.querySelectorAll('body *')].filter(part => part.offsetParent
    && !part.closest('.cm-editor, [disabled], #before-after')
    && [...part.childNodes].some(node => node.nodeType == 3 && node.textContent.trim())
  ).map(part => {
    const [one, other] = [numbers(getComputedStyle(part).color), ground(part)].map(bright);
    const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    return ratio < 4.5 ? ratio.toFixed(2) + ' ' + part.textContent.trim().slice(0, 40) : '';
  }).filter(Boolean);
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_enough_contrast(browser: Browser, server: str, scheme: str) -> None:
    context = browser.new_context(color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(server, timeout=WAIT)
    expect(page.locator("#notes")).to_contain_text("edited in")
    page.get_by_role("button", name="Advanced").click()
    for tab in ("Edit", "Explore", "Batch", "Scripts", "Consent"):
        _open_tab(page, tab)
        page.wait_for_function(f"() => ({FAINT})().length == 0", timeout=WAIT)
    context.close()


def test_words_in_tables_are_not_broken_on_a_narrow_screen(browser: Browser, server: str) -> None:
    context = browser.new_context(viewport={"width": 380, "height": 800})
    page = context.new_page()
    page.goto(server, timeout=WAIT)
    expect(page.locator("#notes")).to_contain_text("edited in")
    for tab, part in (("Batch", "#batch-table th"), ("Consent", ".lead th, .lead td:first-child")):
        _open_tab(page, tab)
        expect(page.locator(part).first).to_be_visible()
        tall = page.locator(part).evaluate_all(
            "cells => cells.filter(cell => { const range = document.createRange();"
            " range.selectNodeContents(cell);"
            " return new Set([...range.getClientRects()].filter(box => box.width > 1)"
            ".map(box => Math.round(box.top / 12))).size > 2 }).map(cell => cell.innerText)"
        )
        assert not tall, f"{tab}: {tall}"
    context.close()


def _open_tab(page: Page, name: str) -> None:
    """Open a tab; in a narrow window some are in a menu at the end of the row."""
    tab = page.get_by_role("tab", name=name).first
    if not tab.is_visible():
        page.locator(".overflow-menu > button").first.click()
        page.locator(".overflow-dropdown button", has_text=name).click()
        return
    tab.click()


def _upload(visitor: Visitor, path: Path) -> None:
    remove = visitor.page.locator("#image").get_by_role("button", name="Remove Image")
    if remove.is_visible():
        remove.click()
    visitor.page.locator("#image input[type=file]").set_input_files(path)
