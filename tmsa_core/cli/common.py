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
    from tmsa_core.progress import Progress

Source = Annotated[Path, typer.Argument(metavar="IN", help="The image: PNG, JPEG, WebP ...")]
Output = Annotated[
    Path, typer.Option("--output", "-o", metavar="OUT", help="Where to write: .png, .jpg or .webp.")
]
Neutral = Annotated[str, typer.Option(help="Description of the image: 'human face'.")]
Target = Annotated[str, typer.Option(help="Description of the result: 'human face with glasses'.")]
DomainKey = Annotated[str, typer.Option(help="The domain; see `tmsa domains`.")]
Inversion = Annotated[str, typer.Option(help="How the image is inverted: e4e, hfgi or sfe.")]
FaceIndex = Annotated[int, typer.Option(help="Index of the face; 0 is the largest.")]
Aligned = Annotated[bool, typer.Option("--aligned", help="The image is an aligned face already.")]
Device = Annotated[str, typer.Option(help="cpu, cuda, mps, or auto: the best there is.")]
MapperName = Annotated[
    str | None,
    typer.Option(
        "--mapper",
        envvar="TMSA_MAPPER",
        metavar="USER/NAME",
        help="A mapping network on the Hub, or a folder or file, in place of the domain's own.",
    ),
]
# Options that may be repeated, one per edit; the last value serves all further edits.
NeutralEach = Annotated[list[str], typer.Option(help="Description of the image: 'human face'.")]
TargetEach = Annotated[
    list[str],
    typer.Option(
        help="Description of the result: 'human face with glasses'. Repeat it to add edits."
    ),
]
AlphaEach = Annotated[
    list[float], typer.Option(help="Strength of each edit: 1 is the full edit, 0 none.")
]
LevelsEach = Annotated[
    list[str], typer.Option(help="Levels to edit: all, coarse, medium, fine, or 0,1,4.")
]
ThresholdEach = Annotated[
    list[float],
    typer.Option(help="Share of the shift's smallest components to drop, 0 to below 1."),
]
RegionEach = Annotated[
    list[str],
    typer.Option(
        metavar="NAMES|FILE",
        help="Where the image may change: face, eyes, brows, mouth, beard, hair, skin, "
        "background, several with commas; or an image file, white where it may change.",
    ),
]


def load(
    domain: str, device: str, output: Path, samples_only: bool = False, mapper: str | None = None
) -> Editor:
    """Check that the output can be written, then load an editor and show its downloads.

    Args:
        domain: Key of the domain.
        device: Where the networks run.
        output: The image that the command writes.
        samples_only: Load the generator only.
        mapper: Name of the mapping network, None for the domain's own.

    Returns:
        The editor.

    Raises:
        TmsaError: If the output cannot be written or the networks cannot be loaded.
    """
    from tmsa_core.editing.load import load_editor
    from tmsa_core.imaging.metadata import check_destination

    check_destination(output)
    with progress_bars() as progress:
        return load_editor(
            domain, device=device, progress=progress, samples_only=samples_only, mapper=mapper
        )


@contextmanager
def progress_bars() -> Iterator[Progress]:
    """Show each message on standard error: with a bar if it has a total, above the bars if not.

    Yields:
        The callback that receives the messages.
    """
    from tqdm import tqdm

    bars: dict[str, tqdm] = {}

    def progress(done: int, total: int, message: str) -> None:
        if not total:
            tqdm.write(f"{message}.", file=sys.stderr)
            return
        if message not in bars:
            bars[message] = tqdm(desc=message, total=total, unit="B", unit_scale=True)
        bars[message].update(done - bars[message].n)

    try:
        yield progress
    finally:
        for bar in bars.values():
            bar.close()


def print_notes(notes: Sequence[str]) -> None:
    """Print notes on standard error, one per line."""
    for note in notes:
        print(f"Note: {note}", file=sys.stderr)
