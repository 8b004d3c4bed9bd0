"""Long work for processes that are killed: a batch, a download, a conversion and a training.

``start`` runs one of them in a process of its own. The processes are forked from one that has the
packages loaded, so that each begins at once.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Protocol

import numpy as np

from tests.hub_server import COMMIT
from tests.synthetic_checkpoints import SMALL
from tmsa_core.weights.download import Download, Place

CONTEXT = get_context("forkserver")
IMAGES = 2
CONTENT = np.random.default_rng(0).bytes(3_000_000)
PLACE = Place("weights/first", "model.bin", COMMIT)
DOWNLOAD = Download("model.bin", len(CONTENT), hashlib.sha256(CONTENT).hexdigest(), (PLACE,), "MIT")
WIDE = SMALL | {"arcface": SMALL["arcface"] | {"widths": [48, 64, 128, 256]}}


class Event(Protocol):
    """What tells the parent that a process has begun its job."""

    def set(self) -> None: ...


def batch(folder: Path, address: str, ready: Event) -> None:
    """Edit the images of a folder into an archive."""
    from tmsa_core import EditRequest, load_editor
    from tmsa_core.editing.batch import BatchOptions, run_batch

    editor = load_editor("avatar", device="cpu")
    ready.set()
    requests = [EditRequest("human face", "smiling human face")]
    options = BatchOptions(aligned=True, format="jpg")
    for _ in run_batch(editor, [folder / "in"], requests, folder / "out.zip", options):
        pass


def download(folder: Path, address: str, ready: Event) -> None:
    """Fetch a file over a connection that is not the quickest."""
    import huggingface_hub.constants

    from tmsa_core.weights.download import fetch

    huggingface_hub.constants.HF_HUB_OFFLINE = False
    huggingface_hub.constants.HF_HUB_CACHE = str(folder / "hub")
    ready.set()
    fetch(DOWNLOAD, folder / "out", lambda done, total, message: time.sleep(0.002), address)


def conversion(folder: Path, address: str, ready: Event) -> None:
    """Turn a checkpoint into safetensors."""
    from tmsa_core.weights.convert import convert

    ready.set()
    convert("arcface", folder / "public.pt", folder / "out")


def training(folder: Path, address: str, ready: Event) -> None:
    """Draw pairs, train a mapper for a few steps, and keep the state after each."""
    from tmsa_core.bundles import checkpoints_folder, open_bundle
    from tmsa_core.training import run
    from tmsa_core.training.mapper import bank
    from tmsa_core.training.mapper import loop as align
    from tmsa_core.training.mapper.presets import FAST

    bank.PART, bank.PIXELS, run.CHECKPOINT_SECONDS, align.SHOWN = 8, 8 * 128**2, 0.0, 2
    preset = replace(FAST, iterations=4, batch=8, image_batch=2, image_every=2, bank=32)
    bundle = open_bundle("avatar", checkpoints_folder() / "avatar")
    ready.set()
    options = run.Options(folder / "out", bundle.folder)
    align.train_alignment(bundle, replace(preset, hidden=(8,)), options, None, "mapper")


JOBS: dict[str, Callable[[Path, str, Event], None]] = {
    "batch": batch,
    "download": download,
    "conversion": conversion,
    "training": training,
}


def _run(name: str, folder: Path, address: str, ready: Event) -> None:
    import torch

    torch.set_num_threads(1)
    with (folder / "log.txt").open("a") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        JOBS[name](folder, address, ready)


@dataclass(frozen=True)
class Running:
    """A running process, and the time when it began (seconds of ``time.monotonic``)."""

    process: BaseProcess
    began: float

    def end(self) -> float:
        """Wait for the end, which must be a good one; the time that the job took, in seconds."""
        self.process.join()
        assert self.process.exitcode == 0
        return time.monotonic() - self.began

    def kill(self, after: float) -> None:
        """Kill the process so many seconds after it began, if it has not ended by then."""
        self.process.join(max(0.0, self.began + after - time.monotonic()))
        self.process.kill()
        self.process.join()


def start(name: str, folder: Path, address: str) -> Running:
    """Start a job below ``folder``, and return when everything that it needs is loaded."""
    CONTEXT.set_forkserver_preload(["tests.kill_work_preload"])
    ready = CONTEXT.Event()
    process = CONTEXT.Process(target=_run, args=(name, folder, address, ready))
    process.start()
    while not ready.wait(0.5):
        assert process.is_alive(), (folder / "log.txt").read_text()
    return Running(process, time.monotonic())
