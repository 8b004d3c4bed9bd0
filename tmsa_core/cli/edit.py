"""Commands that edit images: ``edit``, ``sweep``, ``align``, ``batch`` and ``sample``.

Exit status: 0 success, 1 failure, 2 wrong usage. Results go to standard output, notes and errors
to standard error, an error in one sentence. Each command imports the heavy modules that it needs,
so ``--help`` answers at once.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tmsa_core.cli.common import (
    Aligned,
    AlphaEach,
    Device,
    DomainKey,
    FaceIndex,
    Inversion,
    LevelsEach,
    MapperName,
    Neutral,
    NeutralEach,
    Output,
    RegionEach,
    Source,
    Target,
    TargetEach,
    ThresholdEach,
    load,
    print_notes,
    progress_bars,
)
from tmsa_core.errors import ImageError, RequestError
from tmsa_core.imaging.contact_sheet import contact_sheet

if TYPE_CHECKING:
    from PIL.Image import Image

    from tmsa_core.datatypes import EditRequest
    from tmsa_core.editing.batch import Row
    from tmsa_core.editing.editor import Editor


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
    region: RegionEach = ("",),
    crop_only: Annotated[bool, typer.Option("--crop-only", help="Write the crop alone.")] = False,
    aligned: Aligned = False,
    mapper: MapperName = None,
    device: Device = "auto",
) -> None:
    """Edit the face in an image by a pair of prompts, or by several pairs at once."""
    each = {"neutral": neutral, "alpha": alpha, "levels": levels, "threshold": threshold}
    requests = _requests(target, each | {"region": region}, paste_back=not crop_only)
    editor = load(domain, device, output, mapper=mapper)
    prepared = editor.prepare(source, inversion=inversion, face=face, aligned=aligned)
    result = editor.edit(prepared, requests)
    _save(result.image, output, editor, requests, inversion)
    print_notes(result.notes)
    seconds = sum(prepared.timings.values()) + sum(result.timings.values())
    print(f"{output}: edited in {seconds:.2f} s")


def sweep(
    source: Source,
    output: Output,
    target: Target,
    neutral: Neutral = "human face",
    first: Annotated[float, typer.Option("--from", help="The first strength.")] = -1.0,
    last: Annotated[float, typer.Option("--to", help="The last strength.")] = 2.0,
    steps: Annotated[int, typer.Option(min=2, max=50, help="Number of strengths.")] = 7,
    domain: DomainKey = "avatar",
    inversion: Inversion = "e4e",
    face: FaceIndex = 0,
    aligned: Aligned = False,
    mapper: MapperName = None,
    device: Device = "auto",
) -> None:
    """Write a strip of the same edit at evenly spaced strengths."""
    from tqdm import tqdm

    from tmsa_core.datatypes import EditRequest

    editor = load(domain, device, output, mapper=mapper)
    alphas = [first + (last - first) * i / (steps - 1) for i in range(steps)]
    requests = [EditRequest(neutral, target, alpha, paste_back=False) for alpha in alphas]
    for request in requests:
        editor.total_shift([request])  # refuses a bad request before the long work
    prepared = editor.prepare(source, inversion=inversion, face=face, aligned=aligned)
    results = [editor.edit(prepared, r) for r in tqdm(requests, "Editing", leave=False)]
    strip = contact_sheet([[result.crop for result in results]], gap=0)
    _save(strip, output, editor, requests, inversion)
    print_notes(results[0].notes)
    print(f"{output}: strengths {', '.join(f'{alpha:g}' for alpha in alphas)}")


def align(
    source: Source, output: Output, face: FaceIndex = 0, domain: DomainKey = "avatar",
    device: Device = "auto",
) -> None:  # fmt: skip
    """Find the faces in an image, list them, and write the upright crop of one."""
    from tmsa_core.devices import find_device
    from tmsa_core.editing.load import load_aligner
    from tmsa_core.imaging.metadata import check_destination, save_image

    check_destination(output)
    find_device(device)
    with progress_bars() as progress:
        found = load_aligner(domain, progress=progress).align(source, face)
    save_image(found.crop, output)
    print(f"{output}: face {face} of {len(found.faces)}, {found.crop.width} px")
    for number, one in enumerate(found.faces):
        box = ", ".join(f"{edge:.0f}" for edge in one.box)
        print(f"face {number}: left, top, right, bottom = {box}")


def batch(
    sources: Annotated[
        list[Path], typer.Argument(metavar="IN...", help="Folders, ZIP archives or images.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="OUT", help="The ZIP archive to write.")
    ],
    target: TargetEach,
    neutral: NeutralEach = ("human face",),
    alpha: AlphaEach = (1.0,),
    format: Annotated[str, typer.Option(help="Of the images: png, jpg or webp.")] = "png",
    notice: Annotated[bool, typer.Option("--notice", help="Add a visible watermark.")] = (False),
    domain: DomainKey = "avatar",
    inversion: Inversion = "e4e",
    face: FaceIndex = 0,
    levels: LevelsEach = ("all",),
    threshold: ThresholdEach = (0.0,),
    region: RegionEach = ("",),
    aligned: Aligned = False,
    mapper: MapperName = None,
    device: Device = "auto",
) -> None:
    """Apply the same edits to many images; writes a ZIP archive with a table of scores.

    An image that cannot be edited is noted in the table, and the work continues. Ctrl-C stops it
    and keeps the finished images.
    """
    from tmsa_core.editing.archives import count_entries
    from tmsa_core.editing.batch import BatchOptions, check_output, run_batch
    from tmsa_core.editing.load import load_editor

    each = {"neutral": neutral, "alpha": alpha, "levels": levels, "threshold": threshold}
    requests = _requests(target, each | {"region": region})
    options = BatchOptions(inversion, face, aligned, format, notice)
    check_output(output, sources)
    count = count_entries(sources)
    work = run_batch(
        load_editor(domain, device=device, mapper=mapper), sources, requests, output, options
    )
    edited, failed = _drive_batch(work, count)
    print(f"{output}: {edited} edited, {failed} failed")
    if edited + failed < count:
        raise KeyboardInterrupt
    if not edited:
        raise ImageError("None of the images could be edited; scores.csv says why for each.")


def _drive_batch(work: Generator[Row], count: int) -> tuple[int, int]:
    """Edit image by image with a progress bar; returns the numbers of edited and failed images.

    After Ctrl-C or SIGTERM the present image is finished, and then the archive is completed.
    """
    from tqdm import tqdm

    from tmsa_core.training.stop_signals import stop_after_step

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


def sample(
    output: Output,
    seed: Annotated[int, typer.Option(help="The same seed gives the same portrait.")] = 0,
    truncation: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="0: the average face; 1: most varied.")
    ] = 0.7,
    domain: DomainKey = "avatar",
    device: Device = "auto",
) -> None:
    """Generate a random portrait."""
    editor = load(domain, device, output, samples_only=True)
    crop = editor.sample(seed, truncation).crop
    _save(crop, output, editor, [])
    print(f"{output}: seed {seed}, {crop.width} px")


COMMANDS: dict[Callable[..., Any], tuple[str, ...]] = {
    edit: (
        "edit in.png -o out.png --neutral 'human face' --target 'human face with glasses'",
        "edit in.png -o out.png --target 'smiling human face' --alpha 1.5 --crop-only",
        "edit in.png -o out.png --target 'old human face' --alpha 0.5 "
        "--target 'human face with glasses' --alpha 1",
        "edit in.png -o out.png --target 'human face with red hair' --region hair",
    ),
    sweep: ("sweep in.png -o strip.png --target 'old human face' --from -1 --to 2 --steps 7",),
    align: (
        "align photo.jpg -o crop.png",
        "align group.jpg -o second.png --face 1",
    ),
    batch: (
        "batch portraits/ -o edited.zip --target 'human face with glasses'",
        "batch one.png more.zip -o edited.zip --target 'smiling human face' --format jpg",
    ),
    sample: ("sample -o portrait.png --seed 3",),
}


def _save(
    image: Image,
    output: Path,
    editor: Editor,
    requests: Sequence[EditRequest],
    inversion: str | None = None,
) -> None:
    """Save an image with its recipe. A sample has no inversion."""
    from tmsa_core.imaging.metadata import save_image

    save_image(image, output, editor.recipe(requests, inversion), edited=inversion is not None)


def _requests(
    targets: Sequence[str], options: Mapping[str, Sequence[Any]], paste_back: bool = True
) -> list[EditRequest]:
    """One edit per target; the other options follow in order, and their last value repeats."""
    from tmsa_core.datatypes import EditRequest
    from tmsa_core.validation import parse_levels

    columns: dict[str, list[Any]] = {}
    for name, values in options.items():
        missing = len(targets) - len(values)
        if missing < 0:
            raise RequestError(
                f"--{name} is given {len(values)} times and --target {len(targets)} times: give "
                "every edit its own --target."
            )
        columns[name] = [*values, *[values[-1]] * missing]
    edits = [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]
    return [
        EditRequest(
            one["neutral"],
            target,
            one["alpha"],
            parse_levels(one["levels"]),
            one["threshold"],
            paste_back,
            _region(one["region"]),
        )
        for target, one in zip(targets, edits, strict=True)
    ]


def _region(text: str) -> str:
    """A region of the command line: names, or the path of a mask."""
    from tmsa_core.align.regions import region_text

    return region_text(Path(text) if Path(text).suffix else text)
