"""The command line. Exit status: 0 done, 1 could not be done, 2 wrong usage.

Results go to standard output, notes and errors to standard error, an error in one sentence.
Everything heavy is imported by the command that needs it, so that ``--help`` answers at once.
"""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from tmsa_core import cli_app, cli_evaluation, cli_training
from tmsa_core.errors import ImageError, RequestError, TmsaError
from tmsa_core.quoting import quoted, shortened
from tmsa_core.version import VERSION

if TYPE_CHECKING:
    from PIL.Image import Image

    from tmsa_core.batch import Row
    from tmsa_core.datatypes import EditRequest
    from tmsa_core.download import Report
    from tmsa_core.editor import Editor

Value = TypeVar("Value")

# Click's base of all usage errors. Typer imports Click or, from some version on, brings its own.
UsageError = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")

MOST_LETTERS = 250  # of what Click says about wrong usage
INTERRUPTED = 130  # what Typer makes of Ctrl-C

app = typer.Typer(
    name="tmsa",
    help="Edit a face with words.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Source = Annotated[Path, typer.Argument(metavar="IN", help="The picture: PNG, JPEG, WebP ...")]
Output = Annotated[
    Path, typer.Option("--output", "-o", metavar="OUT", help="Where to write: .png, .jpg or .webp.")
]
Neutral = Annotated[str, typer.Option(help="What the picture shows, such as 'human face'.")]
Target = Annotated[str, typer.Option(help="What it should show: 'human face with glasses'.")]
DomainKey = Annotated[str, typer.Option(help="Which world of pictures; see `tmsa domains`.")]
Inversion = Annotated[str, typer.Option(help="How the picture enters the latent space.")]
FaceIndex = Annotated[int, typer.Option(help="Which face, where there are several; 0 is largest.")]
Aligned = Annotated[bool, typer.Option("--aligned", help="The picture is an aligned face already.")]
Device = Annotated[str, typer.Option(help="cpu, cuda, mps, or auto: the best there is.")]
# An option of each of several edits that are applied together; the last value goes for the rest.
NeutralEach = Annotated[list[str], typer.Option(help="What the picture shows: 'human face'.")]
TargetEach = Annotated[
    list[str],
    typer.Option(help="What it should show: 'human face with glasses'. Again: one more edit."),
]
AlphaEach = Annotated[
    list[float], typer.Option(help="Strength of each edit: 1 is the full edit, 0 none.")
]
LevelsEach = Annotated[
    list[str], typer.Option(help="Latent levels that move: all, coarse, medium, fine, or 0,1,4.")
]
ThresholdEach = Annotated[
    list[float],
    typer.Option(help="Share of the shift's smallest components to leave out, 0 to below 1."),
]


def _example(*lines: str) -> str:
    return "\n".join(["\b", "Example:", *(f"  tmsa {line}" for line in lines)])


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    if version:
        print(VERSION)
        raise typer.Exit()
    if context.invoked_subcommand is None:
        print(context.get_help(), file=sys.stderr)
        raise typer.Exit(2)


@app.command(
    epilog=_example(
        "edit in.png -o out.png --neutral 'human face' --target 'human face with glasses'",
        "edit in.png -o out.png --target 'smiling human face' --alpha 1.5 --crop-only",
        "edit in.png -o out.png --target 'old human face' --alpha 0.5 "
        "--target 'human face with glasses' --alpha 1",
    )
)
def edit(
    source: Source,
    output: Output,
    target: TargetEach,
    neutral: NeutralEach = ("human face",),
    alpha: AlphaEach = (1.0,),
    domain: DomainKey = "avatar",
    inversion: Inversion = "e4e",
    face: FaceIndex = 0,
    levels: LevelsEach = ("all",),
    threshold: ThresholdEach = (0.0,),
    crop_only: Annotated[bool, typer.Option("--crop-only", help="Write the crop alone.")] = False,
    aligned: Aligned = False,
    device: Device = "auto",
) -> None:
    """Edit the face in a picture by two texts, or by several such edits at once."""
    requests = _requests(target, neutral, alpha, levels, threshold, paste_back=not crop_only)
    editor = _load(domain, device, output)
    prepared = editor.prepare(source, inversion=inversion, face=face, aligned=aligned)
    result = editor.edit(prepared, requests)
    _write(result.image, output, editor, requests, inversion)
    _note(result.notes)
    seconds = sum(prepared.timings.values()) + sum(result.timings.values())
    print(f"{output}: edited in {seconds:.2f} s")


@app.command(
    epilog=_example(
        "sweep in.png -o strip.png --target 'old human face' --from -1 --to 2 --steps 7"
    )
)
def sweep(
    source: Source,
    output: Output,
    target: Target,
    neutral: Neutral = "human face",
    first: Annotated[float, typer.Option("--from", help="The first strength.")] = -1.0,
    last: Annotated[float, typer.Option("--to", help="The last strength.")] = 2.0,
    steps: Annotated[int, typer.Option(min=2, max=50, help="How many strengths.")] = 7,
    domain: DomainKey = "avatar",
    inversion: Inversion = "e4e",
    face: FaceIndex = 0,
    aligned: Aligned = False,
    device: Device = "auto",
) -> None:
    """Write a strip of the same edit at evenly spaced strengths."""
    from tqdm import tqdm

    from tmsa_core.datatypes import EditRequest

    editor = _load(domain, device, output)
    alphas = [first + (last - first) * i / (steps - 1) for i in range(steps)]
    requests = [EditRequest(neutral, target, alpha, paste_back=False) for alpha in alphas]
    for request in requests:
        editor.total_shift([request])  # fails before work is done in vain
    prepared = editor.prepare(source, inversion=inversion, face=face, aligned=aligned)
    results = [editor.edit(prepared, r) for r in tqdm(requests, "Editing", leave=False)]
    _write(_side_by_side([r.crop for r in results]), output, editor, requests, inversion)
    _note(results[0].notes)
    print(f"{output}: strengths {', '.join(f'{alpha:g}' for alpha in alphas)}")


@app.command(
    epilog=_example("align photo.jpg -o crop.png", "align group.jpg -o second.png --face 1")
)
def align(
    source: Source, output: Output, face: FaceIndex = 0, domain: DomainKey = "avatar",
    device: Device = "auto",
) -> None:  # fmt: skip
    """Find the faces in a picture, list them, and write the upright crop of one."""
    from tmsa_core.aligner import load_aligner
    from tmsa_core.devices import find_device
    from tmsa_core.metadata import check_destination, save_picture

    check_destination(output)
    find_device(device)
    with _download_bar() as report:
        found = load_aligner(domain, report=report).align(source, face)
    save_picture(found.crop, output)
    print(f"{output}: face {face} of {len(found.faces)}, {found.crop.width} px")
    for number, one in enumerate(found.faces):
        box = ", ".join(f"{edge:.0f}" for edge in one.box)
        print(f"face {number}: left, top, right, bottom = {box}")


@app.command(
    epilog=_example(
        "batch portraits/ -o edited.zip --target 'human face with glasses'",
        "batch one.png more.zip -o edited.zip --target 'smiling human face' --format jpg",
    )
)
def batch(
    sources: Annotated[
        list[Path], typer.Argument(metavar="IN...", help="Folders, ZIP archives or pictures.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="OUT", help="The ZIP archive to write.")
    ],
    target: TargetEach,
    neutral: NeutralEach = ("human face",),
    alpha: AlphaEach = (1.0,),
    format: Annotated[str, typer.Option(help="Of the pictures: png, jpg or webp.")] = "png",
    notice: Annotated[bool, typer.Option("--notice", help="Write on each that it is edited.")] = (
        False
    ),
    domain: DomainKey = "avatar",
    inversion: Inversion = "e4e",
    face: FaceIndex = 0,
    levels: LevelsEach = ("all",),
    threshold: ThresholdEach = (0.0,),
    aligned: Aligned = False,
    device: Device = "auto",
) -> None:
    """Edit many pictures alike into a ZIP archive with a table of scores.

    A picture that cannot be edited is noted in the table, and the rest goes on. Ctrl-C stops and
    keeps what was done.
    """
    from tmsa_core.archives import count_entries
    from tmsa_core.batch import BatchOptions, check_output, run_batch
    from tmsa_core.editor import load_editor

    requests = _requests(target, neutral, alpha, levels, threshold)
    options = BatchOptions(inversion, face, aligned, format, notice)
    check_output(output, sources)
    count = count_entries(sources)
    work = run_batch(load_editor(domain, device=device), sources, requests, output, options)
    edited, failed = _drive_batch(work, count)
    print(f"{output}: {edited} edited, {failed} failed")
    if edited + failed < count:
        raise KeyboardInterrupt
    if not edited:
        raise ImageError("None of the pictures could be edited; scores.csv says why for each.")


def _drive_batch(work: Generator[Row], count: int) -> tuple[int, int]:
    """Edit picture by picture with a progress bar: how many were edited, and how many failed.

    Ctrl-C and SIGTERM let the picture under way end, and then the archive is completed.
    """
    from tqdm import tqdm

    from tmsa_core.stop_signals import stop_after_step

    edited = failed = 0
    with (
        stop_after_step() as stop,
        closing(work),
        tqdm(desc="Editing", total=count, leave=False) as bar,
    ):
        while not stop.asked and (row := next(work, None)) is not None:
            bar.update()
            edited += row.status == "edited"
            if row.status == "failed":
                failed += 1
                tqdm.write(f"{row.file}: {row.message}", file=sys.stderr)
    return edited, failed


@app.command(epilog=_example("sample -o portrait.png --seed 3"))
def sample(
    output: Output,
    seed: Annotated[int, typer.Option(help="The same seed gives the same portrait.")] = 0,
    truncation: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="0: the average face; 1: most varied.")
    ] = 0.7,
    domain: DomainKey = "avatar",
    device: Device = "auto",
) -> None:
    """Draw a portrait of nobody."""
    editor = _load(domain, device, output, samples_only=True)
    crop = editor.sample(seed, truncation).crop
    _write(crop, output, editor, [])
    print(f"{output}: seed {seed}, {crop.width} px")


