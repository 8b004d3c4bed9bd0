"""The first start of a photo domain: set up in the background, and resumed wherever it stopped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import gradio as gr
import huggingface_hub.constants
import pytest

from tests import test_bundle_completion
from tests.hub_server import COMMIT, Hub
from tmsa_core import EditRequest
from tmsa_core.bundles import open_bundle
from tmsa_core.domains import find_domain
from tmsa_core.editing.named_mapper import mapper_origin
from tmsa_core.errors import BundleError, RequestError
from tmsa_core.networks.tmsa import Mapper
from tmsa_core.server import editors as editors_module
from tmsa_core.server import first_start
from tmsa_core.server.editors import Editors
from tmsa_core.server.first_start import Asked, setup_work, start
from tmsa_core.server.jobs import Job, SetupJobs
from tmsa_core.training.mapper import bank, calibrate, calibration_texts, quick
from tmsa_core.ui.domain_panel import asked_markdown, check_mapper_name
from tmsa_core.ui.page import build_ui
from tmsa_core.weights import download
from tmsa_core.weights.network_files import save_network

public_files = test_bundle_completion.public_files
photo_domain = test_bundle_completion.photo_domain
PHOTOS = Asked("ffhq")


@pytest.fixture
def hub(photo_domain: tuple[Hub, Path], monkeypatch: pytest.MonkeyPatch) -> Hub:
    """A Hub with a miniature photo domain, and alignments of few images."""
    served, _ = photo_domain
    template = served.address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", served.address)
    monkeypatch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(download, "PAUSE", 0.0)
    monkeypatch.setattr(first_start, "PAUSE", 0.0)
    monkeypatch.setattr(quick, "quick_align", partial(quick.quick_align, pairs=64))
    photos = replace(find_domain("ffhq"), calibration_targets=("old human face", "smiling"))
    monkeypatch.setattr(calibration_texts, "find_domain", lambda key: photos)
    monkeypatch.setattr(quick, "NOISES", (0.6, 1.2))
    monkeypatch.setattr(quick, "SUBJECTS", 2)
    monkeypatch.setattr(calibrate, "FACTORS", (0.2, 0.4))
    monkeypatch.setattr(bank, "PART", 16)
    monkeypatch.setattr(bank, "PIXELS", 16 * 64 * 64)
    return served


class StoppedError(Exception):
    """The process was killed."""


def run(editors: Editors, stop: str = "", asked: Asked = PHOTOS) -> list[Job]:
    """Run the setup; it is killed at the first message that contains ``stop``."""
    jobs: list[Job] = []

    def report(done: int, total: int, message: str) -> None:
        jobs.append(Job(done / total, message))
        if stop and stop in message:
            raise StoppedError

    if stop:
        with pytest.raises(StoppedError):
            setup_work(asked, editors)(report)
    else:
        setup_work(asked, editors)(report)
    return jobs


def publish(hub: Hub) -> None:
    """Put a mapper for the miniature domain on the Hub."""
    bundle = open_bundle("ffhq")
    test_bundle_completion.complete_roles(bundle, hub)
    mapper, path = Mapper(10, ()), bundle.cache / "published.safetensors"
    save_network("mapper", mapper, path, mapper.architecture(), mapper_origin(bundle))
    hub.files["me/photos/mapper.safetensors"] = path.read_bytes()


def test_a_domain_without_weights_starts_with_portraits_and_is_then_ready(hub: Hub):
    editor, asked = start("ffhq")
    assert editor.domain.key == "avatar" and asked == PHOTOS
    assert not hub.log, "nothing is fetched before the page is there"
    editors = Editors(editor)
    jobs = run(editors)
    shares = [job.share for job in jobs]
    assert shares == sorted(shares) and all(" left" in job.message for job in jobs)
    said = " ".join(job.message for job in jobs)
    assert "Downloading e4e.pt" in said and "Sampling and embedding" in said
    photos = editors.get("ffhq")
    request = EditRequest("human face", "human face with glasses")
    assert photos.edit(photos.sample(1), request).crop.size == (64, 64)
    assert editors.status("ffhq").can_edit
    again, nothing = start("ffhq")
    assert again.domain.key == "ffhq" and nothing is None


@pytest.mark.parametrize("stop", ["Converting", "Calibrating"])
def test_a_setup_that_was_killed_goes_on(hub: Hub, stop: str, editor, monkeypatch):
    made: list[int] = []
    tried: list[object] = []
    pairs, round_trip = bank.ImageEmbedder.pairs, quick.round_trip
    monkeypatch.setattr(
        bank.ImageEmbedder,
        "pairs",
        lambda self, z: made.append(len(z)) or pairs(self, z),
    )
    monkeypatch.setattr(quick, "round_trip", lambda *a: tried.append(a) or round_trip(*a))
    run(Editors(editor), stop)
    sent = len(hub.bodies("ours/e4e/e4e.pt"))
    editors = Editors(editor)
    run(editors)
    assert sum(made) == 64, "no image is made twice"
    assert len(tried) == len(quick.NOISES), "no penalty is tried twice"
    assert len(hub.bodies("ours/e4e/e4e.pt")) == sent == 1
    assert editors.status("ffhq").can_edit


def test_a_killed_alignment_keeps_its_parts(hub: Hub, editor, monkeypatch):
    made: list[int] = []
    pairs = bank.ImageEmbedder.pairs
    monkeypatch.setattr(
        bank.ImageEmbedder,
        "pairs",
        lambda self, z: made.append(len(z)) or pairs(self, z),
    )
    run(Editors(editor), "images: 48 of 64")
    run(Editors(editor))
    assert sum(made) == 64 + 16, "only the part that was under way is made again"


def test_a_network_that_breaks_off_is_waited_for(hub: Hub, editor):
    hub.faults["ours/e4e/e4e.pt"] = [("status", 500)] * (download.TRIES + 1)
    editors = Editors(editor)
    said = " ".join(job.message for job in run(editors))
    assert "tried again in a minute" in said and editors.status("ffhq").can_edit


def test_a_mapper_by_name_needs_no_alignment(hub: Hub, editor, monkeypatch):
    publish(hub)
    monkeypatch.setattr(quick, "quick_align", None)
    first, asked = start("ffhq", "me/photos")
    assert first.domain.key == "avatar" and asked == Asked("ffhq", "me/photos")
    editors = Editors(editor)
    run(editors, asked=asked)
    status = editors.status("ffhq")
    assert status.can_edit and status.mapper_name == f"me/photos@{COMMIT[:12]}"
    assert editors.get("ffhq").recipe([])["mapper"] == status.mapper_name


def test_a_wrong_name_is_told_before_weights_are_fetched(hub: Hub, editor):
    hub.private.add("me/photos")
    with pytest.raises(BundleError, match="private, gone or misspelt"):
        run(Editors(editor), asked=Asked("ffhq", "me/photos"))
    assert not hub.bodies("ours/e4e/e4e.pt")


def test_on_zero_gpu_a_mapper_by_name_is_asked_for(hub: Hub, editor, monkeypatch):
    class Spaces:
        @staticmethod
        def GPU(duration: int):  # noqa: N802 - the library's name
            return lambda function: function

    monkeypatch.setattr(editors_module, "spaces", Spaces)
    with pytest.raises(BundleError, match=r"ZeroGPU gives no minutes.*TMSA_MAPPER"):
        run(Editors(editor))
    assert Editors(editor).status("ffhq").available, "the weights are there by now"
    publish(hub)
    editors = Editors(editor)
    run(editors, asked=Asked("ffhq", "me/photos"))
    assert editors.status("ffhq").can_edit


def refreshed(blocks: gr.Blocks, key: str) -> tuple[dict[str, object], ...]:
    """What the page shows below the choice of the domain."""
    refresh = next(fn.fn for fn in blocks.fns.values() if fn.name == "refresh")
    return refresh(key)


def test_the_page_shows_the_setup_and_that_photos_are_ready(hub: Hub, editor, monkeypatch):
    begin = SetupJobs.start
    monkeypatch.setattr(SetupJobs, "start", lambda *arguments: begin(*arguments).join(300))
    blocks = build_ui(editor, allow_setup=False, asked=PHOTOS)
    panel, words, *buttons, _, _ = refreshed(blocks, "avatar")
    assert panel["visible"] and "Photos of faces: ready" in words["value"]
    assert not any(button["visible"] for button in buttons)
    assert refreshed(blocks, "ffhq")[1]["value"] == ""


@pytest.fixture
def photos_status(hub: Hub, editor) -> Iterator[object]:
    yield Editors(editor).status("ffhq")


def test_visitors_may_name_a_mapper_only_where_setup_is_allowed(photos_status, editor):
    check_mapper_name(photos_status, "me/photos", allowed=True, paths=False)
    check_mapper_name(photos_status, "/etc/mapper", allowed=True, paths=True)
    for arguments, said in (
        ((photos_status, "me/photos", False, False), "--allow-setup"),
        ((photos_status, "/etc/mapper", True, False), "USER/NAME"),
        ((Editors(editor).status("avatar"), "me/photos", True, True), "own mapping network"),
    ):
        with pytest.raises(RequestError, match=said):
            check_mapper_name(*arguments)


def test_a_failed_setup_is_shown_to_all_visitors(photos_status):
    assert asked_markdown(photos_status, None) == ""
    failed = asked_markdown(photos_status, Job(failed="The Hub is gone."))
    assert "could not be set up" in failed and "The Hub is gone" in failed
