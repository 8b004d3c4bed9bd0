"""Command lines, most in this process, which is quick, and some as a shell runs them."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from pathlib import Path
from random import Random

from PIL import Image

from tests.fuzz import values
from tests.fuzz.archives import archive
from tests.fuzz.harness import Case, Fault, fault_of_sentence
from tests.fuzz.images import random_image
from tests.fuzz.worker import Subject
from tmsa_core.cli.main import main

ROOT = Path(__file__).parents[2]
START = 30.0  # seconds that a command may take to load its libraries, beside its work
OPTIONS = (
    "--target", "--neutral", "--alpha", "--levels", "--threshold", "--face", "--inversion",
    "--domain", "--device", "--format", "--from", "--to", "--steps", "--seed", "--truncation",
    "--aligned", "--crop-only", "--notice", "--help", "--no-such-option", "--version",
)  # fmt: skip
FLAGS = ("--aligned", "--crop-only", "--notice", "--help", "--version")
# Nothing here trains, fetches, publishes or serves where the arguments happen to be right.
REFUSED = (
    ("train", "no-such-domain"), ("train", "avatar", "no-such-stage"),
    ("download", "no-such-domain"), ("evaluate", "--images", "0"),
    ("evaluate", "--domain", "no-such-domain"), ("evaluate", "--prompts", "/dev/null"),
    ("measure", "no-such-study"), ("figures", "no-such-figure"), ("domains",), (),
    ("publish", "no-such-domain", "x"), ("no-such-command",),
)  # fmt: skip


def arguments(rng: Random, portrait: Image.Image, folder: Path) -> list[str]:
    """A command line; its files are in the folder."""
    name = rng.choice(("edit", "edit", "sweep", "align", "batch", "batch", "sample", "convert", ""))
    if not name:
        return [*rng.choice(REFUSED), *([_word(rng)] if rng.random() < 0.7 else [])]
    if name == "convert":
        kind = rng.choice(("e4e", "hfgi", "stylegan2", "arcface", "no"))
        return [name, kind, _source(rng, portrait, folder), str(folder / rng.choice(("out", "in")))]
    made = [name] if name == "sample" else [name, _source(rng, portrait, folder)]
    if rng.random() < 0.95:
        made += ["-o", _output(rng, folder)]
    if name in ("edit", "sweep", "batch") and rng.random() < 0.9:
        made += ["--target", _word(rng)]
    for option in rng.sample(OPTIONS, rng.randrange(3)):
        made += [option] if option in FLAGS else [option, _word(rng)]
    return made


def _word(rng: Random) -> str:
    """A word as a shell can pass it: without NUL, and not too long for one argument."""
    text, number = values.short_text(rng, 30_000), str(rng.choice(values.NUMBERS))
    word = rng.choice((text, number, "0,1", "cpu"))
    return word.encode("utf-8", "replace").decode().replace("\0", "")


def _source(rng: Random, portrait: Image.Image, folder: Path) -> str:
    """A file to read: an image, an archive, damaged, missing, a folder, a device."""
    (folder / "in").write_bytes(rng.choice((random_image, archive))(rng, portrait))
    (folder / "in.zip").symlink_to("in")
    (folder / "full").symlink_to("/dev/full")
    portrait.save(folder / "portrait.png")
    names = ("in", "in", "in.zip", "portrait.png", "portrait.png", "full", "missing", "", "x" * 300)
    return rng.choice((*(str(folder / name) for name in names), "/dev/zero", "/dev/null"))


def _output(rng: Random, folder: Path) -> str:
    """A file to write. Devices are reached by links: what replaces one replaces a link."""
    (folder / "null.png").symlink_to("/dev/null")
    (folder / "full.png").symlink_to("/dev/full")
    names = (
        "out.png", "out.jpg", "out.webp", "out.zip", "out.zip", "out", "out.exe", "in", "in.zip",
        "null.png", "full.png", "missing/out.png", "", "x" * 300 + ".png", "portrait.png",
    )  # fmt: skip
    return str(folder / rng.choice(names))


def make(rng: Random, subject: Subject) -> Case:
    """A command that runs in this process."""
    line = arguments(rng, subject.portrait, subject.folder)
    return Case(f"tmsa {_short(line)}", lambda: _run_here(line))


def _run_here(line: list[str]) -> None:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main(line)
    _judge(line, status, err.getvalue())


def _judge(line: list[str], status: int, complaint: str) -> None:
    """Raise Fault for an exit status or a complaint that is not as it should be."""
    name = line[0] if line else "no command"
    if "Traceback" in complaint:
        raise Fault(f"a traceback of {name}: {complaint.splitlines()[-1]:.60}")
    if status not in (0, 1, 2):
        raise Fault(f"exit status {status} of {name}")
    errors = [text for text in complaint.splitlines() if text.startswith("Error: ")]
    if status and name != "no command" and not errors:
        raise Fault(f"exit status {status} of {name} without an error")
    if fault := next(filter(None, map(fault_of_sentence, errors)), ""):
        raise Fault(f"{name}: {fault}")


def _short(line: list[str]) -> str:
    return f"{line!r:.300}"


def make_shell(rng: Random, subject: Subject) -> Case:
    """The same as a shell runs it, in a process of its own."""
    line = arguments(rng, subject.portrait, subject.folder)
    return Case(f"tmsa {_short(line)}", lambda: _run_apart(line, subject.folder), START)


def _run_apart(line: list[str], folder: Path) -> None:
    command = [sys.executable, "-m", "tmsa_core", *line]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, timeout=3 * START
        )
    except subprocess.TimeoutExpired as error:
        raise Fault(f"no end of {line[0]}: killed") from error
    _judge(line, done.returncode, done.stderr.decode(errors="replace"))