@app.command(epilog=_example("domains"))
def domains() -> None:
    """List the worlds of pictures, what those that cannot be used lack, and where files belong."""
    from tmsa_core.bundles import cache_folder, checkpoints_folder
    from tmsa_core.domains import list_domains, size_words

    for status in list_domains():
        state = "ready" if status.can_edit else f"no edits by text: {status.reason}"
        if not status.available:
            state = f"not available: {status.reason}"
        print(f"{status.key:<8} {status.title:<18} {state}")
        for download in status.missing:
            size = size_words(download.bytes)
            print(f"{'':<8} to download: {download.name}, {size}, {download.licence}")
        for sentence in status.set_aside:
            print(f"{'':<8} {sentence}")
        if status.notice:
            print(f"{'':<8} {status.notice}")
        print(f"{'':<8} files belong in {checkpoints_folder() / status.key}")
    print(f"Downloads, and what is made of them, go to {cache_folder()}")


@app.command(epilog=_example("download ffhq", "download church"))
def download(
    domain: Annotated[str, typer.Argument(help="The domain; see `tmsa domains`.")],
) -> None:
    """Get a domain's weights from the Hugging Face Hub, and check those that are here.

    Whatever is missing, incomplete or damaged is fetched; a broken download goes on where it
    stopped when the command is given again. HF_HUB_OFFLINE and HF_ENDPOINT are respected, and
    TMSA_CACHE says where files go.
    """
    from tmsa_core.bundles import open_bundle
    from tmsa_core.domains import find_domain
    from tmsa_core.supply import complete

    find_domain(domain)
    bundle = open_bundle(domain)
    roles = [role for role, entry in bundle.files.items() if entry.download or entry.sha256]
    if bundle.notice:
        print(bundle.notice)
    with _download_bar() as report:
        complete(bundle, roles, report, thorough=True)
    print(f"{domain}: {len(roles)} files are complete and as they should be")
    for role, entry in bundle.files.items():
        if role not in roles and (problem := bundle.problem(role)):
            print(f"Note: {problem}" if not entry.optional else f"Optional: {problem}")


