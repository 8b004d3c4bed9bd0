"""The repository as a whole: what is public, what may import what, what is pinned and shipped."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tmsa_core
from tmsa_core.bundles import open_bundle
from tmsa_core.domains import find_domain, needed_roles
from tmsa_core.version import VERSION

ROOT = Path(__file__).parent.parent
SOURCES = sorted([ROOT / "app.py", *(ROOT / "tmsa_core").rglob("*.py")])
REQUIREMENTS = (ROOT / "requirements.txt").read_text()
HEADER = (ROOT / "README.md").read_text().split("---")[1]


def modules_after(code: str) -> set[str]:
    """Names of all modules that are loaded once ``code`` has run in a fresh interpreter."""
    script = f"{code}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(done.stdout.splitlines()[-1].split())


def imports_of(path: Path) -> set[str]:
    """Full names of the modules that a file imports anywhere."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found


def test_public_names_are_these_and_exist() -> None:
    assert set(tmsa_core.__all__) == {
        "EditRequest",
        "EditResult",
        "Editor",
        "PreparedFace",
        "TmsaError",
        "__version__",
        "list_domains",
        "load_editor",
    }
    assert all(getattr(tmsa_core, name) is not None for name in tmsa_core.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = tmsa_core.nothing


def test_import_of_the_package_loads_nothing_heavy() -> None:
    loaded = modules_after("import tmsa_core")
    assert not loaded & {"torch", "numpy", "PIL", "gradio", "dlib", "open_clip"}


def test_editing_needs_neither_training_nor_evaluation_nor_the_page() -> None:
    loaded = modules_after("from tmsa_core import load_editor, list_domains; list_domains()")
    assert "torch" in loaded
    forbidden = (
        "tmsa_core.training",
        "tmsa_core.evaluation",
        "tmsa_core.baselines",
        "tmsa_core.ui",
    )
    assert not [name for name in loaded if name.startswith(forbidden)]
    assert not loaded & {"gradio", "matplotlib", "sklearn", "accelerate"}


def test_command_line_help_loads_nothing_heavy() -> None:
    assert "torch" not in modules_after("import tmsa_core.cli")


def test_imports_point_downward() -> None:
    core = ROOT / "tmsa_core"
    for path in core.glob("networks/*.py"):
        assert not {i for i in imports_of(path) if i.startswith("tmsa_core.training")}, path
    for path in [*core.glob("*.py"), *core.glob("networks/*.py")]:
        if path.name.startswith(("cli", "ui")):
            continue
        upward = ("tmsa_core.training", "tmsa_core.evaluation", "tmsa_core.ui", "gradio", "typer")
        names = imports_of(path) - ({"tmsa_core.cli"} if path.name == "__main__.py" else set())
        # the client of a running page needs gradio_client, which is not gradio
        assert not {i for i in names if i.startswith(upward) and "gradio_client" not in i}, path


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_source_has_no_path_tricks_or_silent_errors(path: Path) -> None:
    text = path.read_text()
    tree = ast.parse(text)
    assert "sys.path" not in text and "os.chdir" not in text
    for node in ast.walk(tree):
        assert not isinstance(node, ast.Global), f"{path}:{node.lineno} uses global"
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None, f"{path}:{node.lineno} has a bare except"
        if isinstance(node, ast.ImportFrom):
            assert node.names[0].name != "*", f"{path}:{node.lineno} has a star import"


def test_only_bundles_and_settings_read_the_environment() -> None:
    readers = [p.name for p in SOURCES if "os.environ" in p.read_text()]
    assert set(readers) <= {"app.py", "bundles.py", "settings.py"}


def test_app_is_short() -> None:
    assert len((ROOT / "app.py").read_text().splitlines()) < 30


def test_space_header_names_the_installed_gradio() -> None:
    pin = re.search(r"^gradio==(\S+)$", REQUIREMENTS, re.MULTILINE)
    header = re.search(r"^sdk_version: (\S+)$", HEADER, re.MULTILINE)
    assert pin and header and pin[1] == header[1]
    assert "sdk: gradio" in HEADER and "app_file: app.py" in HEADER
    assert len(re.search(r"^short_description: (.*)$", HEADER, re.MULTILINE)[1]) <= 60


def test_space_does_not_pin_torch() -> None:
    line = re.search(r"^torch\b.*$", REQUIREMENTS, re.MULTILINE)
    assert line and "torch==" not in line[0] and "!=2.13.0" in line[0]


def test_no_file_names_a_package_index() -> None:
    for name in ("requirements.txt", "pyproject.toml", "Makefile", ".ci/run"):
        text = (ROOT / name).read_text()
        assert "index-url" not in text and "http" not in text, name


def test_project_and_space_require_the_same() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    lines = [line for line in REQUIREMENTS.splitlines() if line and not line.startswith("#")]
    for line in lines:
        assert line.startswith("gradio") or f'"{line}"' in project, line


def test_every_package_and_bundle_is_shipped() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    for path in (ROOT / "tmsa_core").rglob("__init__.py"):
        name = ".".join(path.parent.relative_to(ROOT).parts)
        assert f'    "{name}",\n' in project, name
    assert '"*/bundle.json", "avatar/*", "avatar/samples/*"' in project


def test_space_preloads_what_photos_need() -> None:
    """Lines as the Hub reads them: repository, file, and the revision where it is pinned."""
    bundle = open_bundle("ffhq", ROOT / "checkpoints" / "ffhq")
    for role in needed_roles(find_domain("ffhq"), bundle):
        place = bundle.downloads[bundle.files[role].download].places[0]
        pinned = "" if place.revision == "main" else f" {place.revision}"
        assert f"  - {place.repo} {place.file}{pinned}\n" in HEADER
        assert f"  - {place.repo}\n" in HEADER.split("models:")[1].split("preload")[0]


def test_version_is_in_the_changelog_or_to_come() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text()
    assert f"## [{VERSION}]" in changelog or "## [Unreleased]" in changelog
    assert tmsa_core.__version__ == VERSION


def test_continuous_integration_runs_the_one_command() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert script.read_text().rstrip().endswith("make test")
    makefile = (ROOT / "Makefile").read_text()
    assert re.search(r"^run:", makefile, re.MULTILINE)
    assert re.search(r"^test:", makefile, re.MULTILINE)
