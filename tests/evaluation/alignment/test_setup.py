"""The studies of the alignment: known answers, and short runs on a few portraits."""

import json
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from tmsa_core.avatars.params import ATTRIBUTES
from tmsa_core.bundles import checkpoints_folder, open_bundle
from tmsa_core.errors import RequestError
from tmsa_core.evaluation.alignment import cost as cost_curve
from tmsa_core.evaluation.alignment import figures as alignment_figures
from tmsa_core.evaluation.alignment import many_prompts as merit
from tmsa_core.evaluation.alignment import modality_gap
from tmsa_core.evaluation.alignment.figures import IMAGES, PLOTS, write_alignment_figure
from tmsa_core.evaluation.alignment.setup import (
    TRAINED_WITH,
    newest,
    open_log,
    set_up_study,
    true_direction,
    try_shift,
)
from tmsa_core.evaluation.alignment.studies import STUDIES, run_study
from tmsa_core.evaluation.prompts import ALL, SIX
from tmsa_core.training.avatar.renders import held_out_portraits
from tmsa_core.training.avatar.stylegan_mapping import LIFT
from tmsa_core.training.avatar.w_codes import portrait_codes
from tmsa_core.training.mapper.bank import Bank


@pytest.fixture(scope="module")
def bundle():
    return open_bundle("avatar", checkpoints_folder() / "avatar")


@pytest.fixture(scope="module")
def setup(bundle):
    return set_up_study(bundle, 4)


def drawn_bank(count=400):
    """A bank with the true codes of drawn portraits and random embeddings."""
    portraits = held_out_portraits(count, seed=9)
    w = portrait_codes(portraits) + LIFT
    embeddings = F.normalize(torch.randn(count, 512), dim=1)
    return Bank(embeddings, w, embeddings[:0], w.new_zeros(0, 12, 512)), portraits


def test_prompts_ask_for_known_options():
    assert len(ALL) >= 20 and ALL[:6] == SIX
    assert len({prompt.name for prompt in ALL}) == len(ALL)
    for prompt in ALL:
        for name, options in prompt.wanted:
            assert set(options) <= set(ATTRIBUTES[name].options)
        assert set(prompt.implied) <= set(ATTRIBUTES)


def test_the_true_direction_is_that_of_the_drawn_codes():
    bank, portraits = drawn_bank()
    has = portraits.is_("eyewear", "glasses")
    expected = bank.w[has].mean(dim=0) - bank.w[~has].mean(dim=0)
    glasses = next(prompt for prompt in SIX if prompt.name == "glasses")
    assert torch.allclose(true_direction(bank, glasses), expected, atol=1e-4)


def test_subspace_shares_by_hand():
    images = torch.zeros(200, 6)
    images[:, :2] = torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
    texts = torch.zeros(4, 6)
    texts[:2, 0], texts[2:, 5] = torch.tensor([3.0, -3.0]), torch.tensor([4.0, -4.0])
    share = modality_gap.subspace_share(images, texts, 2)
    assert share == pytest.approx(9 / 25, abs=1e-4)
    projector = modality_gap.leading_projector(images, 2)
    assert torch.allclose(projector, torch.diag(torch.tensor([1.0, 1, 0, 0, 0, 0])), atol=1e-4)


def test_mean_cosine_by_hand():
    x = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    assert modality_gap.mean_cosine(x) == pytest.approx(1 / 3)


def test_difference_training_recovers_a_linear_map():
    rng = torch.Generator().manual_seed(0)
    x, true = torch.randn(300, 8, generator=rng), torch.randn(8, 5, generator=rng)
    bank = Bank(x, x @ true, x[:0], x.new_zeros(0, 1, 5))
    found = modality_gap.delta_map(bank)
    assert F.cosine_similarity(found.flatten(), true.flatten(), dim=0) > 0.95


def test_a_zero_shift_changes_nothing(setup):
    kid = next(prompt for prompt in SIX if prompt.name == "kid")
    row = try_shift(setup, kid, torch.zeros(setup.embedder.generator.levels, 512))
    assert row["success"] == 0 and row["kept"] == 1 == row["worst_kept"]
    assert row["identity"] == pytest.approx(1, abs=1e-3)


def test_a_study_adds_only_missing_rows(setup, bundle, tmp_path, monkeypatch):
    monkeypatch.setattr(merit, "ALPHAS", (1.0, 2.0))
    monkeypatch.setattr(merit, "PAIRS", 64)
    out = tmp_path / "rows.jsonl"
    rows = merit.run(setup, out, tmp_path, SIX[:1])
    assert [(row["row"], row["alpha"]) for row in rows] == [
        ("edit", 1.0),
        ("edit", 2.0),
        ("truth", 1),
    ]
    before = out.read_text()
    assert len(before.splitlines()) == 3
    merit.run(setup, out, tmp_path, SIX[:1])
    assert out.read_text() == before
    out.write_text(before.replace(str(rows[0]["weights"]), "others"))
    merit.run(setup, out, tmp_path, SIX[:1])
    assert len(out.read_text().splitlines()) == 6