@app.command(
    epilog=_example(
        "convert e4e e4e_ffhq_encode.pt checkpoints/ffhq",
        "convert hfgi ckpt.pt checkpoints/ffhq",
    )
)
def convert(
    kind: Annotated[str, typer.Argument(help="Its layout: stylegan2, e4e, hfgi or arcface.")],
    file: Annotated[Path, typer.Argument(help="The checkpoint: .pt, .pth or .safetensors.")],
    out_dir: Annotated[Path, typer.Argument(help="Where the .safetensors files go.")],
) -> None:
    """Turn a public checkpoint into safetensors; nothing in it is run."""
    from tmsa_core import convert as conversion

    before = conversion.peak_memory()
    for path in conversion.convert(kind, file, out_dir, progress=sys.stderr.isatty()):
        print(f"{path}: {path.stat().st_size / 1e6:.0f} MB")
    peak = conversion.peak_memory()
    print(f"peak memory {peak / 1e6:.0f} MB, {before / 1e6:.0f} MB of it before the file was read")


for _command, _examples in (
    cli_app.COMMANDS | cli_training.COMMANDS | cli_evaluation.COMMANDS
).items():
    app.command(epilog=_example(*_examples))(_command)


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


def _load(domain: str, device: str, output: Path, samples_only: bool = False) -> Editor:
    from tmsa_core.editor import load_editor
    from tmsa_core.metadata import check_destination

    check_destination(output)
    with _download_bar() as report:
        return load_editor(domain, device=device, report=report, samples_only=samples_only)


