"""Every command that a message, a manifest or a help text names exists and has its options."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tmsa_core.bundles import open_bundle
from tmsa_core.cli.main import main
from tmsa_core.training.avatar.stages import STAGES

ROOT = Path(__file__).parent.parent
# A command in backticks, as far as its end.
NAMED = re.compile(r"`(?:python -m tmsa_core|tmsa) ([^`]+)`")
MODULE = re.compile(r"python -m (tmsa_core(?:\.\w+)+)")
PLACE = "{}"  # what is filled in while the program runs


def texts_of(path: Path) -> Iterator[str]:
    """The texts of a source file, with ``PLACE`` for what is filled in."""
    inside: set[int] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.JoinedStr):
            inside |= {id(part) for part in node.values}
            parts = [p.value if isinstance(p, ast.Constant) else PLACE for p in node.values]
            yield "".join(str(part) for part in parts)
        elif isinstance(node, ast.Constant) and id(node) not in inside:
            yield str(node.value)


def strings_in(value: object) -> Iterator[str]:
    """All texts of a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from strings_in(item)


def all_texts() -> list[str]:
    texts = [text for path in sorted((ROOT / "tmsa_core").rglob("*.py")) for text in texts_of(path)]
    for path in ROOT.glob("checkpoints/*/bundle.json"):
        texts += strings_in(json.loads(path.read_text()))
    return texts


def named_commands() -> list[str]:
    """What follows the program's name, for every command in backticks."""
    return sorted({" ".join(c.split()) for text in all_texts() for c in NAMED.findall(text)})


@pytest.mark.parametrize("name", sorted({n for t in all_texts() for n in MODULE.findall(t)}))
def test_a_named_module_exists(name: str) -> None:
    assert find_spec(name) is not None


@pytest.mark.parametrize("command", named_commands())
def test_a_named_command_exists(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = command.split()
    assert main([words[0], *["--help"] * (words[0] != "--help")]) == 0
    help_text = capsys.readouterr().out
    for option in re.findall(r"--[a-z][a-z-]*", command):
        assert option in help_text
    if words[:2] == ["train", "avatar"] and len(words) > 2 and PLACE not in words[2]:
        assert words[2] in STAGES or words[2] == "all"
    assert words[:2] != ["train", PLACE] or len(words) == 2 or words[2].startswith("--")


def test_messages_name_commands_at_all() -> None:
    assert {"domains", "train ffhq", "download {}"} <= set(named_commands())


def test_the_remedy_of_every_role_names_a_stage(tmp_path: Path) -> None:
    """A folder with the manifest alone: each message says which stage makes the missing file."""
    (tmp_path / "bundle.json").write_text((ROOT / "checkpoints/avatar/bundle.json").read_text())
    bundle = open_bundle("avatar", tmp_path)
    for role in bundle.files:
        stage = re.search(r"train avatar (\w+)`", str(bundle.problem(role)))
        assert stage and stage[1] in STAGES, role
