import pytest

from tmsa_core.bundles import open_bundle
from tmsa_core.evaluation.alignment.setup import newest
from tmsa_core.evaluation.alignment.tables import alignment_page
from tmsa_core.evaluation.bundle.readme import (
    ALIGNMENT,
    ALIGNMENT_PAGE,
    COMPARISON,
    COMPARISON_END,
    COMPARISON_PAGE,
    COMPARISON_START,
    END,
    README,
    RESULTS,
    START,
    latest,
    read_results,
    with_comparison,
    with_results,
)
from tmsa_core.evaluation.comparison.results import read_comparison
from tmsa_core.evaluation.comparison.tables import document
from tmsa_core.evaluation.staleness import present_weights, staleness_note


def test_the_readme_shows_the_committed_results():
    text = README.read_text()
    assert with_results(text, read_results(RESULTS)) == text, "run `make tables`"


def test_the_results_are_those_of_the_committed_weights():
    assert read_results(RESULTS)[-1]["weights"] == open_bundle("avatar").fingerprint()


def test_only_the_last_run_counts():
    rows = [{"weights": "a", "n": 1}, {"weights": "b", "n": 2}, {"weights": "b", "n": 3}]
    assert [row["n"] for row in latest(rows)] == [2, 3]


def test_a_readme_without_markers_is_refused():
    rows = read_results(RESULTS)
    with pytest.raises(ValueError, match="results start"):
        with_results("nothing here", rows)
    assert with_results(f"a {START} old {END} b", rows).startswith(f"a {START}\n")


needs_comparison = pytest.mark.skipif(
    not COMPARISON.exists(), reason="no comparison is committed for these weights"
)


@needs_comparison
def test_the_comparisons_tables_show_the_committed_results():
    data, present = read_comparison(COMPARISON), present_weights(open_bundle("avatar"))
    text = README.read_text()
    assert with_comparison(text, data, present["comparison"]) == text, "run `make tables`"
    assert COMPARISON_PAGE.read_text() == document(data, present["comparison"]), "run `make tables`"


@needs_comparison
def test_the_comparison_is_of_the_committed_weights():
    data, present = read_comparison(COMPARISON), present_weights(open_bundle("avatar"))
    assert data.run["weights"] == present["comparison"]
    for text in (README.read_text(), COMPARISON_PAGE.read_text()):
        assert "These figures are older than" not in text


def test_a_page_says_which_figures_are_older_than_the_weights():
    assert staleness_note("a", "a") == staleness_note("a", None) == ""
    assert "weights `a`, now `b`" in staleness_note("a", "b")
    rows = [point("paper", 3_000, 0.5)]
    assert "older" not in alignment_page(rows, {"curve": "a", "gap": "b"})
    assert "weights `a`, now `b`" in alignment_page(rows, {"curve": "b"})


def test_a_changed_result_makes_the_table_stale():
    from tests.comparison_rows import comparison_rows, edit
    from tmsa_core.evaluation.comparison.results import Comparison

    empty = f"{COMPARISON_START}\n{COMPARISON_END}"
    before = with_comparison(empty, Comparison(comparison_rows()))
    changed = [*comparison_rows(), edit("tmsa", "beard", 0, success=False)]
    assert with_comparison(before, Comparison(comparison_rows())) == before
    assert with_comparison(before, Comparison(changed)) != before


def test_the_page_of_the_alignment_shows_the_committed_studies():
    rows = read_results(ALIGNMENT)
    present = present_weights(open_bundle("avatar"))
    page = alignment_page(rows, present)
    assert ALIGNMENT_PAGE.read_text() == page, "run `make tables`"
    studies = ("gap", "losses", "curve", "merit")
    assert newest(rows, "merit")[-1]["weights"] == present["merit"]
    older = [s for s in studies if newest(rows, s)[-1]["weights"] != present[s]]
    assert page.count("These figures are older than") == len(older)


def test_the_page_says_which_texts_miss_the_goal_and_whether_the_truth_does():
    common = {"study": "merit", "weights": "a", "of": 9, "alpha": 1.0, "kept": 1.0, "identity": 1.0}
    common |= {"clip": 1.0, "worst": "age", "worst_kept": 1.0}
    success = {"beard": (0.99, 0.9), "old": (0.9, 0.97), "rock star": (0.25, 0.3)}
    rows = [
        common | {"row": row, "prompt": prompt, "success": share}
        for prompt, shares in success.items()
        for row, share in zip(("edit", "truth"), shares, strict=True)
    ]
    page = alignment_page(rows)
    assert "| old | 0.90 | 0.97 |" in page
    assert (
        "missed in points by rock star by 70, old by 5. With rock star the true direction" in page
    )
    assert "All texts reach the goal" in alignment_page(rows[:2])


def point(schedule: str, evaluations: int, cosine: float) -> dict[str, object]:
    figures = dict.fromkeys(("success", "kept", "identity", "clip"), 0.5)
    return {
        "study": "curve",
        "weights": "a",
        "row": "point",
        "schedule": schedule,
        "evaluations": evaluations,
        "portraits": 10,
        "cosine_to_truth": cosine,
        **figures,
    }


def test_the_claim_of_a_cheaper_alignment_follows_the_rows():
    paper = [point("paper", 3_000, 0.5), point("paper", 100_000, 0.8)]
    won = alignment_page([*paper, point("fast", 1_000, 0.9), point("quick", 500, 0.7)])
    assert "“fast” is at 0.90 and 50 % after 1,000, a 100th of those" in won
    assert "a 9,600th of the whole schedule" in won
    lost = alignment_page([*paper, point("quick", 500, 0.7)])
    assert "No cheaper map reached both" in lost
