"""The page as a whole: building it, starting it, and the function of app.py."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from dataclasses import fields
from pathlib import Path

import gradio as gr
import pytest
from PIL import Image

from tests.ui.conftest import TEXTS
from tmsa_core import Editor
from tmsa_core.api.endpoints import Endpoints
from tmsa_core.imaging.metadata import read_recipe
from tmsa_core.server.editors import Editors
from tmsa_core.ui.edit_layout import ControlComponents, EditPage
from tmsa_core.ui.edit_values import EditControls, PageUpdate
from tmsa_core.ui.page import build_ui, launch_options

ROOT = Path(__file__).parent.parent.parent


def test_values_and_components_have_the_same_names() -> None:
    controls = {field.name for field in fields(ControlComponents)}
    assert controls == {field.name for field in fields(EditControls)}
    assert PageUpdate.__annotations__.keys() <= controls | {
        field.name for field in fields(EditPage)
    }


def test_building_the_page_starts_nothing(editor: Editor) -> None:
    blocks = build_ui(editor)
    assert isinstance(blocks, gr.Blocks) and not blocks.is_running
    options = launch_options()
    assert options["run_history"] is False and options["enable_monitoring"] is False


def test_app_edit_is_a_plain_function(
    editor: Editor, portrait: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    import app

    monkeypatch.setattr(app, "endpoints", lambda: Endpoints(Editors(editor)))
    edited = app.edit(portrait, *TEXTS, 1.0)
    assert isinstance(edited, Image.Image) and edited.mode == "RGB"
    assert edited.size == portrait.size and edited.tobytes() != portrait.tobytes()
    assert read_recipe(edited)["edits"][0]["target_text"] == TEXTS[1]


WATCHED_START = """
import runpy, socket, sys
lookup, connect = socket.getaddrinfo, socket.socket.connect
def note(host):
    print("HOST", host.decode() if isinstance(host, bytes) else host, flush=True)
def watched_lookup(host, *a, **k):
    note(host)
    return lookup(host, *a, **k)
def watched_connect(self, address):
    if self.family in (socket.AF_INET, socket.AF_INET6):
        note(address[0])
    return connect(self, address)
socket.getaddrinfo, socket.socket.connect = watched_lookup, watched_connect
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_app_starts_in_any_folder_and_contacts_no_other_host(tmp_path: Path, port: int) -> None:
    dead_proxy = "http://127.0.0.1:9"
    quiet = ("GRADIO_ANALYTICS_ENABLED", "HF_HUB_OFFLINE")
    environment = {k: v for k, v in os.environ.items() if k not in quiet}
    environment |= {
        "GRADIO_SERVER_PORT": str(port),
        "HTTP_PROXY": dead_proxy,
        "http_proxy": dead_proxy,
        "PYTHONPATH": str(ROOT),
    }
    log = tmp_path / "log"
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-c", WATCHED_START, str(ROOT / "app.py")],
            cwd=tmp_path,
            env=environment,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        page = _wait_for(f"http://127.0.0.1:{port}/", process, log)
        time.sleep(1.0)  # telemetry would be sent in the background, just after the start
    finally:
        process.terminate()
        status = process.wait(timeout=200)  # it ends after warming up
    assert status == 0  # SIGTERM is a normal end, at any moment
    assert "Edit a face with words" in page
    hosts = {line.split()[1] for line in log.read_text().splitlines() if line.startswith("HOST ")}
    assert hosts <= {"127.0.0.1", "localhost", "0.0.0.0", "::1", "None"}, hosts


def test_a_failed_start_prints_one_sentence(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, str(ROOT / "app.py")],
        cwd=tmp_path,
        env=os.environ | {"TMSA_DOMAIN": "cats"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert "There is no domain 'cats'" in ended.stderr.strip().splitlines()[-1]
    assert "Traceback" not in ended.stderr


def _wait_for(address: str, process: subprocess.Popen, log: Path) -> str:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for _ in range(800):
        assert process.poll() is None, log.read_text()
        try:
            with opener.open(address, timeout=5) as answer:
                return answer.read().decode()
        except OSError:
            time.sleep(0.25)
    raise AssertionError(f"no answer from {address}: {log.read_text()}")