def test_rows_name_the_weights_that_a_study_depends_on(bundle, tmp_path):
    path = tmp_path / "rows.jsonl"
    open_log(path, "gap", bundle).add([{"row": "x"}])
    weights = bundle.fingerprint((*TRAINED_WITH, "classifier", "identity"))
    assert json.loads(path.read_text()) == {"study": "gap", "weights": weights, "row": "x"}


def test_rows_of_fewer_portraits_are_not_mixed_with_the_last_ones():
    common = {"study": "gap", "weights": "a"}
    rows = [
        common | {"row": "gap", "pairs": 8},
        common | {"row": "treatment", "portraits": 100},
        common | {"row": "treatment", "portraits": 4},
    ]
    assert newest(rows, "gap") == [rows[0], rows[2]]
    merit_rows = [
        {"study": "merit", "weights": "a", "of": of, "portraits": lacking}
        for of, lacking in ((100, 60), (100, 55), (8, 4), (8, 5))
    ]
    assert newest(rows + merit_rows, "merit") == merit_rows[2:]


def test_the_curve_resumes(setup, tmp_path, monkeypatch):
    small = {"iterations": 4, "batch": 2, "image_batch": 2, "image_every": 1, "hidden": (8,)}
    monkeypatch.setattr(cost_curve, "FAST", replace(cost_curve.FAST, bank=8, **small))
    paper = replace(cost_curve.paper_preset("avatar"), bank=4, **small)
    monkeypatch.setattr(cost_curve, "paper_preset", lambda domain: paper)
    monkeypatch.setattr(cost_curve, "MARKS", (12, 16))
    monkeypatch.setattr(cost_curve, "QUICK_PAIRS", ())
    monkeypatch.setattr(cost_curve, "REAL", 8)
    monkeypatch.setattr(cost_curve, "JUDGED_PAIRS", 64)
    out = tmp_path / "rows.jsonl"
    cost_curve.run(setup, out, tmp_path, SIX[-1:], limit=12)
    rows = cost_curve.run(setup, out, tmp_path, SIX[-1:], limit=16)
    points = {(row["schedule"], row["mark"]): row["evaluations"] for row in rows}
    assert set(points) == {(s, m) for s in ("fast", "paper") for m in (12, 16)}
    assert all(evaluations >= mark for (_, mark), evaluations in points.items())


def plot_rows():
    common = {"weights": "a", "success": 0.5, "kept": 0.9, "identity": 0.8, "clip": 0.7}
    common["cosine_to_truth"] = 0.6
    gap = {"study": "gap", "row": "treatment", "treatment": "none", "scale": "common length"}
    merits = [{"study": "merit", "row": "edit", "alpha": a} for a in (-1.0, 1.0)]
    curve = [{"study": "curve", "schedule": s, "evaluations": 10} for s in ("quick", "paper")]
    return [common | row for row in (gap, *merits, *curve)]


@pytest.mark.parametrize("name", PLOTS)
def test_plots_read_only_the_rows(name, tmp_path):
    results = tmp_path / "rows.jsonl"
    results.write_text("".join(json.dumps(row) + "\n" for row in plot_rows()))
    write_alignment_figure(name, None, tmp_path / "plot.png", results)
    assert (tmp_path / "plot.png").stat().st_size > 5000


def test_plots_without_rows_say_which_study_makes_them(tmp_path):
    with pytest.raises(RequestError, match="tmsa measure gap"):
        write_alignment_figure("gap", None, tmp_path / "plot.png", tmp_path / "none.jsonl")


@pytest.mark.parametrize("name", ["figure-7", "figure-9"])
def test_images_come_from_the_bundle(name, bundle, tmp_path):
    write_alignment_figure(name, bundle, tmp_path / "figure.png", tmp_path)
    assert (tmp_path / "figure.png").stat().st_size > 20_000
    assert set(IMAGES) == {f"figure-{i}" for i in (7, 8, 9, 11, 12)}


def test_figure_8_shows_grown_women_and_girls():
    people = alignment_figures.women_and_girls(3)
    assert people.is_("gender", "female").all()
    assert people.is_("age", "adult").tolist() == [True] * 3 + [False] * 3
    assert people.is_("age", "kid").tolist() == [False] * 3 + [True] * 3


def test_wrong_requests_are_refused_before_any_work(bundle, tmp_path):
    out = tmp_path / "rows.jsonl"
    with pytest.raises(RequestError, match=", ".join(STUDIES)):
        run_study("gape", bundle, 4, out, tmp_path)
    with pytest.raises(RequestError, match="true attributes"):
        run_study("gap", replace(bundle, domain="car"), 4, out, tmp_path)
    with pytest.raises(RequestError, match="Only the study curve has a limit, not gap"):
        run_study("gap", bundle, 4, out, tmp_path, limit=1000)
    with pytest.raises(RequestError, match=r"All of 2 portraits show .* already.*--portraits"):
        run_study("merit", bundle, 2, out, tmp_path)
    assert not list(tmp_path.iterdir())
    out.write_text("my notes")
    with pytest.raises(RequestError, match="does not contain rows of `tmsa measure`"):
        run_study("gap", bundle, 4, out, tmp_path)
