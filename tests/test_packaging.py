"""The repository as a whole: what is public, what may import what, what is pinned and shipped."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import tmsa_core
from tmsa_core.availability import needed_roles
from tmsa_core.bundles import open_bundle
from tmsa_core.domains import find_domain
from tmsa_core.version import VERSION

ROOT = Path(__file__).parent.parent
SOURCES = sorted([ROOT / "app.py", *(ROOT / "tmsa_core").rglob("*.py")])
REQUIREMENTS = (ROOT / "requirements.txt").read_text()
HEADER = (ROOT / "README.md").read_text().split("---")[1]
PROJECT = (ROOT / "pyproject.toml").read_text()
LOCKS = ("requirements.lock", "requirements-dev.lock")
LINES = [line for line in REQUIREMENTS.splitlines() if not line.startswith("#")]
REQUIRED = [Requirement(line) for line in LINES]


def locked_packages() -> dict[str, list[Requirement]]:
    """What both locks pin, by name: one pin, or several that hold on different Pythons."""
    found: dict[str, list[Requirement]] = {}
    for name in LOCKS:
        for line in (ROOT / name).read_text().splitlines():
            if not line.startswith(" "):
                pin = Requirement(line.removesuffix("\\").strip())
                found.setdefault(canonicalize_name(pin.name), []).append(pin)
    return found


LOCKED = locked_packages()


def applies(pin: Requirement, python: str) -> bool:
    """Whether a pin holds on Linux with a version of Python such as "3.12"."""
    here = {"python_version": python, "python_full_version": f"{python}.1"}
    return pin.marker is None or pin.marker.evaluate({**here, "sys_platform": "linux"})


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
        "tmsa_core.ui.page",
    )
    assert not [name for name in loaded if name.startswith(forbidden)]
    assert not loaded & {"gradio", "matplotlib", "sklearn", "accelerate"}


def test_command_line_help_loads_nothing_heavy() -> None:
    assert "torch" not in modules_after("import tmsa_core.cli.edit")


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
    assert not {"torch", "torchvision", "triton"} & set(LOCKED)


def test_no_file_names_a_package_index() -> None:
    names = ("requirements.txt", "pyproject.toml", "Makefile", ".ci/run", ".pre-commit-config.yaml")
    for name in (*names, *LOCKS):
        text = (ROOT / name).read_text()
        assert "index-url" not in text and "://" not in text, name


def test_project_and_space_require_the_same() -> None:
    for line in LINES:
        assert line.startswith("gradio") or f'"{line}"' in PROJECT, line


def test_lock_meets_every_requirement_on_every_python() -> None:
    """After a changed requirement, ``make lock`` is due."""
    for requirement in REQUIRED:
        if requirement.name.startswith("torch"):
            continue
        locked = LOCKED[canonicalize_name(requirement.name)]
        for python in ("3.10", "3.11", "3.12", "3.13"):
            here = [pin for pin in locked if applies(pin, python)]
            assert len(here) == 1, f"{requirement.name} on Python {python}"
            (version,) = (pin.version for pin in here[0].specifier)
            assert requirement.specifier.contains(version), f"{requirement} and {version}"


def test_everything_locked_has_a_hash() -> None:
    for name in LOCKS:
        for entry in re.split(r"\n(?=\S)", (ROOT / name).read_text().strip()):
            assert re.search(r"^\S+==\S+", entry) and "--hash=sha256:" in entry, entry[:60]


def test_dlib_is_one_version_everywhere() -> None:
    """Its wheels are one person's: another version comes in by a deliberate change only."""
    (pin,) = LOCKED["dlib-bin"]
    assert f"\n{pin}\n" in REQUIREMENTS and f'"{pin}"' in PROJECT


def test_nothing_under_the_gpl_is_installed_unasked() -> None:
    """The metadata of av itself says BSD; the GPL is that of the libraries in its wheel."""
    names = re.findall(r"^([\w.-]+)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    assert "gradio" in names and "av" not in names
    for name in names:
        try:
            facts = metadata(name)
        except PackageNotFoundError:  # of another system or another Python
            continue
        licence = [facts.get("License-Expression"), *(facts.get_all("Classifier") or [])]
        assert "GPL" not in str(licence), f"{name}: {licence}"


def test_every_package_and_bundle_is_shipped() -> None:
    for path in (ROOT / "tmsa_core").rglob("__init__.py"):
        name = ".".join(path.parent.relative_to(ROOT).parts)
        assert f'    "{name}",\n' in PROJECT, name
    assert '"*/bundle.json", "avatar/*", "avatar/samples/*"' in PROJECT


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
    assert script.read_text().rstrip().endswith("\nmake check\nexec make test")
    makefile = (ROOT / "Makefile").read_text()
    assert re.search(r"^run:", makefile, re.MULTILINE)
    assert re.search(r"^test:", makefile, re.MULTILINE)
