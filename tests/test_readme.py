"""What the README shows is what works."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image

from tmsa_core.cli.main import COMMANDS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
HTTP_API = (ROOT / "docs" / "http-api.md").read_text()


def block_with(text: str, language: str, word: str) -> str:
    """The first fenced block of a language that holds a word."""
    blocks = re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)
    return next(block for block in blocks if word in block)


def test_python_example_runs(
    portrait: Image.Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    portrait.save("portrait.png")
    exec(compile(block_with(README, "python", "load_editor"), "README.md", "exec"), {})
    with Image.open("with-glasses.png") as edited:
        assert edited.size == portrait.size and edited.tobytes() != portrait.tobytes()


PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_commands_in_the_docs_exist(page: Path) -> None:
    commands = {command.__name__.replace("_", "-") for command in COMMANDS}
    code = "\n".join(re.findall(r"`([^`\n]+)`", page.read_text()))
    code += "\n".join(re.findall(r"```bash\n(.*?)```", page.read_text(), re.DOTALL))
    shown = set(re.findall(r"^(?:python -m tmsa_core|tmsa) ([a-z-]+)", code, re.MULTILINE))
    assert shown <= commands


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_links_of_the_docs_lead_to_files(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", page.read_text())
    assert not [link for link in links if not (page.parent / link).exists()]


def test_readme_is_short() -> None:
    assert len(README.split("---", 2)[2].split()) <= 1000


@pytest.mark.parametrize("name", ["edit", "align", "invert", "sweep", "sample", "batch", "domains"])
def test_endpoints_are_described(name: str) -> None:
    assert f"`/{name}`" in HTTP_API
