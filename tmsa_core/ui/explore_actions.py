"""Actions of the Explore tab: each tool computes the files or the figure that it shows.

All raise a TmsaError if there is no portrait or an input is invalid. The comparison of methods
is in ``method_comparison``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from tmsa_core.availability import first_inversion
from tmsa_core.datatypes import EditRequest, PreparedFace
from tmsa_core.domains import find_domain
from tmsa_core.editing.editor import Editor
from tmsa_core.errors import ImageError, RequestError, quoted
from tmsa_core.imaging.animation import check_animation_kind, encode_animation, there_and_back
from tmsa_core.imaging.contact_sheet import TILE, contact_sheet
from tmsa_core.imaging.metadata import annotate
from tmsa_core.server.editors import Editors
from tmsa_core.server.file_leases import Leases
from tmsa_core.server.jobs import CancellationFlags
from tmsa_core.server.samples import Samples
from tmsa_core.ui.edit_values import EditSession
from tmsa_core.ui.latent_map import Point, image_point, map_figure, random_points, text_point
from tmsa_core.ui.widgets import Progress, no_progress
from tmsa_core.validation import number, strengths, whole

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

MAX_PROMPTS = 8  # of a grid and of a map
MAX_FRAMES = 60  # of a morph in one direction
MIN_SHOWN_SIDE = 384  # px; smaller crops are enlarged to this side
OWN_PORTRAIT = "your portrait"


@dataclass(frozen=True)
class ExploreContext:
    """What the tools share between all visitors.

    Attributes:
        editors: The editors of all domains.
        leases: The registry of the files that pages show.
        work: Folder for what baseline methods train, with a subfolder for each domain.
        samples: Sample portraits by domain key; filled when a domain is first used.
        map_points: Random portraits of the latent map by domain key; filled in the same way.
        comparisons: Cancellation flags of the running comparisons of methods.
    """

    editors: Editors
    leases: Leases
    work: Path
    samples: dict[str, Samples] = field(default_factory=dict)
    map_points: dict[str, list[Point]] = field(default_factory=dict)
    comparisons: CancellationFlags = field(default_factory=CancellationFlags)

    def samples_of(self, editor: Editor) -> Samples:
        """Return the sample portraits of an editor's domain."""
        key = editor.domain.key
        if key not in self.samples:
            self.samples[key] = Samples(editor, self.leases)
        return self.samples[key]


@dataclass(frozen=True)
class ExploreInputs:
    """What every tool reads from the page.

    Attributes:
        session: The visitor's portrait on the Edit tab; None before there is one.
        request: The texts of the Edit tab, and the strength where the tool has one.
        domain: Key of the chosen domain; "" is the first one.
        owner: Session of the visitor, who alone gets the files.
        progress: Shows how far a slow tool is.
    """

    session: EditSession | None
    request: EditRequest
    domain: str = ""
    owner: str = ""
    progress: Progress = no_progress


def open_portrait(context: ExploreContext, inputs: ExploreInputs) -> tuple[EditSession, Editor]:
    """Return the visitor's portrait and the editor of the chosen domain.

    Raises:
        ImageError: There is no portrait yet.
        RequestError: The portrait belongs to another domain.
    """
    if inputs.session is None:
        raise ImageError("There is no portrait yet: choose one on the Edit tab.")
    chosen = find_domain(inputs.domain or context.editors.first.domain.key)
    own = find_domain(inputs.session.prepared.domain)
    if own is not chosen:
        raise RequestError(
            f"Your portrait still belongs to “{own.title}”: press Edit on the Edit tab to bring "
            f"it into “{chosen.title}”."
        )
    return inputs.session, context.editors.get(chosen.key)


def show_strengths(
    context: ExploreContext, inputs: ExploreInputs, first: float, last: float, count: int
) -> list[tuple[str, str]]:
    """Edit the portrait at evenly spaced strengths; return (file, caption) of each image."""
    session, editor = open_portrait(context, inputs)
    images = []
    alphas = strengths(first, last, count)
    for request, crop in _edit_at(editor, session.prepared, inputs.request, alphas):
        image = annotate(crop, editor.recipe([request]))
        images.append((context.leases.keep(inputs.owner, image), f"{request.alpha:+g}"))
    return images


def make_grid(
    context: ExploreContext,
    inputs: ExploreInputs,
    prompts: str,
    portraits: Sequence[str],
    alpha: float,
) -> str:
    """Edit several portraits by several prompts.

    Args:
        context: What the tools share.
        inputs: The visitor's portrait and neutral text.
        prompts: Target texts, one per line.
        portraits: Names of samples, or ``OWN_PORTRAIT``.
        alpha: Strength of all edits.

    Returns:
        The file of a sheet with a row per portrait and a column per prompt.
    """
    editor = context.editors.get(inputs.domain)
    targets = _lines(prompts)
    if not 1 <= len(targets) <= MAX_PROMPTS:
        raise RequestError(
            f"There are {len(targets)} prompts; write from 1 to {MAX_PROMPTS}, one per line."
        )
    faces = _grid_faces(context, inputs, portraits, editor)
    neutral = inputs.request.neutral_text
    requests = [EditRequest(neutral, target, alpha, paste_back=False) for target in targets]
    rows = []
    for i, face in enumerate(faces):
        inputs.progress((i, len(faces)), desc="Editing", unit="portraits")
        results = editor.edit_many([face] * len(requests), requests)
        rows.append([face.crop, *(result.crop for result in results)])
    sheet = contact_sheet(rows, ["portrait", *targets], tile=TILE)
    return context.leases.keep(inputs.owner, annotate(sheet, editor.recipe(requests)))


