"""Numbers, tables and figures of the comparison, from known rows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from tests.comparison_rows import RUN, comparison_rows, edit, kept_row
from tmsa_core.errors import RequestError
from tmsa_core.evaluation import paper
from tmsa_core.evaluation.comparison.figures import FIGURES, write_figure
from tmsa_core.evaluation.comparison.results import Comparison, read_comparison
from tmsa_core.evaluation.comparison.tables import (
    MARGIN,
    ahead_table,
    attributes_table,
    budgets_table,
    comparison_tables,
    costs_table,
    differences_table,
    methods_table,
    paper_table,
    summary_table,
)
from tmsa_core.evaluation.prompts import SIX
from tmsa_core.imaging.contact_sheet import LABEL_WIDTH, TITLE_HEIGHT


def cells(table: str, first: str) -> list[str]:
    """The cells of the row of a Markdown table that begins with ``first``."""
    line = next(line for line in table.splitlines() if line.startswith(f"| {first}"))
    return [cell.strip() for cell in line.strip("|").split("|")]


@pytest.fixture
def results(tmp_path: Path) -> Path:
    path = tmp_path / "comparison.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in comparison_rows()))
    return path


def test_only_the_last_run_and_the_last_of_repeated_edits_count():
    old = [row | {"weights": "old"} for row in comparison_rows()]
    again = edit("tmsa", "beard", 0, success=False)
    data = Comparison(old + comparison_rows() + [again])
    assert data.run == RUN
    rows = data.counted("tmsa", "beard")
    assert len(rows) == 3 and rows["success"].tolist() == [0, 1, 1]


def test_portraits_that_had_it_already_do_not_count():
    data = Comparison([*comparison_rows(), edit("tmsa", "beard", 0, lacking=False)])
    assert len(data.counted("tmsa", "beard")) == 2


def test_metrics_of_known_edits():
    damaged = edit("tmsa", "beard", 0, changed=["clothes"], unseen=["gender", "background"])
    failed = edit("tmsa", "beard", 1, success=False, clip=False, identity=0.3)
    data = Comparison([*comparison_rows(), damaged, failed])
    assert data.interval("success", "tmsa", "beard").mean == pytest.approx(2 / 3)
    assert data.interval("clip", "tmsa", "beard").mean == pytest.approx(2 / 3)
    assert data.interval("identity", "tmsa", "beard").mean == pytest.approx(0.7)
    assert data.interval("kept", "tmsa", "beard").mean == pytest.approx((0.5 + 1 + 1) / 3)
    table = attributes_table(data)
    assert cells(table, "clothes")[1].startswith("83 %")  # 5 of 6
    assert cells(table, "gender")[1].startswith("100 %")
    overall = cells(methods_table(data), "TMSA (ours)")
    assert overall[1].startswith("83 %") and overall[5] == "6" and overall[6:] == ["0.01", "0.5"]


def test_a_domain_without_truth_shows_none():
    rows = [r | {"success": None} if r["row"] == "edit" else r for r in comparison_rows()]
    assert cells(methods_table(Comparison(rows)), "TMSA (ours)")[1:3] == ["-", "-"]


def test_the_papers_numbers_are_next_to_ours_in_italics():
    data = Comparison([*comparison_rows(), edit("tedigan", "beard", 0, identity=0.6)])
    row = cells(paper_table(data, "identity", paper.IDENTITY), "Beard")
    assert row == ["Beard", "0.80", "0.90", "0.90", "0.90", "*0.79*", "*0.72*", "*0.58*", "*0.89*"]
    assert all(table.startswith("| ") for table in comparison_tables(data).values())


def test_the_papers_tables_have_our_six_prompts():
    for table in (paper.PREFERENCE, paper.IDENTITY, paper.CLIP_ACCURACY):
        assert tuple(table) == tuple(prompt.name for prompt in SIX)
        assert all(len(row) == len(paper.COLUMNS) for row in table.values())


def test_where_another_method_is_better():
    assert Comparison(comparison_rows()).ahead(MARGIN).empty
    weak = [edit("tedigan", "beard", i, success=False, identity=0.99) for i in range(3)]
    data = Comparison(comparison_rows() + weak)
    (row,) = data.ahead(MARGIN).itertuples(index=False)
    assert (row.metric, row.method, row.prompt) == ("identity", "tedigan", "beard")
    assert (row.theirs, row.ours) == pytest.approx((0.99, 0.9))
    assert (row.shown, row.shown_ours) == (0, 1)
    line = cells(ahead_table(data), "identity")
    assert line[1:] == ["TediGAN, CLIP-guided", "beard", "0.99", "0.90", "0 %", "100 %"]


def test_methods_are_compared_on_portraits_that_both_edited():
    ours = [edit("tmsa", "beard", i, identity=(0.5, 0.95, 0.95)[i]) for i in range(3)]
    rows = [r for r in comparison_rows() if r.get("method") != "tedigan" or r.get("image") != 0]
    ahead = Comparison(rows + ours).ahead(MARGIN)
    assert "tedigan" not in set(ahead["method"])  # 0.9 against 0.95, and 0.8 over all of ours
    assert set(ahead["method"]) == {"styleclip_mapper", "clip2stylegan"}


def test_intervals_resample_all_edits_of_a_portrait_together():
    rows = [edit("tmsa", p, i, identity=float(i)) for p in ("beard", "smile") for i in range(3)]
    data = Comparison(comparison_rows() + rows)
    both, one = data.interval("identity", "tmsa"), data.interval("identity", "tmsa", "beard")
    assert both == pytest.approx(one)  # the second prompt repeats the first


def test_changed_settings_and_differences_are_listed():
    rows = comparison_rows()
    assert "| TediGAN" not in budgets_table(Comparison(rows))
    for row in rows:
        if row["row"] == "strength" and row["method"] == "tedigan":
            row["settings"] = {"steps": [40, 200]}
    assert cells(budgets_table(Comparison(rows)), "TediGAN")[1:] == ["steps", "40", "200"]
    table = differences_table(Comparison(rows))
    assert cells(table, "StyleCLIP, latent mapper")[1].startswith("Adam trains it")
    assert "TMSA" not in table


def test_missing_costs_are_left_blank():
    rows = [r for r in comparison_rows() if (r["row"], r.get("method")) != ("cost", "tedigan")]
    data = Comparison(rows)
    assert cells(costs_table(data), "TediGAN")[1:] == ["2", "-", "-"]
    assert cells(methods_table(data), "TediGAN")[6:] == ["-", "-"]


def test_costs_per_generator_text_and_image():
    data = Comparison(comparison_rows())
    assert cells(costs_table(data), "TediGAN")[1:] == ["2", "0.5", "0.01"]
    assert cells(summary_table(data), "TediGAN")[1:] == ["100 %", "100 %", "0.90", "100 %", "0.01"]


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_is_drawn_from_the_results_alone(name: str, results: Path, tmp_path: Path):
    out = tmp_path / f"{name}.png"
    write_figure(name, out, results, portraits=2)
    with Image.open(out) as image:
        low, high = image.convert("L").getextrema()
        assert min(image.size) > 30 and low < high


def test_a_grid_shows_each_image_in_its_place(tmp_path: Path):
    rows = [*comparison_rows(), kept_row("tedigan", "smile", 1, "blue")]
    path = tmp_path / "c.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    write_figure("figure-5", tmp_path / "f.png", path, portraits=2)
    with Image.open(tmp_path / "f.png") as image:
        blue = [
            (x, y)
            for x in range(image.width)
            for y in range(image.height)
            if image.getpixel((x, y))[2] > 150 > image.getpixel((x, y))[0]
        ]
    assert len(blue) == 16 * 16
    left, top = min(blue)
    order = list(Comparison(rows).methods)
    assert left == LABEL_WIDTH + 3 * 18  # the column of the second prompt
    assert top == TITLE_HEIGHT + (4 + order.index("tedigan")) * 18


def test_a_grid_has_rows_of_kept_portraits_only(results: Path, tmp_path: Path):
    for name in ("figure-5", "figure-10"):
        sizes = []
        for portraits in (3, 100):
            write_figure(name, tmp_path / "f.png", results, portraits)
            with Image.open(tmp_path / "f.png") as image:
                sizes.append(image.size)
        assert sizes[0] == sizes[1]


def test_a_plot_of_nothing_is_refused(tmp_path: Path):
    rows = [r for r in comparison_rows() if r.get("factor", 1.0) == 1.0]
    path = tmp_path / "c.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(RequestError, match="--curve-images 16"):
        write_figure("pareto", tmp_path / "p.png", path, 4)


def test_missing_results_are_refused(tmp_path: Path):
    with pytest.raises(RequestError, match="run `tmsa evaluate"):
        read_comparison(tmp_path / "absent.jsonl")
