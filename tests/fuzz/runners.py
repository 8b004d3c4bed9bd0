"""Runs cases: in a process that may hang, die or overflow, and against a live server."""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

import httpx
from PIL import Image

from tests.fuzz.calls import CALLS, EDIT, World, good
from tests.fuzz.judge import (
    BUSY,
    BYSTANDER,
    MOST_SECONDS,
    REFERENCE,
    Answer,
    fault_of_call,
    fault_of_memory,
    faults_of_answer,
    faults_of_log,
)
from tests.fuzz.values import Draw
from tests.live import Server
from tmsa_core.imaging.metadata import encode_png

MOST_ADDRESSES = 2 << 30  # bytes that a process may map beyond what it has when it starts
START = 180.0  # seconds until a process is ready, at most
PATIENCE = 60.0  # seconds after which a case is given up
WARM_UP = 60  # cases after which memory should stay as it is
PAUSES = (1.0, 1.0, 1.0, 0.0)  # seconds after each answer that asks to come again
LISTEN = 0.5  # seconds at a stream that has no end of its own
LOGGING = 0.3  # seconds from a failed answer until the log says why
MOST_READ = 5 << 20  # bytes of an answer


@dataclass(frozen=True)
class Outcome:
    """How a case went. label: its call and values. fault: "" where nothing is wrong."""

    label: str
    fault: str
    seconds: float


class Runner(Protocol):
    """What runs the cases of a kind; an index of None stands for a plain edit."""

    def run(self, index: int | None) -> Outcome:
        """Run the case of an index."""


@dataclass
class Report:
    """What became of the cases of one kind."""

    kind: str
    count: int = 0
    slowest: tuple[float, int] = (0.0, 0)
    faults: dict[str, list[tuple[int, str]]] = field(default_factory=dict)

    def lines(self, seed: int) -> Iterator[str]:
        """The summary, then each distinct fault with the command that shows it again."""
        seconds, index = self.slowest
        yield (
            f"{self.kind}: {self.count} cases, {len(self.faults)} faults, "
            f"slowest {seconds:.1f} s ({self.kind}:{index})"
        )
        for fault, cases in self.faults.items():
            index, label = cases[0]
            yield f"  {len(cases)} x {fault}"
            yield f"      --seed {seed} --only {self.kind}:{index}   {label:.160}"


def run_cases(runner: Runner, kind: str, indices: Iterable[int], seconds: float) -> Report:
    """Run cases one after another until the time is over."""
    report, end = Report(kind), time.monotonic() + seconds
    for index in indices:
        if time.monotonic() > end:
            break
        outcome = runner.run(index)
        if outcome.seconds > MOST_SECONDS and not outcome.fault:  # the case, or the machine?
            slowness = max(1.0, runner.run(None).seconds / REFERENCE)
            outcome = runner.run(index)
            if outcome.seconds > MOST_SECONDS * slowness:
                outcome = Outcome(outcome.label, "slow", outcome.seconds)
        report.count += 1
        report.slowest = max(report.slowest, (outcome.seconds, index))
        if outcome.fault:
            report.faults.setdefault(outcome.fault, []).append((index, outcome.label))
    return report


@dataclass(frozen=True)
class Memory:
    """The memory of a process, as Linux tells it; 0 elsewhere."""

    pid: int

    def read(self, name: str) -> int:
        """Bytes: "VmRSS", in memory now, or "VmHWM", the most since ``forget_peak``."""
        path = Path(f"/proc/{self.pid}/status")
        lines = path.read_text().splitlines() if path.exists() else []
        return sum(int(line.split()[1]) << 10 for line in lines if line.startswith(name))

    def forget_peak(self) -> None:
        """Start a new measurement of the peak."""
        path = Path(f"/proc/{self.pid}/clear_refs")
        if path.exists():
            path.write_text("5")


def name_of(call: Callable[..., Any], number: int) -> str:
    """The name of a call of the table; a row without one has its number."""
    return call.__name__ if call.__name__ != "<lambda>" else f"row {number}"


