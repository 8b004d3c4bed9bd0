"""What every training stage needs around its loop: a folder, a clock, a log, a checkpoint.

A stage keeps its state outside the checkout and can be stopped at any time: the same command
goes on where the last checkpoint left off. Metrics are appended as JSON lines.
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
UNREADABLE = (RuntimeError, UnpicklingError, EOFError, LookupError, TypeError, ValueError)
"""What PyTorch raises on a state that is damaged or of something else."""


@dataclass(frozen=True)
class Options:
    """How to run a stage.

    work: folder of states, logs and cached renders. out: the bundle's folder. minutes: stop
    after so much wall clock (None: when the stage's own schedule ends). restart: forget the state.
    """

    work: Path
    out: Path
    minutes: float | None = None
    seed: int = 0
    device: str = "cpu"
    restart: bool = False


@dataclass
class Run:
    """One stage under way: ``while run.going(step): ...; run.log(...)``.

    unit: what ``total`` counts. quiet: one of several processes, which neither shows nor logs.
    before: seconds that the runs took which this one goes on from.
    """

    name: str
    options: Options
    total: int
    unit: str = "it"
    quiet: bool = False
    started: float = field(default_factory=time.monotonic)
    saved: float = field(default_factory=time.monotonic)
    before: float = 0.0
    bar: tqdm | None = None
    stop: StopRequest = field(default_factory=StopRequest)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.options.restart:
            self.state_path.unlink(missing_ok=True)

    @property
    def folder(self) -> Path:
        """Where the state, the log and the sample grids lie."""
        return self.options.work / self.name

    @property
    def state_path(self) -> Path:
        """The checkpoint that a run resumes from."""
        return self.folder / "state.pt"

    @property
    def seconds(self) -> float:
        """What the training took so far, this run and those before it."""
        return self.before + time.monotonic() - self.started

    def resume(self, parts: Mapping[str, Any]) -> int:
        """Load the last checkpoint into ``parts`` (whatever has a state dict); how much is done.

        Lines of the log about what is not done, or to be done again, are taken away. Raises
        RequestError for a checkpoint that is damaged or of something else.
        """
        done = self._load(parts) if self.state_path.exists() else 0
        if not self.quiet:
            self._cut_log(done)
        return done

    def save_checkpoint(self, parts: Mapping[str, Any], done: int) -> None:
        """Write the checkpoint in one step, so that a kill never leaves half a file.

        Raises BundleError where the disk does not take it; the last one is then still there.
        """
        state = {name: part.state_dict() for name, part in parts.items()}
        state |= {"done": done, "seconds": self.seconds}
        buffer = io.BytesIO()  # PyTorch's own writer reports a full disk in many ways
        torch.save(state, buffer)
        with replacing(self.state_path, BundleError) as file:
            file.write(buffer.getbuffer())
        self.saved = time.monotonic()

    @contextmanager
    def whole_steps(self) -> Iterator[None]:
        """Within it Ctrl-C lets the step under way end: then ``should_continue`` says no.

        The block can so keep what was done before KeyboardInterrupt is raised at its end. The same
        goes for SIGTERM. Who asks twice is not made to wait.
        """
        with stop_after_step(IMPATIENT_SECONDS) as self.stop:
            yield
        if self.stop.asked:
            raise KeyboardInterrupt

    def checkpoint_due(self) -> bool:
        """Whether the wall clock asks for a checkpoint."""
        return time.monotonic() - self.saved > CHECKPOINT_SECONDS

    def should_continue(self, done: int) -> bool:
        """Whether to do another step after ``done`` units of ``total``."""
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
        """Append one line of metrics and show it beside the progress bar."""
        if self.quiet:
            return
        row = {"done": done, "seconds": round(time.monotonic() - self.started, 1)}
        row |= {k: round(_plain(v), 5) for k, v in metrics.items()}
        with (self.folder / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")
        if self.bar is not None:
            self.bar.set_postfix({k: f"{_plain(v):.3f}" for k, v in metrics.items()})

    def _load(self, parts: Mapping[str, Any]) -> int:
        try:
            state = torch.load(self.state_path, map_location=self.options.device, weights_only=True)
            for name, part in parts.items():
                part.load_state_dict(state[name])
            self.before = float(state.get("seconds", 0.0))
            return int(state["done"])
        except torch.OutOfMemoryError:
            raise
        except UNREADABLE as error:
            raise RequestError(
                f"{self.state_path} is damaged or of another training: choose another folder with "
                "--work, or use --restart."
            ) from error

    def _cut_log(self, done: int) -> None:
        """Keep the lines of the log up to ``done``; a kill may have left half of one."""
        path = self.folder / "metrics.jsonl"
        if not path.exists():
            return
        lines = path.read_text().splitlines(keepends=True)
        kept = [line for line in lines if line.endswith("\n") and json.loads(line)["done"] <= done]
        if kept != lines:
            write_whole(path, "".join(kept).encode(), BundleError)

    def save_sample_grid(self, real: Tensor, made: Tensor, columns: int = 8) -> None:
        """Write ``latest.png``: rows of real images, each above the row that was made for it.

        real, made: (N,3,H,W) in [-1, 1].
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


@torch.no_grad()
def update_average(average: nn.Module, model: nn.Module, decay: float) -> None:
    """Exponential moving average of the weights; buffers are copied."""
    for old, new in zip(average.parameters(), model.parameters(), strict=True):
        old.lerp_(new, 1 - decay)
    for old, new in zip(average.buffers(), model.buffers(), strict=True):
        old.copy_(new)


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """One learning rate for every group."""
    for group in optimiser.param_groups:
        group["lr"] = rate


def _plain(value: float | Tensor) -> float:
    return float(value.detach()) if isinstance(value, Tensor) else float(value)