def make_morph(
    context: ExploreContext,
    inputs: ExploreInputs,
    first: float,
    last: float,
    frames: int,
    kind: str,
) -> str:
    """Animate the edit from one strength to another and back.

    Args:
        context: What the tools share.
        inputs: The visitor's portrait and edit.
        first: Strength of the first frame.
        last: Strength of the frame at which the animation turns back.
        frames: Frames in one direction.
        kind: "gif", "webp" or "mp4".

    Returns:
        The file of the animation.
    """
    session, editor = open_portrait(context, inputs)
    count = whole(frames, "frames")
    if not 2 <= count <= MAX_FRAMES:
        raise RequestError(f"frames is {quoted(frames)}; use from 2 to {MAX_FRAMES}.")
    check_animation_kind(kind)
    step = (number(last, "last") - number(first, "first")) / (count - 1)
    alphas = [first + step * i for i in range(count)]
    edits = _edit_at(editor, session.prepared, inputs.request, alphas)
    animation = encode_animation(there_and_back([enlarge(crop) for _, crop in edits]), kind)
    path = context.leases.new_folder() / f"tmsa-morph.{kind}"
    path.write_bytes(animation)
    context.leases.take(inputs.owner, str(path))
    return str(path)


def draw_from_text(context: ExploreContext, inputs: ExploreInputs, text: str, alpha: float) -> str:
    """Generate a portrait from a text alone, G(M(E_T(text))) as in Figure 7.

    Returns:
        The file of the portrait; strength 0 gives the average face.
    """
    editor = context.editors.get(inputs.domain)
    recipe = editor.recipe([]) | {"drawn_from": text, "strength": alpha}
    crop = enlarge(editor.draw(text, alpha).crop)
    return context.leases.keep(inputs.owner, annotate(crop, recipe, edited=False))


def make_map(context: ExploreContext, inputs: ExploreInputs, texts: str, method: str) -> Figure:
    """Map CLIP's space and W+ next to each other (Figure 8).

    Args:
        context: What the tools share.
        inputs: The visitor's portrait, shown if it belongs to the chosen domain.
        texts: The visitor's own texts, one per line.
        method: One of ``latent_map.METHODS``.

    Returns:
        The figure.
    """
    editor = context.editors.get(inputs.domain)
    key = editor.domain.key
    if key not in context.map_points:
        context.map_points[key] = random_points(editor, inputs.progress)
    points = list(context.map_points[key])
    points += [text_point(editor, target) for _, target in editor.domain.examples]
    points += [text_point(editor, text, "your text") for text in _lines(texts)[:MAX_PROMPTS]]
    if inputs.session is not None and inputs.session.prepared.domain == key:
        points.append(image_point(editor, OWN_PORTRAIT, OWN_PORTRAIT, inputs.session.prepared))
    inputs.progress(0.9, desc="Drawing the map")
    return map_figure(points, method)


def enlarge(crop: Image.Image) -> Image.Image:
    """Enlarge a small crop smoothly to ``MIN_SHOWN_SIDE``."""
    if crop.width >= MIN_SHOWN_SIDE:
        return crop
    return crop.resize((MIN_SHOWN_SIDE, MIN_SHOWN_SIDE), Image.Resampling.BICUBIC)


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _edit_at(
    editor: Editor, face: PreparedFace, request: EditRequest, alphas: Sequence[float]
) -> list[tuple[EditRequest, Image.Image]]:
    """Return the request and the edited crop of a face at each strength."""
    requests = [replace(request, alpha=alpha, paste_back=False) for alpha in alphas]
    results = editor.edit_many([face] * len(requests), requests)
    return list(zip(requests, (result.crop for result in results), strict=True))


def _grid_faces(
    context: ExploreContext, inputs: ExploreInputs, portraits: Sequence[str], editor: Editor
) -> list[PreparedFace]:
    """Prepare the ticked portraits: the visitor's own one first, then the samples in order."""
    faces = []
    if OWN_PORTRAIT in portraits:
        faces.append(open_portrait(context, inputs)[0].prepared)
    samples, inversion = context.samples_of(editor), first_inversion(editor.bundle)
    faces += [samples.prepared(name, inversion) for name in samples.names if name in portraits]
    if not faces:
        raise RequestError("No portrait is chosen; tick at least one.")
    return faces
