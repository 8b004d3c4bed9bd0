"""The page of the study in a browser: a choice, a double click, a reload, a second visitor."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.chromium import needs_chromium
from tests.comparison_rows import comparison_rows
from tmsa_core.evaluation.comparison.results import Comparison
from tmsa_core.evaluation.preference_study.items import make_items
from tmsa_core.evaluation.preference_study.page import STYLE, Study, build_study
from tmsa_core.evaluation.preference_study.votes import Votes

WAIT = 60_000

pytestmark = needs_chromium


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return Study(make_items(Comparison(comparison_rows(images=2))), Votes(tmp_path / "v.sqlite"))


@pytest.fixture
def address(study: Study, port: int) -> Iterator[str]:
    page = build_study(study)
    options = {"prevent_thread_lock": True, "quiet": True, "server_port": port}
    _, address, _ = page.launch(css_paths=STYLE, ssr_mode=False, **options)
    yield address
    page.close(verbose=False)


def visit(browser: Browser, address: str) -> Page:
    page = browser.new_context().new_page()
    page.goto(address)
    expect(page.get_by_text("1 of 4")).to_be_visible(timeout=WAIT)
    return page


def test_two_visitors_double_clicks_and_reloads(browser: Browser, address: str, study: Study):
    page = visit(browser, address)
    assert page.locator(".study img").count() == 5
    page.locator("#choose").click()
    expect(page.get_by_text("Choose an image first")).to_be_visible(timeout=WAIT)
    assert not study.votes.all()

    page.locator("#choice").get_by_text("B", exact=True).click()
    page.locator("#choose").dblclick()
    expect(page.get_by_text("2 of 4")).to_be_visible(timeout=WAIT)
    assert len(study.votes.all()) == 1

    page.reload()
    expect(page.get_by_text("2 of 4")).to_be_visible(timeout=WAIT)

    other = visit(browser, address)
    other.locator("#choice").get_by_text("A", exact=True).click()
    other.locator("#choose").click()
    expect(other.get_by_text("2 of 4")).to_be_visible(timeout=WAIT)
    votes = study.votes.all()
    assert len(votes) == 2 and len({vote.visitor for vote in votes}) == 2

    for done in (2, 3, 4):
        page.locator("#choice").get_by_text("C", exact=True).click()
        page.locator("#choose").click()
        end = f"{done + 1} of 4" if done < 4 else "Thank you"
        expect(page.get_by_text(end)).to_be_visible(timeout=WAIT)
    assert len(study.votes.all()) == 5


def test_a_page_continues_with_a_restarted_server(browser: Browser, study: Study, port: int):
    options = {"prevent_thread_lock": True, "quiet": True, "server_port": port, "ssr_mode": False}
    first = build_study(study)
    _, address, _ = first.launch(css_paths=STYLE, **options)
    page = visit(browser, address)
    page.locator("#choice").get_by_text("B", exact=True).click()
    first.close(verbose=False)

    again = build_study(Study(study.items, Votes(study.votes.path)))
    again.launch(css_paths=STYLE, **options)
    page.locator("#choose").click()
    expect(page.get_by_text("2 of 4")).to_be_visible(timeout=WAIT)
    assert len(study.votes.all()) == 1
    again.close(verbose=False)

    others = build_study(Study(study.items[:2], Votes(study.votes.path.with_name("other.sqlite"))))
    # The results are other ones: the vote must not count for another item.
    others.launch(css_paths=STYLE, **options)
    page.locator("#choice").get_by_text("A", exact=True).click()
    page.locator("#choose").click()
    expect(page.get_by_text("of 2")).to_be_visible(timeout=WAIT)
    others.close(verbose=False)


def test_tabs_of_one_browser_are_one_visitor(browser: Browser, address: str, study: Study):
    context = browser.new_context()
    tabs = [context.new_page() for _ in range(3)]
    for tab in tabs:
        tab.goto(address, wait_until="commit")
    for tab in tabs:
        expect(tab.get_by_text("1 of 4")).to_be_visible(timeout=WAIT)
        tab.locator("#choice").get_by_text("A", exact=True).click()
    for tab in tabs:
        tab.locator("#choose").click()
        expect(tab.get_by_text("2 of 4")).to_be_visible(timeout=WAIT)
    assert len(study.votes.all()) == 1

    tabs[0].goto("about:blank")
    tabs[0].go_back()
    expect(tabs[0].get_by_text("2 of 4")).to_be_visible(timeout=WAIT)
    assert len(study.votes.all()) == 1


def test_a_vote_that_cannot_be_stored_shows_an_error(browser: Browser, address: str, study: Study):
    page = visit(browser, address)
    for file in study.votes.path.parent.glob("v.sqlite*"):
        file.unlink()
    page.locator("#choice").get_by_text("A", exact=True).click()
    page.locator("#choose").click()
    expect(page.get_by_text("cannot hold votes")).to_be_visible(timeout=WAIT)
    expect(page.get_by_text("1 of 4")).to_be_visible()
