"""What the README shows is what works."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image

from tmsa_core.cli.main import COMMANDS

README = (Path(__file__).parent.parent / "README.md").read_text()


def block_with(language: str, word: str) -> str:
    """The first fenced block of a language that holds a word."""
    blocks = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    return next(block for block in blocks if word in block)


def test_python_example_runs(
    portrait: Image.Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    portrait.save("portrait.png")
    exec(compile(block_with("python", "load_editor"), "README.md", "exec"), {})
    with Image.open("with-glasses.png") as edited:
        assert edited.size == portrait.size and edited.tobytes() != portrait.tobytes()


def test_shell_example_names_commands_that_exist() -> None:
    commands = {command.__name__.replace("_", "-") for command in COMMANDS}
    shown = set(re.findall(r"^tmsa (\w+)", block_with("bash", "tmsa "), re.MULTILINE))
    assert shown and shown <= commands


@pytest.mark.parametrize("name", ["edit", "align", "invert", "sweep", "sample", "domains"])
def test_endpoints_are_described(name: str) -> None:
    assert f"`/{name}`" in README
