"""`tmsa train`: refusals before any work, also of options without an effect."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.training.mapper.test_image_folder import fill
from tmsa_core.cli.main import main


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["dog"], "no domain 'dog'"),
        (["avatar", "magic"], "no stage 'magic'"),
        (["ffhq", "generator"], "leave 'generator' out"),
        (["avatar", "generator", "--quick"], "'generator' would have no effect on --quick"),
        (["avatar", "--quick", "--preset", "paper"], "--preset would have no effect on --quick"),
        (["--steps", "4", "--quick", "avatar"], "--steps would have no effect on --quick"),
        (["avatar", "mapper", "--steps", "4"], "--steps would have no effect on the stage"),
        (
            ["avatar", "mapper", "--preset", "paper", "--images", "crops"],
            "--preset and --images would have no effect on the stage 'mapper'",
        ),
        (["avatar", "--pairs", "64"], "--pairs would have no effect on a training without --quick"),
        (["avatar", "mapper"], "no renders in runs/avatar/renders: run"),
        (["avatar", "--preset", "slow"], "no preset 'slow'"),
        (["avatar", "--images", "absent"], "no folder absent"),
        (["avatar", "--device", "abacus"], "device 'abacus' is not available"),
        (["avatar", "--quick", "--pairs", "3"], "at least 64"),
    ],
)
def test_a_wrong_call_ends_in_one_sentence(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert main(["train", *arguments]) == 1
    output = capsys.readouterr()
    assert output.out == "" and len(output.err.strip().splitlines()) == 1
    assert output.err.startswith("Error: ") and said in output.err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "option",
    [
        ["--seed", "-1"],
        ["--seed", "99999999999999999999"],
        ["--steps", "0"],
        ["--steps", "1.5"],
        ["--minutes", "nan"],
        ["--steps"],
    ],
)
def test_invalid_numbers_are_wrong_usage(
    option: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "avatar", *option]) == 2
    assert option[0] in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_missing_weights_are_named_before_a_folder_is_read(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMSA_CACHE", str(tmp_path / "cache"))
    small = fill(tmp_path / "crops", size=(8, 8))
    assert main(["train", "church", "--images", str(small)]) == 1
    assert "church bundle has no generator" in capsys.readouterr().err
