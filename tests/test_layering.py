"""Imports point one way: each folder imports only what lies below it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "tmsa_core"

# From bottom to top. Entries of one row do not import each other.
FLOORS: tuple[tuple[str, ...], ...] = (
    ("version", "errors", "datatypes", "progress"),
    ("devices", "domains", "files", "validation"),
    ("text", "imaging"),
    ("networks", "align", "avatars"),
    ("weights",),
    ("bundles",),
    ("availability",),
    ("editing",),
    ("training",),
    ("baselines", "server"),
    ("api",),
    ("evaluation", "ui"),
    ("cli",),
)
FLOOR_OF = {name: floor for floor, names in enumerate(FLOORS) for name in names}
# A client of a running page; the package itself names what it exports.
OUTSIDE = {"client": {"errors", "version"}, "__main__": {"cli"}}
SOURCES = sorted(PACKAGE.rglob("*.py"))


def group_of(module: str) -> str:
    """The folder or top-level module of ``tmsa_core.group.rest``."""
    return module.split(".")[1]


def imported_groups(path: Path) -> set[str]:
    """The groups of tmsa_core that a file imports anywhere, also inside functions."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "tmsa_core":
            found |= {alias.name for alias in node.names if (PACKAGE / alias.name).exists()}
            found |= {a.name for a in node.names if (PACKAGE / f"{a.name}.py").exists()}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tmsa_core."):
            found.add(group_of(node.module or ""))
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names if alias.name.startswith("tmsa_core.")]
            found |= set(map(group_of, names))
    return found


def allowed_groups(group: str) -> set[str]:
    """What a group may import: itself and all groups on lower floors."""
    if group in OUTSIDE:
        return OUTSIDE[group] | {group}
    below = {name for name, floor in FLOOR_OF.items() if floor < FLOOR_OF[group]}
    return below | {group}


def test_every_group_has_a_floor() -> None:
    groups = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in SOURCES}
    assert groups - {"__init__"} == FLOOR_OF.keys() | OUTSIDE.keys()


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_downward(path: Path) -> None:
    group = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if group == "__init__":
        return
    assert imported_groups(path) <= allowed_groups(group)


def test_an_import_that_runs_back_is_found(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.py"
    wrong.write_text(
        "def late():\n    from tmsa_core.ui.page import build_ui\n    return build_ui\n"
    )
    assert imported_groups(wrong) - allowed_groups("editing") == {"ui"}
