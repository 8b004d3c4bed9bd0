"""A small run of the comparison: what it writes, and that it resumes after a stop."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.tiny_networks import LEVELS, SETTINGS, W_DIM, tiny_networks
from tmsa_core.baselines import METHODS, Edit, Method, check_methods
from tmsa_core.editing.shift import embed_text
from tmsa_core.errors import RequestError
from tmsa_core.evaluation.comparison import strength_search as tuning
from tmsa_core.evaluation.comparison.results import Comparison, read_comparison
from tmsa_core.evaluation.comparison.run import FACTORS, ROWS, ComparisonRun, Plan
from tmsa_core.evaluation.comparison.strength_search import tune
from tmsa_core.evaluation.json_lines import RowLog
from tmsa_core.evaluation.judges import Evaluators
from tmsa_core.evaluation.prompts import Prompt
from tmsa_core.evaluation.subjects import find_subjects

RUN = {"domain": "car", "weights": "w", "inversion": "e4e", "folder": None}
HAPPY = Prompt("happy", "happy face", "face", ())
PLAN = Plan(
    ("tmsa",),
    (HAPPY,),
    images=4,
    searched=2,
    curve=2,
    kept=1,
    validation=2,
    search_validation=1,
    examples=4,
)


@pytest.fixture(autouse=True)
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, settings in SETTINGS.items():
        monkeypatch.setitem(module.SETTINGS, "car", settings)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "results" / "c.jsonl"


def run(out: Path, plan: Plan = PLAN, mapper: str = "m") -> list[dict]:
    """Runs a plan on the tiny networks and returns all rows."""
    world = tiny_networks(out.parent / "parts")
    judges = Evaluators(world.clip, world.identity, None)
    ComparisonRun(world, judges, plan, RowLog(out, ROWS, RUN), mapper).run()
    return ROWS.read(out)


def kinds(rows: list[dict]) -> dict[str, int]:
    return {kind: sum(r["row"] == kind for r in rows) for kind in {r["row"] for r in rows}}


def test_a_run_writes_every_row_and_a_second_run_adds_none(out: Path):
    rows = run(out)
    edits = 2 * len(FACTORS) + 2  # two portraits along the curve, two at the working strength
    expected = {"prompt": 1, "inversion": 4, "strength": 1, "edit": edits, "cost": 1, "image": 3}
    assert kinds(rows) == expected
    assert all(RUN.items() <= row.items() for row in rows)
    assert run(out) == rows


def test_a_stopped_run_resumes(out: Path):
    whole = run(out)
    lines = out.read_text().splitlines(keepends=True)
    last = next(i for i, line in enumerate(lines) if '"edit"' in line) + 5
    out.write_text("".join(lines[:last]) + lines[last][:20])  # killed in the middle of a line
    again = run(out)

    def edits(rows: list[dict]) -> dict[tuple, dict]:
        return {(r["image"], r["factor"]): r for r in rows if r["row"] == "edit"}

    assert len([r for r in again if r["row"] == "edit"]) == len(edits(whole))
    assert edits(again) == edits(whole)


def test_more_images_and_methods_only_add(out: Path):
    first = run(out)
    more = replace(PLAN, methods=("tmsa", "styleclip_optimise"), images=5)
    rows = run(out, more)
    assert rows[: len(first)] == first
    data = Comparison(rows)
    assert len(data.counted("tmsa")) == 5
    assert len(data.counted("styleclip_optimise")) == 2  # a search gets fewer
    assert data.seconds("styleclip_optimise", "image") > data.seconds("tmsa", "image")


def test_other_weights_start_again(out: Path):
    first = run(out)
    out.write_text("".join(json.dumps(r | {"weights": "old"}) + "\n" for r in first))
    assert kinds(run(out)) == {kind: 2 * n for kind, n in kinds(first).items()}


def test_another_mapper_repeats_only_tmsa(out: Path):
    plan = replace(PLAN, methods=("tmsa", "styleclip_optimise"))
    first = run(out, plan)
    added = run(out, plan, mapper="n")[len(first) :]
    assert {row["row"] for row in added} == {"strength", "edit", "image", "cost"}
    assert {(row["method"], row["mapper"]) for row in added} == {("tmsa", "n")}
    data = Comparison(ROWS.read(out))
    assert data.mapper == "n" and len(data.counted("tmsa")) == 4 and len(data.edits) == 26


def test_reading_keeps_an_incomplete_row_and_a_run_removes_it(out: Path):
    rows = run(out)
    with out.open("a") as file:
        file.write('{"domain": "pho')
    before = out.read_bytes()
    assert ROWS.read(out) == rows and len(read_comparison(out).edits) > 0
    assert out.read_bytes() == before
    assert run(out) == rows


def test_a_run_stopped_before_its_first_edit_is_refused(out: Path):
    rows = [row for row in run(out) if row["row"] in ("prompt", "inversion", "image")]
    out.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(RequestError, match="no edits yet"):
        read_comparison(out)


def test_a_stop_never_loses_the_cost_of_logged_edits(out: Path):
    run(out)
    lines = out.read_text().splitlines(keepends=True)
    for end in range(2, len(lines) + 1):
        rows = [json.loads(line) for line in lines[:end]]
        if any(row["row"] == "edit" for row in rows):
            assert Comparison(rows).seconds("tmsa", "image") > 0


def test_images_can_be_kept_later(out: Path):
    run(out, replace(PLAN, kept=0))
    rows = run(out, replace(PLAN, kept=3))
    data = Comparison(rows)
    assert all(data.kept_image("tmsa", "happy", i) for i in range(3))
    assert len(data.counted("tmsa")) == 4
    assert run(out, replace(PLAN, kept=3)) == rows


def test_an_unknown_method_is_refused():
    assert check_methods([" tmsa", "tedigan", "tmsa"]) == ("tmsa", "tedigan")
    with pytest.raises(RequestError, match=r"no method 'magic'.*styleclip_global"):
        check_methods(["magic"])


def test_the_rule_takes_the_weakest_strength_that_reaches_the_best_examples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    reached = {"a": [0.2, 0.6, 1.4], "b": [0.4, 1.0, 0.8]}
    monkeypatch.setattr(tuning, "reach", lambda *args: reached[args[-1].name])
    method = Method("x", METHODS["tmsa"].find_edit, strengths=(0.5, 1.0, 2.0))
    prompts = [replace(HAPPY, name=name) for name in reached]
    world, codes = tiny_networks(tmp_path), torch.zeros(1, LEVELS, W_DIM)
    alpha, mean = tune(world, method, codes, codes[0], prompts)
    assert mean == [0.3, 0.8, 0.9]  # values above 1 count as 1
    assert alpha == pytest.approx(1 + (0.95 * 0.9 - 0.8) / 0.1)
    reached.update(a=[0.1, 0.3, 0.2], b=[0.1, 0.3, 0.2])  # it never gets there
    assert tune(world, method, codes, codes[0], prompts)[0] == pytest.approx(0.9625)
    reached.update(a=[1.5, 1.0, 1.0], b=[1.2, 1.0, 1.0])  # the weakest is enough
    assert tune(world, method, codes, codes[0], prompts)[0] == 0.5


def test_prompts_that_the_inversions_fit_already_are_ignored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    world, codes = tiny_networks(tmp_path), torch.zeros(1, LEVELS, W_DIM)
    with torch.inference_mode():
        seen = world.clip.embed_images(world.generator.synthesise(codes).clamp(-1, 1))
    assert tuning.reach(world, METHODS["tmsa"], codes, seen - 0.1, HAPPY) == []
    reached = {"a": [0.2, 0.6, 1.4], "b": []}
    monkeypatch.setattr(tuning, "reach", lambda *args: reached[args[-1].name])
    method = Method("x", METHODS["tmsa"].find_edit, strengths=(0.5, 1.0, 2.0))
    prompts = [replace(HAPPY, name=name) for name in reached]
    assert tune(world, method, codes, codes[0], prompts)[1] == [0.2, 0.6, 1.0]
    assert tune(world, method, codes, codes[0], prompts[1:]) == (1.0, [])


def test_reach_is_measured_on_the_scale_of_the_best_examples(tmp_path: Path):
    world = tiny_networks(tmp_path)
    codes = torch.randn(2, LEVELS, W_DIM, generator=torch.Generator().manual_seed(0))
    goal = torch.randn(1, LEVELS, W_DIM, generator=torch.Generator().manual_seed(4))
    with torch.inference_mode():
        there = world.clip.embed_images(Edit(w_shift=goal).apply(world.generator, codes, 1.0))
    method = Method("x", lambda *_: Edit(w_shift=goal), strengths=(0.0, 1.0))
    target = embed_text(world.clip, HAPPY.target)
    best = there.mean(dim=0, keepdim=True).expand(8, -1)  # as good as the goal, every one
    none, whole = tuning.reach(world, method, codes, best, HAPPY)
    assert none == 0 and whole == pytest.approx(1.0, abs=1e-3)
    assert float(best[0] @ target) == pytest.approx(float((there @ target).mean()), abs=1e-6)


def test_subjects_of_a_folder(tmp_path: Path):
    from PIL import Image

    world = tiny_networks(tmp_path / "parts")
    for name in ("b.png", "a.jpg", "notes.txt"):
        path = tmp_path / name
        if name.endswith("txt"):
            path.write_text("not an image")
        else:
            Image.new("RGB", (90, 90), "red" if name == "a.jpg" else "blue").save(path)
    subjects = find_subjects(world, 2, folder=tmp_path)
    assert subjects.images.shape == (2, 3, 64, 64) and subjects.codes.shape == (2, LEVELS, W_DIM)
    assert subjects.images[0, 0].mean() > 0.9 > subjects.images[1, 0].mean()  # a before b
    with pytest.raises(RequestError, match="has 2 images, not 3"):
        find_subjects(world, 3, folder=tmp_path)
    with pytest.raises(RequestError, match="There is no folder"):
        find_subjects(world, 1, folder=tmp_path / "absent")


def test_test_and_validation_portraits_are_different_people():
    from tmsa_core.evaluation.subjects import TEST, VALIDATION
    from tmsa_core.training.avatar.renders import held_out_portraits

    test, validation = (held_out_portraits(8, seed).to_matrix() for seed in (TEST, VALIDATION))
    assert (test[:, None] != validation[None]).any(dim=2).all()
