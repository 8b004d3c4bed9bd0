"""The entry point: runs the command line and reports errors in one sentence."""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import typer

from tmsa_core.cli import serve as cli_app
from tmsa_core.cli.common import app
from tmsa_core.errors import TmsaError, quoted, shortened

# Click's base of all usage errors. Typer imports Click or, from some version on, brings its own.
UsageError = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")
MOST_LETTERS = 250  # of what Click says about wrong usage
INTERRUPTED = 130  # what Typer makes of Ctrl-C


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command of ``tmsa``; its exit status."""
    return _run(app, "tmsa", arguments)


def main_of_app() -> int:
    """Run ``app.py``, which is the command ``app`` alone; its exit status."""
    alone = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    alone.command()(cli_app.app)
    return _run(alone, "app.py", None)


def _run(commands: typer.Typer, program: str, arguments: Sequence[str] | None) -> int:
    given = sys.argv[1:] if arguments is None else list(arguments)
    if problem := _unusable(given):
        return _complain(problem, 2)
    if isinstance(sys.stdout, io.TextIOWrapper):  # names of files may be no Unicode
        sys.stdout.reconfigure(errors="backslashreplace")
    command = typer.main.get_command(commands)
    try:
        status = command.main(args=given, prog_name=program, standalone_mode=False)
    except UsageError as error:
        message = _cut(error.format_message().rstrip("."))  # type: ignore[attr-defined]
        return _complain(f"{message}; `{program} --help` says what there is.", 2)
    except TmsaError as error:
        return _complain(str(error), 1)
    except OSError as error:
        return _complain(_disk_words(error), 1)
    except OverflowError:
        return _complain("A number is too large to be computed with; use a smaller one.", 1)
    except (KeyboardInterrupt, typer.Abort):
        status = INTERRUPTED
    if status == INTERRUPTED:
        return _complain("Stopped.", 1)
    return status if isinstance(status, int) else 0


def _unusable(arguments: Sequence[str]) -> str:
    """What is wrong with arguments that no shell can pass on; empty where nothing is."""
    for argument in arguments:
        try:
            usable = b"\0" not in os.fsencode(argument)
        except UnicodeEncodeError:
            usable = False
        if not usable:
            return (
                f"The argument {quoted(argument)} holds a character that no file name can hold: "
                "leave it out."
            )
    return ""


def _cut(message: str) -> str:
    """A message of Click, which quotes what was given in full."""
    return re.sub(r"\S{61,}", lambda word: shortened(word[0]), message)[:MOST_LETTERS]


def _disk_words(error: OSError) -> str:
    from tmsa_core.files import write_problem

    if error.filename is None:  # not of opening a file, so of writing one
        return write_problem(Path("A file"), error)
    return f"{error.filename}: {error.strerror or error}."


def _complain(message: str, status: int) -> int:
    print(f"Error: {message}", file=sys.stderr)
    return status