@contextmanager
def _download_bar() -> Iterator[Report]:
    """A progress bar per download on standard error, and news above it."""
    from tqdm import tqdm

    bars: dict[str, tqdm] = {}

    def report(sentence: str, done: int, total: int) -> None:
        if not total:
            tqdm.write(f"{sentence}.", file=sys.stderr)
            return
        if sentence not in bars:
            bars[sentence] = tqdm(desc=sentence, total=total, unit="B", unit_scale=True)
        bars[sentence].update(done - bars[sentence].n)

    try:
        yield report
    finally:
        for bar in bars.values():
            bar.close()


def _write(
    image: Image,
    output: Path,
    editor: Editor,
    requests: Sequence[EditRequest],
    inversion: str | None = None,
) -> None:
    """Save a picture with its recipe. inversion: how it was brought in, None where it was drawn."""
    from tmsa_core.metadata import save_picture

    save_picture(image, output, editor.recipe(requests, inversion), edited=inversion is not None)


def _requests(
    targets: Sequence[str],
    neutrals: Sequence[str],
    alphas: Sequence[float],
    levels: Sequence[str],
    thresholds: Sequence[float],
    paste_back: bool = True,
) -> list[EditRequest]:
    """One edit per target text, the other options in the same order, their last value repeated."""
    from tmsa_core.datatypes import EditRequest

    options = {"neutral": neutrals, "alpha": alphas, "levels": levels, "threshold": thresholds}
    for name, values in options.items():
        if len(values) > len(targets):
            raise RequestError(
                f"--{name} is given {len(values)} times and --target {len(targets)} times: give "
                "every edit its own --target."
            )
    return [
        EditRequest(
            _nth(neutrals, i),
            target,
            _nth(alphas, i),
            _levels(_nth(levels, i)),
            _nth(thresholds, i),
            paste_back,
        )
        for i, target in enumerate(targets)
    ]


def _nth(values: Sequence[Value], index: int) -> Value:
    return values[min(index, len(values) - 1)]


def _levels(text: str) -> str | tuple[int, ...]:
    parts = [part.strip() for part in text.split(",")]
    if all(re.fullmatch(r"-?\d{1,9}", part) for part in parts):
        return tuple(int(part) for part in parts)
    if len(parts) > 1:
        raise RequestError(
            f"levels is {quoted(text)}; use all, coarse, medium, fine, or numbers: 0,1,4."
        )
    return text


def _side_by_side(crops: Sequence[Image]) -> Image:
    from PIL import Image as Images

    strip = Images.new("RGB", (sum(c.width for c in crops), max(c.height for c in crops)))
    left = 0
    for crop in crops:
        strip.paste(crop, (left, 0))
        left += crop.width
    return strip


def _note(notes: Sequence[str]) -> None:
    for note in notes:
        print(f"Note: {note}", file=sys.stderr)


def _disk_words(error: OSError) -> str:
    from tmsa_core.safe_files import write_problem

    if error.filename is None:  # not of opening a file, so of writing one
        return write_problem(Path("A file"), error)
    return f"{error.filename}: {error.strerror or error}."


def _complain(message: str, status: int) -> int:
    print(f"Error: {message}", file=sys.stderr)
    return status
