"""The preference study: what is asked, and that every vote counts exactly once."""

from __future__ import annotations

import csv
import io
import os
import signal
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from tests.comparison_rows import METHODS, PROMPTS, RUN, comparison_rows, kept_row
from tmsa_core.errors import RequestError
from tmsa_core.evaluation.comparison.results import Comparison
from tmsa_core.evaluation.metrics import bootstrap
from tmsa_core.evaluation.preference_study.items import Item, make_items, order_for, shuffle_for
from tmsa_core.evaluation.preference_study.page import MOST_VOTES, Study
from tmsa_core.evaluation.preference_study.results import preference_table, shares_csv
from tmsa_core.evaluation.preference_study.votes import COLUMNS, Vote, Votes

ITEM = Item("k", "beard", "with a beard", "", METHODS, ("", "", "", ""))


@pytest.fixture
def votes(tmp_path: Path) -> Votes:
    return Votes(tmp_path / "study" / "votes.sqlite")


@pytest.fixture
def study(votes: Votes) -> Study:
    return Study(make_items(Comparison(comparison_rows())), votes)


def test_fours_show_the_methods_of_the_papers_table(study: Study):
    assert len(study.items) == 3 * len(PROMPTS)
    assert all(set(item.methods) == set(METHODS) for item in study.items)
    assert len({item.key for item in study.items}) == len(study.items)


def test_pairs_compare_ours_with_every_other_method():
    items = make_items(Comparison(comparison_rows()), choices=2)
    assert len(items) == 3 * len(PROMPTS) * (len(METHODS) - 1)
    assert {item.methods for item in items} == {("tmsa", m) for m in METHODS if m != "tmsa"}


def test_portraits_that_show_it_already_are_left_out():
    rows = comparison_rows(images=1)
    rows.append(kept_row("tmsa", "beard", 0) | {"lacking": False})
    assert {item.prompt for item in make_items(Comparison(rows))} == {"smile"}


def test_results_without_images_are_refused():
    rows = [row for row in comparison_rows() if row["row"] != "image"]
    with pytest.raises(RequestError, match="no images"):
        make_items(Comparison(rows))


def test_orders_are_random_between_visitors_and_fixed_for_each(study: Study):
    orders = {tuple(order_for(f"visitor {i}", study.items)) for i in range(20)}
    assert len(orders) > 10 and all(sorted(order) == list(range(6)) for order in orders)
    places = [shuffle_for(f"visitor {i}", ITEM).index(0) for i in range(400)]
    assert all(60 < places.count(place) < 140 for place in range(4))
    assert order_for("a", study.items) == order_for("a", study.items)
    assert shuffle_for("a", ITEM) == shuffle_for("a", ITEM)


def test_the_page_names_no_method(study: Study):
    question = study.next("a")
    shown = question.heading + question.images + question.key
    assert not [m for m in METHODS if m in shown] and RUN["weights"] not in shown
    assert question.letters == "ABCD"


def test_a_visitor_sees_every_item_once_and_then_the_end(study: Study):
    seen = []
    while (question := study.next("a")).key:
        seen.append(question.key)
        assert study.vote("a", question.key, "C")
    assert sorted(seen) == sorted(item.key for item in study.items)
    assert "Thank you" in question.heading and len(study.votes.all()) == 6


def test_the_letter_means_the_image_in_that_place(study: Study):
    key = study.next("a").key
    study.vote("a", key, "B")
    vote = study.votes.all()[0]
    item = next(item for item in study.items if item.key == key)
    assert vote.shown == tuple(item.methods[k] for k in shuffle_for("a", item))
    assert vote.chosen == vote.shown[1] and vote.prompt == item.prompt


def test_a_reload_goes_on_at_the_same_question(study: Study):
    study.vote("a", study.next("a").key, "A")
    assert study.next("a") == study.next("a")
    again = Study(study.items, Votes(study.votes.path))  # a restarted server
    assert again.next("a") == study.next("a")


def test_a_double_click_counts_once_and_keeps_the_first_choice(study: Study):
    key = study.next("a").key
    assert study.vote("a", key, "A")
    assert not study.vote("a", key, "A")
    assert not study.vote("a", key, "D")  # the same item in another tab
    vote = study.votes.all()
    assert len(vote) == 1 and vote[0].chosen == vote[0].shown[0]


