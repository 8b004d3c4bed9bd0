"""Entry point: runs the command line and reports an error in one sentence."""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from tmsa_core.cli import edit, evaluate, serve, train, weights
from tmsa_core.errors import TmsaError, quoted, shortened
from tmsa_core.version import VERSION

# Click's base class of usage errors. Newer versions of Typer carry their own copy of Click, so the
# class is found by its name.
UsageError = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")
MAX_CHARACTERS = 250  # of Click's message about wrong usage
INTERRUPTED = 130  # Typer's exit status after Ctrl-C

# Each command with the examples of its help.

COMMANDS: dict[Callable[..., Any], tuple[str, ...]] = {
    **edit.COMMANDS,
    **weights.COMMANDS,
    **serve.COMMANDS,
    **train.COMMANDS,
    **evaluate.COMMANDS,
}


def example(*lines: str) -> str:
    """Format the examples of a command's help."""
    return "\n".join(["\b", "Example:", *(f"  tmsa {line}" for line in lines)])


def make_app() -> typer.Typer:
    """Build the command line from the commands of all modules."""
    commands = typer.Typer(
        name="tmsa",
        help="Edit a face with words.",
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    commands.callback(invoke_without_command=True)(root)
    for command, examples in COMMANDS.items():
        commands.command(epilog=example(*examples))(command)
    return commands


def root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    """Print the version, or the help if there is no command."""
    if version:
        print(VERSION)
        raise typer.Exit()
    if context.invoked_subcommand is None:
        print(context.get_help(), file=sys.stderr)
        raise typer.Exit(2)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command of ``tmsa``.

    Args:
        arguments: The command line without the program; None takes the process's own.

    Returns:
        The exit status: 0 success, 1 failure, 2 wrong usage.
    """
    return _run(make_app(), "tmsa", arguments)


def main_of_app() -> int:
    """Run ``app.py``, which is the command ``app`` alone, and return its exit status."""
    alone = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    alone.command()(serve.app)
    return _run(alone, "app.py", None)


def _run(commands: typer.Typer, program: str, arguments: Sequence[str] | None) -> int:
    given = sys.argv[1:] if arguments is None else list(arguments)
    if problem := _unusable(given):
        return _complain(problem, 2)
    if isinstance(sys.stdout, io.TextIOWrapper):  # file names may be invalid Unicode
        sys.stdout.reconfigure(errors="backslashreplace")
    command = typer.main.get_command(commands)
    try:
        status = command.main(args=given, prog_name=program, standalone_mode=False)
    except UsageError as error:
        message = _cut(error.format_message().rstrip("."))  # type: ignore[attr-defined]
        return _complain(f"{message}; see `{program} --help`.", 2)
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
    """The error about an argument that no shell can pass on; empty if there is none."""
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
    """Shorten a message of Click, which quotes arguments in full."""
    return re.sub(r"\S{61,}", lambda word: shortened(word[0]), message)[:MAX_CHARACTERS]


def _disk_words(error: OSError) -> str:
    from tmsa_core.files import write_problem

    if error.filename is None:  # the error is about writing, not about opening
        return write_problem(Path("A file"), error)
    return f"{shortened(error.filename)}: {error.strerror or shortened(error)}."


def _complain(message: str, status: int) -> int:
    print(f"Error: {message}", file=sys.stderr)
    return status
