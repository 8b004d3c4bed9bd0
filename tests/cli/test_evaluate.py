"""The commands that measure: their refusals, and their output from results and votes."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from tests.comparison_rows import comparison_rows
from tmsa_core.cli import evaluate
from tmsa_core.cli.main import main
from tmsa_core.evaluation.alignment.figures import IMAGES, PLOTS
from tmsa_core.evaluation.comparison.figures import FIGURES
from tmsa_core.evaluation.comparison.results import Comparison
from tmsa_core.evaluation.preference_study.items import make_items
from tmsa_core.evaluation.preference_study.votes import Votes
from tmsa_core.evaluation.prompt_file import read_prompts

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def results(tmp_path: Path) -> Path:
    path = tmp_path / "comparison.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in comparison_rows()))
    return path


def test_every_figure_has_a_function():
    assert evaluate.FIGURES.keys() == {
        "teaser",
        "strength",
        "six-prompts",
        "samples",
        *FIGURES,
        *IMAGES,
        *PLOTS,
    }


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["evaluate", "--methods", "magic"], "no method 'magic'"),
        (["evaluate", "--prompts", "absent.json"], "absent.json is not a JSON file"),
        (["evaluate", "--inversion", "magic"], "use one of e4e, hfgi, sfe"),
        (["evaluate", "--domain", "moon"], "no domain 'moon'"),
        (["evaluate", "moon"], "no domain 'moon'"),
        (["evaluate", "car"], "Only the domain 'avatar'"),
        (["evaluate", "--domain", "ffhq", "--methods", "tmsa,tedigan_mixing"], "'ffhq' has none"),
        (["prepare-baselines", "--domain", "car", "--methods", "tedigan_mixing"], "'car' has none"),
        (["evaluate", "--inversion", "hfgi", "--methods", "styleclip_global"], "edits in W+"),
        (["evaluate", "--device", "gpu"], "device 'gpu' is not available"),
        (["prepare-baselines", "--device", "gpu"], "device 'gpu' is not available"),
        (["prepare-baselines", "--methods", "tmsa,magic"], "no method 'magic'"),
        (["figures", "figure-99", "-o", "x.png"], "no figure 'figure-99'"),
        (
            ["figures", "figure-99", "-o", "x.png"],
            "figure-5, figure-6, figure-10, pareto, figure-7",
        ),
        (["figures", "figure-99", "-o", "x.png"], "gap, merit, curve."),
        (["figures", "no/such"], "no figure 'no/such'"),
        (["figures", "figure-5", "-o", "x.png", "--results", "absent"], "absent has no results"),
        (["study", "--results", "absent.jsonl"], "absent.jsonl has no results"),
        (["study", "--table", "--votes", "absent.sqlite"], "no votes in absent.sqlite"),
        (["study", "--choices", "3"], "use 2 for pairs or 4 for fours"),
    ],
)
def test_a_wrong_call_ends_in_one_sentence(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 1
    output = capsys.readouterr()
    assert output.out == "" and len(output.err.strip().splitlines()) == 1
    assert output.err.startswith("Error: ") and said in output.err
    assert not list(tmp_path.iterdir())


def test_a_few_portraits_are_compared_from_end_to_end(tmp_path: Path, capsys):
    prompts, out = tmp_path / "prompts.json", tmp_path / "new" / "results.jsonl"
    hat = {"name": "hat", "target": "human face with a hat", "without": "human face"}
    prompts.write_text(json.dumps([hat | {"wanted": {"headwear": ["cap", "hat"]}}]))
    command = ["evaluate", "--images", "1", "--kept-images", "1", "--methods", "tmsa"]
    command += ["--prompts", str(prompts), "--parts", str(tmp_path), "-o", str(out)]
    assert main(command) == 0
    assert f"{out}: " in capsys.readouterr().out

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    lines = out.read_text().splitlines()
    rows = [json.loads(line, parse_constant=refuse) for line in lines]
    kinds = {str(row["row"]) for row in rows}
    assert kinds == {"prompt", "judge", "inversion", "strength", "cost", "edit", "image"}
    judge = next(row for row in rows if row["row"] == "judge")
    assert 0 < judge["mean"] <= 1 and None in judge.values()  # one portrait cannot show everything
    assert main(command) == 0 and out.read_text().splitlines() == lines


def test_zero_images_are_wrong_usage(capsys: pytest.CaptureFixture[str]):
    assert main(["evaluate", "--images", "0"]) == 2
    assert "Error: " in capsys.readouterr().err


def test_votes_are_printed_and_exported(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    votes = Votes(tmp_path / "votes.sqlite")
    item = make_items(Comparison(comparison_rows()))[0]
    votes.add("a", item, item.methods, "tmsa")
    out = tmp_path / "votes.csv"
    assert main(["study", "--votes", str(votes.path), "--table", "--csv", str(out)]) == 0
    said = capsys.readouterr().out
    assert f"{out}: 1 votes" in said and "100.0 % [100, 100]" in said
    assert out.read_text().splitlines()[1].split(",")[0] == "a"
    assert main(["study", "--votes", str(votes.path), "--shares", str(out)]) == 0
    assert f"{out}: the results of 1 votes" in capsys.readouterr().out
    assert f"4,{item.prompt},tmsa,1,1.0000,1.0000,1.0000," in out.read_text()


def test_a_port_in_use_is_named(
    results: Path, tmp_path: Path, port: int, capsys: pytest.CaptureFixture[str]
):
    with socket.create_server(("127.0.0.1", port)):
        votes = str(tmp_path / "v.sqlite")
        command = ["study", "--results", str(results), "--votes", votes, "--port", str(port)]
        assert main(command) == 1
    assert f"cannot listen on 127.0.0.1, port {port}" in capsys.readouterr().err


def test_figures_are_drawn_from_named_results(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out = tmp_path / "figure.webp"
    assert main(["figures", "figure-5", "-o", str(out), "--results", str(results)]) == 0
    assert out.stat().st_size > 100 and str(out) in capsys.readouterr().out


def test_a_figure_needs_only_its_name(
    tmp_path: Path, monkeypatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    assert main(["figures", "figure-7"]) == 0
    assert capsys.readouterr().out == "figure-7.webp: figure-7\n"
    assert (tmp_path / "figure-7.webp").stat().st_size > 5_000


@pytest.mark.parametrize("path", sorted((ROOT / "docs" / "prompts").glob("*.json")))
def test_the_repositorys_prompt_files_can_be_read(path: Path):
    assert read_prompts(path)
