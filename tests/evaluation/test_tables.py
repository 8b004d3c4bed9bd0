"""The pages show the committed results."""

import pytest

from tmsa_core.bundles import open_bundle
from tmsa_core.evaluation.alignment.tables import curve_tables, merit_tables
from tmsa_core.evaluation.bundle.tables import bundle_tables
from tmsa_core.evaluation.markdown import fill, fill_pages
from tmsa_core.evaluation.tables import OLDER, PAGES, ROOT, all_tables


@pytest.fixture(scope="module")
def tables():
    return all_tables(ROOT / "results", open_bundle("avatar"))


def test_the_pages_show_the_committed_results(tables):
    for page in (ROOT / page for page in PAGES):
        if page.exists():
            text = page.read_text()
            assert fill(text, tables) == text, f"{page}: run `make tables`"


def test_the_pages_of_this_folder_have_a_place_for_their_tables(tables):
    text = "".join((ROOT / "docs" / page).read_text() for page in ("comparison.md", "alignment.md"))
    bundle = {"comparison", "edits", "inversions", "whole-image", "zero-shot", "quality"}
    assert {name for name in tables if f"<!-- {name} start -->" not in text} == bundle


def test_results_of_the_present_networks_are_not_marked_as_older(tables):
    assert all(OLDER not in tables[name] for name in ("edits", "comparison", "merit"))
    assert tables["gap"].startswith(OLDER)  # measured before the present generator


def test_only_text_between_known_markers_is_replaced(tmp_path):
    page = "a <!-- x start -->old<!-- x end --> b <!-- y start -->\n<!-- y end --> <!-- z start -->"
    filled = "a <!-- x start -->\n\nnew\n\n<!-- x end --> b <!-- y start -->\n<!-- y end --> "
    filled += "<!-- z start -->"
    assert fill(page, {"x": "new", "z": "?", "other": "?"}) == filled
    assert fill(filled, {"x": "new"}) == filled
    (tmp_path / "page.md").write_text(page)
    fill_pages([tmp_path / "page.md", tmp_path / "missing.md"], {"x": "new"})
    assert (tmp_path / "page.md").read_text() == filled
    assert not (tmp_path / "missing.md").exists()


def test_the_tables_of_a_bundle_by_known_rows():
    common = {"weights": "w", "portraits": 200}
    figures = {"psnr": 20.0, "ssim": 0.5, "pixels": 0.1, "perceptual": 1.5, "identity": 0.6}
    edit = {"prompt": "smile", "success": 0.5, "kept": 0.9, "identity": 0.7, "clip": 1.0}
    sharpness = {"psnr": 25.04, "correlation": 0.876, "strength": 0.9, "part_freckles": 0.714}
    rows = [
        {"report": "samples", "frechet_samples": 2.0, "frechet_renders": 1.0},
        {"report": "inversion", "e4e_mean": 0.9, "judge_mean": 1.0, "psnr": 1.0, "identity": 1.0},
        {"report": "zero_shot", "smile": 0.987},
        {"report": "crispness"} | sharpness,
        {"report": "edit"} | edit,
    ]
    rows = [common | row for row in rows]
    assert "inversions" not in bundle_tables(rows)
    for name, success in (("e4e", 0.5), ("hfgi", 0.7)):
        own = common | {"inversion": name}
        rows.append(own | {"report": "reconstruction"} | figures)
        rows += [
            own | edit | {"report": "edit_by_inversion", "success": success + k} for k in (0, 0.2)
        ]
        rows += [own | edit | {"report": "edit_put_back", "success": s} for s in (success, 0.9)]
    older = [row | {"weights": "old", "success": 0.0} for row in rows]
    tables = bundle_tables(older + rows)
    assert "| smile | 50.0 % | 90.0 % | 0.70 | 100.0 % |" in tables["edits"]
    assert tables["zero-shot"].endswith("| smile | 98.7 % |")
    assert "correlation of fine detail | 0.88 |" in tables["quality"]
    assert "fine detail drawn: freckles | 71.4 % |" in tables["quality"]
    assert "| hfgi | 80.0 % | 90.0 % | 0.70 |" in tables["whole-image"]
    expected = "| hfgi | 1.500 | 5.0 % | 20.0 dB | 0.500 | 0.60 | 80.0 % | 90.0 % |"
    assert expected in tables["inversions"]


def test_the_tables_of_the_studies_by_known_rows():
    common = {"of": 9, "alpha": 1.0, "kept": 1.0, "identity": 1.0, "clip": 1.0}
    common |= {"worst": "age", "worst_kept": 0.5}
    rows = [
        common | {"row": "edit", "prompt": "old", "success": 0.9},
        common | {"row": "edit", "prompt": "old", "success": 0.4, "alpha": 0.5},
        common | {"row": "edit", "prompt": "hat", "success": 0.8},
        common | {"row": "truth", "prompt": "old", "success": 0.97},
    ]
    tables = merit_tables(rows)
    assert "| old | 0.90 | 0.97 | 1.00 | 1.00 | 1.00 | age 0.50 |" in tables["merit"]
    assert "| prompt | 0.5 | 1 |" in tables["merit-alpha"]
    assert "| hat | - | 0.80 |" in tables["merit-alpha"]
    scores = dict.fromkeys(("cosine_to_truth", "success", "kept", "identity", "clip"), 0.5)
    points = [("paper", 3_000, 0.1), ("fast", 12_345, 0.2), ("paper", 3_000, 0.3)]
    rows = [scores | {"schedule": s, "evaluations": n, "cosine_to_truth": c} for s, n, c in points]
    *_, fast, paper = curve_tables(rows)["curve"].splitlines()
    assert fast.startswith("| fast | 12,345 | 0.20 |") and paper.startswith(
        "| paper | 3,000 | 0.30 |"
    )
