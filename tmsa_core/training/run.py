"""What every training stage needs around its loop: a folder, a clock, a log and a checkpoint.

A stage keeps its state outside the checkout and may be stopped at any time: the same command
resumes from the last checkpoint. Metrics are appended as JSON lines.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.utils import save_image
from tqdm import tqdm

from tmsa_core.errors import BundleError, RequestError
from tmsa_core.files import replacing, write_whole
from tmsa_core.training.stop_signals import IMPATIENT_SECONDS, StopRequest, stop_after_step

CHECKPOINT_SECONDS = 120.0
# What PyTorch raises for a damaged state file or for the state of another network.
UNREADABLE = (RuntimeError, UnpicklingError, EOFError, LookupError, TypeError, ValueError)


@dataclass(frozen=True)
class Options:
    """How to run a stage.

    Attributes:
        work: Folder of checkpoints, logs and cached renders.
        out: The bundle's folder.
        minutes: Stop after this wall-clock time; None to follow the stage's own schedule.
        seed: Seed of everything random.
        device: PyTorch's name of the device.
        restart: Whether to discard an earlier checkpoint.
    """

    work: Path
    out: Path
    minutes: float | None = None
    seed: int = 0
    device: str = "cpu"
    restart: bool = False


@dataclass
class Run:
    """A stage that is being trained: ``while run.should_continue(done): ...; run.log(...)``.

    Attributes:
        name: Name of the stage and of its folder.
        options: How to run it.
        total: How many units to train on.
        unit: What ``total`` counts.
        quiet: Show and log nothing, as all processes but the first do.
        started: Start of this run, in seconds of ``time.monotonic``.
        saved: Time of the last checkpoint, likewise.
        earlier_seconds: Duration of the earlier runs that this one resumes.
        bar: The progress bar, once the loop has started.
        stop: Whether a signal has asked to stop.
    """

    name: str
    options: Options
    total: int
    unit: str = "it"
    quiet: bool = False
    started: float = field(default_factory=time.monotonic)
    saved: float = field(default_factory=time.monotonic)
    earlier_seconds: float = 0.0
    bar: tqdm | None = None
    stop: StopRequest = field(default_factory=StopRequest)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.options.restart:
            self.state_path.unlink(missing_ok=True)

    @property
    def folder(self) -> Path:
        """Folder of the checkpoint, the log and the sample grid."""
        return self.options.work / self.name

    @property
    def state_path(self) -> Path:
        """The checkpoint that a run resumes from."""
        return self.folder / "state.pt"

    @property
    def seconds(self) -> float:
        """Training time so far, including earlier runs."""
        return self.earlier_seconds + time.monotonic() - self.started

    def resume(self, stateful: Mapping[str, Any]) -> int:
        """Load the last checkpoint, if there is one.

        Log lines of steps after the checkpoint are removed, since those steps run again.

        Args:
            stateful: Networks, optimisers and other objects with a state dict, by name.

        Returns:
            How many units of ``total`` are done.

        Raises:
            RequestError: If the checkpoint is damaged or of another training.
        """
        done = self._load(stateful) if self.state_path.exists() else 0
        if not self.quiet:
            self._cut_log(done)
        return done

    def rng_at(self, done: int) -> torch.Generator:
        """The random generator of a run that starts or resumes after ``done`` units."""
        return torch.Generator().manual_seed(self.options.seed * 1_000_003 + done)

    def save_checkpoint(self, stateful: Mapping[str, Any], done: int) -> None:
        """Write the checkpoint atomically: a killed process never leaves half a file.

        Args:
            stateful: What ``resume`` is to load, by name.
            done: How many units of ``total`` are done.

        Raises:
            BundleError: If the file cannot be written; the previous checkpoint then remains.
        """
        state = {name: part.state_dict() for name, part in stateful.items()}
        state |= {"done": done, "seconds": self.seconds}
        buffer = io.BytesIO()  # PyTorch's own writer reports a full disk in many ways
        torch.save(state, buffer)
        with replacing(self.state_path, BundleError) as file:
            file.write(buffer.getbuffer())
        self.saved = time.monotonic()

    def checkpoint_due(self) -> bool:
        """Whether the last checkpoint is older than ``CHECKPOINT_SECONDS``."""
        return time.monotonic() - self.saved > CHECKPOINT_SECONDS

    @contextmanager
    def whole_steps(self) -> Iterator[None]:
        """Finish the current step on Ctrl-C or SIGTERM, then raise KeyboardInterrupt.

        After a signal ``should_continue`` returns False, so the block can save a checkpoint before
        it ends. A second signal interrupts at once.
        """
        with stop_after_step(IMPATIENT_SECONDS) as self.stop:
            yield
        if self.stop.asked:
            raise KeyboardInterrupt

    def should_continue(self, done: int) -> bool:
        """Whether to do another step after ``done`` units of ``total``; shows the progress."""
        if self.bar is None:
            self.bar = tqdm(
                total=self.total,
                initial=done,
                desc=self.name,
                unit=self.unit,
                mininterval=10,
                disable=self.quiet,
            )
        self.bar.update(done - self.bar.n)
        limit = self.options.minutes
        late = limit is not None and time.monotonic() - self.started > 60 * limit
        if done >= self.total or late or self.stop.asked:
            self.bar.close()
            return False
        return True

    def log(self, done: int, **metrics: float | Tensor) -> None:
        """Append scalar metrics to the log and show them beside the progress bar."""
        if self.quiet:
            return
        values = {
            name: float(value.detach() if isinstance(value, Tensor) else value)
            for name, value in metrics.items()
        }
        row = {"done": done, "seconds": round(time.monotonic() - self.started, 1)}
        row |= {name: round(value, 5) for name, value in values.items()}
        with (self.folder / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")
        if self.bar is not None:
            self.bar.set_postfix({name: f"{value:.3f}" for name, value in values.items()})

    def save_sample_grid(self, real: Tensor, made: Tensor, columns: int = 8) -> None:
        """Write ``latest.png``: each row of real images above the row made for it.

        Args:
            real: Images (N,3,H,W) in [-1, 1].
            made: The images (N,3,H,W) to compare with them.
            columns: Images per row.
        """
        rows = zip(real.split(columns), made.split(columns), strict=True)
        images = torch.cat([part.cpu().float() for pair in rows for part in pair])
        image = io.BytesIO()
        save_image(
            images.clamp(-1, 1),
            image,
            format="png",
            nrow=columns,
            normalize=True,
            value_range=(-1, 1),
            padding=1,
        )
        write_whole(self.folder / "latest.png", image.getvalue(), BundleError)

    def _load(self, stateful: Mapping[str, Any]) -> int:
        try:
            state = torch.load(self.state_path, map_location=self.options.device, weights_only=True)
            for name, part in stateful.items():
                part.load_state_dict(state[name])
            self.earlier_seconds = float(state.get("seconds", 0.0))
            return int(state["done"])
        except torch.OutOfMemoryError:
            raise
        except UNREADABLE as error:
            raise RequestError(
                f"{self.state_path} is damaged or of another training: choose another folder with "
                "--work, or use --restart."
            ) from error

    def _cut_log(self, done: int) -> None:
        """Remove log lines after ``done`` and a last line that a killed process left unfinished."""
        path = self.folder / "metrics.jsonl"
        if not path.exists():
            return
        lines = path.read_text().splitlines(keepends=True)
        kept = [line for line in lines if line.endswith("\n") and json.loads(line)["done"] <= done]
        if kept != lines:
            write_whole(path, "".join(kept).encode(), BundleError)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed PyTorch's global CPU generator for initial weights, and restore it afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


@torch.no_grad()
def update_average(average: nn.Module, model: nn.Module, decay: float) -> None:
    """Update an exponential moving average of the weights; buffers are copied."""
    for old, new in zip(average.parameters(), model.parameters(), strict=True):
        old.lerp_(new, 1 - decay)
    for old, new in zip(average.buffers(), model.buffers(), strict=True):
        old.copy_(new)


def decayed_rate(rate: float, warmup: float, done: int, total: int) -> float:
    """Learning rate after ``done`` of ``total`` images: linear warm-up, then linear decay.

    The warm-up starts at 5 % of ``rate`` and takes about ``warmup`` images.
    """
    return rate * min(1.0, done / warmup + 0.05) * (1 - done / total) + 1e-5


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of all parameter groups."""
    for group in optimiser.param_groups:
        group["lr"] = rate
