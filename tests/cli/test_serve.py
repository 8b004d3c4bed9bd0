"""``tmsa app`` and ``python app.py``: options, refusals, and the installed command."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import sysconfig
from pathlib import Path

import httpx
import pytest

from tests.live import ROOT, running_app
from tmsa_core.cli.main import main

OPTIONS = ("--host", "--port", "--domain", "--share", "--allow-setup", "--allowed-host", "--mapper")
VARIABLES = ("GRADIO_SERVER_NAME", "GRADIO_SERVER_PORT", "GRADIO_SHARE", "TMSA_DOMAIN",
             "TMSA_ALLOWED_HOSTS", "TMSA_MAPPER")  # fmt: skip


def run_app(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "app.py"), *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT)} | variables,
        capture_output=True,
        text=True,
        check=False,
    )


def test_help_lists_every_option_and_variable(capsys: pytest.CaptureFixture[str]) -> None:
    helped = run_app("--help", COLUMNS="200")
    assert helped.returncode == 0 and helped.stdout.startswith("Usage: app.py [OPTIONS]")
    assert main(["app", "--help"]) == 0
    for text in (helped.stdout, capsys.readouterr().out):
        assert all(word in text for word in (*OPTIONS, *VARIABLES))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--port", "0"], "'--port'"),
        (["--port", "65536"], "'--port'"),
        (["--port", "x"], "'--port'"),
        (["--host", "203.0.113.7"], "cannot be served at '203.0.113.7'"),
        (["--host", "no host"], "'no host' is not a host name"),
        (["--host", "x" * 500], "cannot be served at"),
        (["--domain", "cats"], "There is no domain 'cats'"),
        (["--allowed-host", "http://x/"], "'http://x/' is not a host name"),
        (["--nonsense"], "--nonsense"),
    ],
)
def test_invalid_options_are_refused_in_one_sentence(
    arguments: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # an unknown name must not leave this machine
    monkeypatch.setattr(socket, "getaddrinfo", known_addresses(socket.getaddrinfo))
    assert main(["app", *arguments]) == 2
    words = capsys.readouterr().err.strip()
    assert words.startswith("Error: ") and "\n" not in words and said in words
    assert len(words) < 400


def known_addresses(lookup):
    """The machine's resolver for addresses; it refuses names."""

    def look_up(host: str, *arguments: object, **options: object) -> object:
        if not host.replace(".", "").isdigit():
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return lookup(host, *arguments, **options)

    return look_up


def test_a_port_in_use_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["app", "--port", str(port)]) == 2
    assert f"cannot be served at port {port} of '127.0.0.1'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("GRADIO_SERVER_PORT", "x", "GRADIO_SERVER_PORT"),
        ("GRADIO_SERVER_NAME", "203.0.113.7", "cannot be served"),
        ("TMSA_DOMAIN", "cats", "no domain 'cats'"),
        ("TMSA_ALLOWED_HOSTS", "a.example,http://x/", "is not a host name"),
    ],
)
def test_variables_are_checked_as_options_are(variable: str, value: str, said: str) -> None:
    ended = run_app(**{variable: value})
    assert ended.returncode == 2 and ended.stderr.count("\n") == 1 and said in ended.stderr


def test_without_gradio_the_command_says_how_to_get_it() -> None:
    script = (
        "import sys\nsys.modules['gradio'] = None\n"
        "from tmsa_core.cli.main import main\nsys.exit(main(['app']))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1 and ended.stderr.count("\n") == 1
    assert "pip install 'tmsa[app]'" in ended.stderr


def test_the_page_answers_at_the_operators_host_name() -> None:
    variables = {"TMSA_ALLOWED_HOSTS": "faces.example.org"}
    command = [sys.executable, str(ROOT / "app.py"), "--allowed-host", "b.example"]
    with running_app(command, variables) as address:
        assert httpx.get(address, headers={"Host": "b.example"}).status_code == 200
        assert httpx.get(address, headers={"Host": "faces.example.org"}).status_code == 403
    with running_app(environment=variables) as address:
        assert httpx.get(address, headers={"Host": "faces.example.org"}).status_code == 200


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_installed_command_serves_the_page(tmp_path: Path) -> None:
    """Only the package is installed into a new environment; its requirements come from this one."""
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    commands = tmp_path / "venv" / "bin"
    install = [commands / "python", "-m", "pip", "install", "--quiet", "--no-deps", str(ROOT)]
    subprocess.run(install, check=True, cwd=tmp_path)
    variables = {"PYTHONPATH": sysconfig.get_paths()["purelib"]}
    with running_app([str(commands / "tmsa"), "app"], variables) as address:
        assert "Edit a face with words" in httpx.get(address).text
