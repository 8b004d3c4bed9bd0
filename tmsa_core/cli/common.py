"""Options and helpers that several commands share."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tmsa_core.editing.editor import Editor
    from tmsa_core.weights.download import Report

Source = Annotated[Path, typer.Argument(metavar="IN", help="The image: PNG, JPEG, WebP ...")]
Output = Annotated[
    Path, typer.Option("--output", "-o", metavar="OUT", help="Where to write: .png, .jpg or .webp.")
]
Neutral = Annotated[str, typer.Option(help="What the image shows, such as 'human face'.")]
Target = Annotated[str, typer.Option(help="What it should show: 'human face with glasses'.")]
DomainKey = Annotated[str, typer.Option(help="Which world of images; see `tmsa domains`.")]
Inversion = Annotated[str, typer.Option(help="How the image enters the latent space.")]
FaceIndex = Annotated[int, typer.Option(help="Which face, where there are several; 0 is largest.")]
Aligned = Annotated[bool, typer.Option("--aligned", help="The image is an aligned face already.")]
Device = Annotated[str, typer.Option(help="cpu, cuda, mps, or auto: the best there is.")]
# An option of each of several edits that are applied together; the last value goes for the rest.
NeutralEach = Annotated[list[str], typer.Option(help="What the image shows: 'human face'.")]
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


def load(domain: str, device: str, output: Path, samples_only: bool = False) -> Editor:
    """Load an editor, with download progress, after checking that the output can be written."""
    from tmsa_core.editing.load import load_editor
    from tmsa_core.imaging.metadata import check_destination

    check_destination(output)
    with download_bar() as progress:
        return load_editor(domain, device=device, progress=progress, samples_only=samples_only)


@contextmanager
def download_bar() -> Iterator[Report]:
    """A progress bar per download on standard error, and news above it."""
    from tqdm import tqdm

    bars: dict[str, tqdm] = {}

    def progress(sentence: str, done: int, total: int) -> None:
        if not total:
            tqdm.write(f"{sentence}.", file=sys.stderr)
            return
        if sentence not in bars:
            bars[sentence] = tqdm(desc=sentence, total=total, unit="B", unit_scale=True)
        bars[sentence].update(done - bars[sentence].n)

    try:
        yield progress
    finally:
        for bar in bars.values():
            bar.close()


def print_notes(notes: Sequence[str]) -> None:
    """Print notes on standard error, one per line."""
    for note in notes:
        print(f"Note: {note}", file=sys.stderr)