def test_visitors_at_once_lose_no_vote(votes: Votes):
    def fill(visitor: int) -> int:
        own = Votes(votes.path)
        items = [Item(str(k % 20), "smile", "", "", ("a", "b"), ("", "")) for k in range(40)]
        return sum(own.add(str(visitor), item, item.methods, "a") for item in items)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(fill, range(8))) == [20] * 8
    kept = {(vote.visitor, vote.item) for vote in votes.all()}
    assert len(kept) == len(votes.all()) == 8 * 20


def test_a_killed_server_has_kept_what_it_confirmed(votes: Votes):
    script = f"""
from pathlib import Path
from tmsa_core.evaluation.preference_study.items import Item
from tmsa_core.evaluation.preference_study.votes import Votes
votes = Votes(Path({str(votes.path)!r}))
for k in range(100_000):
    votes.add("a", Item(str(k), "smile", "", "", ("x", "y"), ("", "")), ("x", "y"), "x")
    print(k, flush=True)
"""
    root = Path(__file__).parent.parent.parent.parent
    child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, cwd=root)
    with child:
        confirmed = [int(child.stdout.readline()) for _ in range(25)]
        os.kill(child.pid, signal.SIGKILL)
    kept = {int(vote.item) for vote in votes.all()}
    assert set(confirmed) <= kept
    assert votes.add("a", ITEM, METHODS, "tmsa") and not votes.add("a", ITEM, METHODS, "tmsa")


def test_csv_has_every_vote(study: Study):
    study.vote("a", study.next("a").key, "A")
    study.vote("b", study.next("b").key, "B")
    rows = list(csv.DictReader(io.StringIO(study.votes.csv())))
    assert tuple(rows[0]) == COLUMNS and [row["visitor"] for row in rows] == ["a", "b"]
    assert [row["chosen"] for row in rows] == [vote.chosen for vote in study.votes.all()]


def test_the_table_counts_votes_with_intervals_and_the_papers_shares():
    def vote(k: int, prompt: str, chosen: str) -> Vote:
        return Vote(f"v{k}", str(k), prompt, METHODS, chosen, "")

    votes = [vote(k, "beard", "tmsa" if k < 6 else "tedigan") for k in range(8)]
    votes += [vote(k, "smile", "tmsa") for k in range(2)]
    lines = preference_table(votes).splitlines()
    beard = next(line for line in lines if line.startswith("| beard"))
    assert "75.0 % [" in beard and "25.0 % [" in beard and beard.endswith("| 8 |")
    assert "*55.7 %*" in beard and "*2.8 %*" in beard
    assert any(line.startswith("| all | 80.0 % [") for line in lines)
    assert "another domain" in lines[0] and "4 images at once:" in lines
    assert preference_table([]) == "No votes so far."


def test_pairs_count_a_method_only_where_it_was_shown():
    votes = [
        Vote("a", "1", "beard", ("tmsa", "tedigan"), "tmsa", ""),
        Vote("a", "2", "beard", ("tmsa", "clip2stylegan"), "clip2stylegan", ""),
    ]
    row = next(line for line in preference_table(votes).splitlines() if line.startswith("| beard"))
    cells = [cell.strip().split(" %")[0] for cell in row.split("|")[2:-1]]
    assert cells == ["50.0", "0.0", "100.0", "2"]  # and not the paper's shares of four


def test_pairs_and_fours_in_one_file_are_separate():
    fours = [Vote(f"v{k}", "1", "beard", METHODS, METHODS[k % 4], "") for k in range(8)]
    pairs = [Vote(f"v{k}", "2", "beard", METHODS[:2], METHODS[0], "") for k in range(3)]
    text = preference_table(fours + pairs)
    four, two = text.split("2 images at once:")
    assert "| 25.0 % [" in four and "*55.7 %*" in four and "100.0 %" not in four
    assert "| 100.0 % [100, 100] | 0.0 % [0, 0] | 3 |" in two and "*" not in two


def test_the_shares_are_exported_with_their_intervals():
    votes = [Vote(f"v{k}", str(k), "beard", METHODS, METHODS[int(k > 5)], "") for k in range(8)]
    rows = list(csv.DictReader(io.StringIO(shares_csv(votes))))
    assert {(row["text"], row["method"]) for row in rows} == {
        (text, method) for text in ("beard", "all") for method in METHODS
    }
    ours = next(row for row in rows if (row["text"], row["method"]) == ("beard", "tmsa"))
    low, high = bootstrap([1.0] * 6 + [0.0] * 2)[1:]
    numbers = [float(ours[name]) for name in ("share", "low", "high", "paper")]
    assert numbers == pytest.approx([0.75, low, high, 0.557], abs=1e-4) and ours["votes"] == "8"
    assert list(csv.DictReader(io.StringIO(shares_csv([])))) == []