class Worker:
    """Runs the cases of one kind in a forked process, which is replaced when it hangs or dies.

    The process is forked from one that has everything loaded, so that a new one begins at once.
    """

    def __init__(self, kind: str, seed: int, folder: Path) -> None:
        self._arguments = (kind, seed, folder)
        self._process: multiprocessing.process.BaseProcess | None = None
        self._connection: Connection | None = None

    def run(self, index: int | None) -> Outcome:
        """Run a case and wait for its outcome."""
        if self._process is None:
            self._start()
        assert self._process is not None and self._connection is not None
        start = time.monotonic()
        try:
            self._connection.send(index)
            if self._connection.poll(PATIENCE):
                return self._connection.recv()
            fault = "no end: killed"
        except (EOFError, OSError):
            self._process.join()
            fault = f"the process died, exit code {self._process.exitcode}"
        self.close()
        return Outcome(f"case {index}", fault, time.monotonic() - start)

    def close(self) -> None:
        """Stop the process."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
        self._process = None

    def _start(self) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["tests.fuzz.preload"])
        self._connection, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other, *self._arguments), daemon=True)
        self._process.start()
        other.close()
        if not self._connection.poll(START) or self._connection.recv() != "ready":
            raise RuntimeError("the process of the cases did not start")


def _serve(connection: Connection, kind: str, seed: int, folder: Path) -> None:
    from tests.fuzz.preload import EDITOR, FACE

    folder = folder / str(os.getpid())
    folder.mkdir()
    os.chdir(folder)  # a command may name a file without a folder
    world, resident = World(EDITOR, FACE), []
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + MOST_ADDRESSES, resource.RLIM_INFINITY))
    connection.send("ready")
    while True:
        index = connection.recv()
        files = folder / "case"
        files.mkdir()
        outcome = _measured(world, Draw(seed, kind, index or 0, FACE.crop, files), kind, index)
        if not outcome.fault:
            resident.append(Memory(os.getpid()).read("VmRSS"))
            kept = resident[-1] - max(resident[:WARM_UP]) if len(resident) > WARM_UP else 0
            if fault := fault_of_memory(0, 0, kept):
                outcome, resident = Outcome(outcome.label, fault, outcome.seconds), []
        shutil.rmtree(files)
        connection.send(outcome)


def _measured(world: World, draw: Draw, kind: str, index: int | None) -> Outcome:
    number = draw.rng.randrange(len(CALLS[kind]))
    call = CALLS[kind][number]
    memory = Memory(os.getpid())
    memory.forget_peak()
    before, start = memory.read("VmRSS"), time.monotonic()
    if index is None:
        fault = fault_of_call(lambda: world.editor.edit(world.editor.prepare(draw.portrait), EDIT))
    else:
        fault = fault_of_call(lambda: call(draw, world))
    seconds = 0.0 if kind == "shell" else time.monotonic() - start  # a shell's has its own limit
    fault = fault or fault_of_memory(before, memory.read("VmHWM"), 0)
    return Outcome(f"{name_of(call, number)}({', '.join(draw.drawn)})", fault, seconds)


@dataclass
class Visitor:
    """A client of a live server. sent: all that it has named itself. seconds: of its answers."""

    server: Server
    client: httpx.Client
    bystander: str = ""
    sent: str = ""
    answers: list[Answer] = field(default_factory=list)
    seconds: float = 0.0

    def ask(self, method: str, path: str, endless: bool = False, **options: Any) -> Answer:
        """Send a request; again after a while where the server says that it is busy."""
        self.sent += f"{path} {options.get('content', b'')[:100_000]!r}"
        for pause in PAUSES:
            start = time.monotonic()
            answer = self._ask(method, path, LISTEN if endless else PATIENCE, **options)
            if answer.status not in BUSY:
                break
            time.sleep(pause)
        if not endless:
            self.seconds = max(self.seconds, time.monotonic() - start)
        self.answers.append(answer)
        return answer

    def _ask(self, method: str, path: str, seconds: float, **options: Any) -> Answer:
        read, end, status = b"", time.monotonic() + seconds, 0
        try:
            url = f"{self.server.address}{path}"
            with self.client.stream(method, url, timeout=seconds, **options) as got:
                status = got.status_code
                for block in got.iter_raw():
                    read += block
                    if len(read) > MOST_READ or time.monotonic() > end:
                        break
        except httpx.TransportError as error:
            if seconds != LISTEN and not status:
                read = f"{type(error).__name__} without an answer".encode()
        return Answer(status, read.decode(errors="replace"))

    def post(self, path: str, body: Any) -> Answer:
        """Send a value as JSON, also NaN and halves of pairs, which httpx would refuse."""
        headers = {"Content-Type": "application/json"}
        return self.ask("POST", path, content=json.dumps(body).encode(), headers=headers)

    def call(self, name: str, values: list[Any], session: str | None = None) -> None:
        """Call an endpoint, and read the answer."""
        body = {"data": values, "session_hash": session}
        answer = self.post(f"/gradio_api/call/{name}", body)
        if answer.status == 200 and "event_id" in answer.text:
            event = json.loads(answer.text)["event_id"]
            self.ask("GET", f"/gradio_api/call/{name}/{event}")

    def upload(self, data: bytes, name: str = "image.png") -> str:
        """Send a file; its path, or "" where it was refused."""
        answer = self.ask("POST", "/gradio_api/upload", files={"files": (name, data)})
        return json.loads(answer.text)[0] if answer.status == 200 else ""


class Traffic:
    """Sends generated traffic to a server, and judges answers, log and memory."""

    def __init__(self, server: Server, seed: int, portrait: Image.Image, folder: Path) -> None:
        self._server, self._seed, self._portrait = server, seed, portrait
        self._folder = folder / "traffic"
        self._memory = Memory(server.process.pid)
        self._resident: list[int] = []
        self._seen = server.log.stat().st_size  # bytes of the log

    def run(self, index: int | None) -> Outcome:
        """Send the traffic of one case."""
        self._folder.mkdir()
        draw = Draw(self._seed, "http", index or 0, self._portrait, self._folder)
        call = draw.rng.choice(CALLS["http"])
        self._memory.forget_peak()
        before, png = self._memory.read("VmRSS"), encode_png(self._portrait)
        # Without certificates, which take long to load and which no local server has.
        with httpx.Client(verify=False) as client, httpx.Client(verify=False) as other:
            visitor = Visitor(self._server, client)
            if index is None:
                visitor.call("edit", list(good("edit", visitor.upload(png)).values()))
                fault = ""
            else:
                visitor.bystander = Visitor(self._server, other).upload(png, BYSTANDER)
                fault = fault_of_call(lambda: call(draw, visitor))
        shutil.rmtree(self._folder)
        faults = [fault, *self._faults(visitor, before)]
        label = f"{call.__name__}({', '.join(draw.drawn)})"
        found = next(filter(None, faults), "")
        return Outcome(label, found and f"{call.__name__}: {found}", visitor.seconds)

    def _faults(self, visitor: Visitor, before: int) -> Iterator[str]:
        cache = str(self._server.cache)
        if any(answer.status >= 500 for answer in visitor.answers):
            time.sleep(LOGGING)
        if self._server.process.poll() is not None:
            yield f"the server died, exit code {self._server.process.returncode}"
        new = self._server.log.read_bytes()[self._seen :]
        self._seen += len(new)
        yield from faults_of_log(new.decode(errors="replace"), cache)
        for answer in visitor.answers:
            yield from faults_of_answer(answer, visitor.sent, cache)
        self._resident.append(self._memory.read("VmRSS"))
        warm = max(self._resident[:WARM_UP])
        kept = self._resident[-1] - warm if len(self._resident) > WARM_UP else 0
        if fault := fault_of_memory(before, self._memory.read("VmHWM"), kept):
            self._resident = []  # each growth is reported once
            yield fault
