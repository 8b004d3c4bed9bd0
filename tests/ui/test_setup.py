"""Setup of domains from the page: only if allowed, never of a complete domain, one at a time."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator

import gradio as gr
import httpx
import pytest

from tests.conftest import free_port
from tmsa_core import Editor
from tmsa_core.availability import domain_status
from tmsa_core.bundles import checkpoints_folder, complete, open_bundle
from tmsa_core.errors import BundleError, RequestError
from tmsa_core.progress import Progress
from tmsa_core.server.jobs import SetupJobs
from tmsa_core.server.settings import make_settings
from tmsa_core.training.mapper.quick import quick_align
from tmsa_core.ui.about import CONSENT, licences
from tmsa_core.ui.domain_panel import status_markdown
from tmsa_core.ui.page import build_ui, launch_options

ACTIONS = {"start_download", "start_alignment"}
# These only look something up or store a flag, so they run without waiting in the queue.
LIGHT = ACTIONS | {
    "begin",
    "cancel",
    "choose_sample",
    "claim_uploads",
    "enter",
    "fill",
    "load_methods",
    "refresh",
}


def launched(editor: Editor, allow_setup: bool) -> Iterator[tuple[gr.Blocks, str]]:
    blocks = build_ui(editor, allow_setup)
    options = {"prevent_thread_lock": True, "quiet": True, "server_port": free_port()}
    _, address, _ = blocks.launch(**options, **launch_options())
    yield blocks, address
    blocks.close(verbose=False)


@pytest.fixture(scope="module")
def closed(editor: Editor) -> Iterator[tuple[gr.Blocks, str]]:
    """A page whose operator does not allow setup, and its address."""
    yield from launched(editor, allow_setup=False)


@pytest.fixture(scope="module")
def open_page(editor: Editor) -> Iterator[tuple[gr.Blocks, str]]:
    """A page whose operator allows setup, and its address."""
    yield from launched(editor, allow_setup=True)


@pytest.fixture
def unchanged() -> Iterator[None]:
    """Check that the committed files have the same bytes after the test."""
    before = digests()
    yield
    assert digests() == before


def digests() -> dict[str, str]:
    folder = checkpoints_folder()
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def actions(blocks: gr.Blocks) -> list[int]:
    found = [number for number, fn in blocks.fns.items() if fn.name in ACTIONS]
    assert len(found) == len(ACTIONS)
    return found


def call_in_every_way(address: str, number: int, key: str) -> Iterator[str]:
    """Call an event directly and through the queue; yield the responses."""
    body = {"data": [key], "fn_index": number, "session_hash": f"x{number}"}
    for way in ("run/x", "api/x", "run/start_alignment", "run/predict"):
        yield httpx.post(f"{address}gradio_api/{way}", json=body, timeout=200).text
    joined = httpx.post(f"{address}gradio_api/queue/join", json=body, timeout=200)
    assert joined.status_code == 200, joined.text
    session = {"session_hash": body["session_hash"]}
    yield httpx.get(f"{address}gradio_api/queue/data", params=session, timeout=200).text


@pytest.mark.parametrize("key", ["avatar", "ffhq"])
def test_no_call_sets_up_a_domain_if_setup_is_off(
    closed: tuple[gr.Blocks, str], unchanged: None, key: str
) -> None:
    blocks, address = closed
    for number in actions(blocks):
        for answer in call_in_every_way(address, number, key):
            assert "cannot be set up from this page" in answer and "--allow-setup" in answer


def test_a_complete_domain_is_not_set_up_again(
    open_page: tuple[gr.Blocks, str], unchanged: None
) -> None:
    blocks, address = open_page
    for number in actions(blocks):
        for answer in call_in_every_way(address, number, "avatar"):
            assert "is complete: there is nothing to set up" in answer


def test_an_unknown_domain_is_refused(open_page: tuple[gr.Blocks, str]) -> None:
    blocks, address = open_page
    for number in actions(blocks):
        for answer in call_in_every_way(address, number, "../avatar"):
            assert "error" in answer and "Traceback" not in answer


def test_events_that_run_networks_are_closed_to_direct_calls(closed: tuple[gr.Blocks, str]) -> None:
    blocks, address = closed
    light = {fn.name for fn in blocks.fns.values() if fn.fn is not None and not fn.queue}
    assert light == LIGHT
    for number, fn in blocks.fns.items():
        if not fn.queue or fn.fn is None:
            continue
        body = {"data": [None] * len(fn.inputs), "fn_index": number, "session_hash": "x"}
        for way in ("run", "api"):
            answer = httpx.post(f"{address}gradio_api/{way}/x", json=body, timeout=200)
            assert answer.status_code == 404 and "join the queue" in answer.text, fn.name


def test_only_one_domain_is_set_up_at_a_time() -> None:
    jobs, reported, finish = SetupJobs(), threading.Event(), threading.Event()

    def work(progress: Progress) -> None:
        progress(1, 2, "Fetching a.pt")
        reported.set()
        assert finish.wait(60)

    thread = jobs.start("ffhq", work)
    for key in ("ffhq", "car"):
        with pytest.raises(RequestError, match="“Photos of faces” is being set up"):
            jobs.start(key, work)
    assert reported.wait(60)
    text = status_markdown(domain_status("ffhq"), jobs.job("ffhq"))
    assert "Fetching a\\.pt (50%)" in text and "meanwhile" in text
    finish.set()
    thread.join(60)
    jobs.start("car", work).join(60)
    job = jobs.job("car")
    assert job is not None and job.done


def test_a_failed_setup_says_why_and_can_be_tried_again() -> None:
    jobs = SetupJobs()

    def fail(progress: Progress) -> None:
        raise BundleError("The Hub cannot be reached; try again later.")

    jobs.start("ffhq", fail).join(60)
    text = status_markdown(domain_status("ffhq"), jobs.job("ffhq"))
    assert "The Hub cannot be reached" in text
    jobs.start("ffhq", lambda progress: None).join(60)
    job = jobs.job("ffhq")
    assert job is not None and job.done


def test_an_incomplete_domain_says_what_it_lacks() -> None:
    assert status_markdown(domain_status("avatar"), None) == ""
    assert "cannot be edited here yet" in status_markdown(domain_status("ffhq"), None)


def test_the_about_tab_shows_consent_and_all_licences() -> None:
    assert "Ask." in CONSENT
    text = licences()
    for title in ("Drawn portraits", "Photos of faces", "Cars", "Churches"):
        assert f"### {title}" in text
    assert "| generator | MIT |" in text


def test_committed_weights_are_not_overwritten_by_direct_calls(
    unchanged: None,
) -> None:
    with pytest.raises(BundleError, match="would overwrite it"):
        quick_align("avatar", pairs=64, device="cpu")
    bundle = open_bundle("avatar")
    complete(bundle, tuple(bundle.files), thorough=True)


@pytest.mark.parametrize(
    ("host", "share", "space", "option", "allowed"),
    [
        ("127.0.0.1", False, "", None, True),
        ("[::1]", False, "", None, True),
        ("0.0.0.0", False, "", None, False),
        ("192.168.1.5", False, "", None, False),
        ("127.0.0.1", True, "", None, False),
        ("127.0.0.1", False, "somebody/faces", None, False),
        ("127.0.0.1", False, "", False, False),
        ("0.0.0.0", False, "somebody/faces", True, True),
    ],
)
def test_setup_is_allowed_only_for_this_machine_unless_the_operator_says_so(
    host: str,
    share: bool,
    space: str,
    option: bool | None,
    allowed: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SPACE_ID", space)
    assert make_settings(host, None, "avatar", share, option, ()).allow_setup is allowed