def test_other_images_are_another_item():
    first = make_items(Comparison(comparison_rows(images=1)))
    redrawn = [*comparison_rows(images=1), kept_row("tmsa", "beard", 0, "blue")]
    second = make_items(Comparison(redrawn))
    same = {item.key for item in first} & {item.key for item in second}
    assert [key.split("/")[0] for key in same] == ["smile"]
    pairs = make_items(Comparison(comparison_rows(images=1)), choices=2)
    assert len({item.key for item in pairs}) == len(pairs)


def test_another_file_is_refused(tmp_path: Path):
    path = tmp_path / "votes.sqlite"
    path.write_text("this is no database, " * 100)
    with pytest.raises(RequestError, match="cannot hold votes"):
        Votes(path)


@pytest.mark.parametrize("table", ["notes (text TEXT)", "votes (a INT)"])
def test_another_programs_database_is_left_alone(table: str, tmp_path: Path):
    path = tmp_path / "other.sqlite"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"CREATE TABLE {table}")
    before = path.read_bytes()
    with pytest.raises(RequestError, match="something other than votes"):
        Votes(path)
    assert path.read_bytes() == before


def damage(path: Path) -> None:
    """Spoil the pages in the middle of a database."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    text = bytearray(path.read_bytes())
    text[2 * 4096 :] = bytes(byte ^ 0x5A for byte in text[2 * 4096 :])
    path.write_bytes(text)


def test_a_damaged_file_is_refused(votes: Votes):
    for k in range(400):
        votes.add(f"visitor {k}", ITEM, METHODS, "tmsa")
    damage(votes.path)
    with pytest.raises(RequestError, match=r"(is damaged|cannot hold votes)"):
        Votes(votes.path)
    with pytest.raises(RequestError, match="cannot hold votes"):  # while the page is running
        votes.all()


@pytest.mark.parametrize(
    "name", ["=cmd|' /C calc'!A0", "@sum", "-1", "", "a" * 65, "x" * 10**6, "a\nb"]
)
def test_names_that_the_page_does_not_give_are_refused(study: Study, name: str):
    key = study.next("a").key
    for ask in (lambda: study.next(name), lambda: study.vote(name, key, "A")):
        with pytest.raises(RequestError, match="visitor's name has 1 to 64") as caught:
            ask()
        assert len(str(caught.value)) < 200
    assert not study.votes.all()


@pytest.mark.parametrize("letter", ["E", "", "AB", "=1", "A" * 1000])
def test_choices_that_were_not_shown_are_refused(study: Study, letter: str):
    with pytest.raises(RequestError, match="not one of A, B, C, D"):
        study.vote("a", study.next("a").key, letter)
    with pytest.raises(RequestError, match="not one of the images"):
        study.votes.add("a", ITEM, METHODS, letter)
    assert not study.votes.all()


def test_a_visitor_who_chooses_too_fast_is_refused_and_others_are_not(votes: Votes):
    items = [
        Item(str(k), "smile", "", "", METHODS, ("", "", "", "")) for k in range(MOST_VOTES + 1)
    ]
    study = Study(items, votes)
    for k in range(MOST_VOTES):
        assert study.vote("fast", str(k), "A")
    with pytest.raises(RequestError, match="choices within 60 seconds"):
        study.vote("fast", str(MOST_VOTES), "A")
    assert study.vote("other", "0", "A")
    with closing(sqlite3.connect(votes.path)) as connection, connection:
        connection.execute(
            "UPDATE votes SET at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-2 minutes')"
        )
    assert study.vote("fast", str(MOST_VOTES), "A")


def test_no_cell_of_the_csv_is_a_formula(votes: Votes):
    votes.add("a", Item("=1", "@x", "", "", METHODS, ("", "", "", "")), METHODS, "tmsa")
    row = list(csv.reader(io.StringIO(votes.csv())))[1]
    assert row[:3] == ["a", "'=1", "'@x"]
    vote = Vote("a", "k", "=1", METHODS, "tmsa", "2026")
    assert "'=1" in shares_csv([vote]) and ",=1" not in shares_csv([vote])
