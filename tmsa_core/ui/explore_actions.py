"""The exploring screen: plain functions that compute what each of its parts shows.

All start from the portrait and the texts of the editing screen. The layout is in
``ui_explore_page``.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from tmsa_core.availability import first_inversion
from tmsa_core.datatypes import EditRequest, PreparedFace
from tmsa_core.domains import find_domain
from tmsa_core.editing.editor import Editor
from tmsa_core.errors import ImageError, RequestError, quoted
from tmsa_core.imaging.animation import check_animation_kind, encode_animation, there_and_back
from tmsa_core.imaging.contact_sheet import titled_grid
from tmsa_core.imaging.metadata import annotate
from tmsa_core.server.editors import Editors
from tmsa_core.server.file_leases import Leases
from tmsa_core.server.jobs import CancellationFlags
from tmsa_core.server.samples import Samples
from tmsa_core.ui.edit_values import EditSession
from tmsa_core.ui.latent_map import Point, image_point, spaces_figure, text_point
from tmsa_core.ui.strings import duration
from tmsa_core.validation import number, strengths, whole

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

Progress = Callable[..., Any]
MAX_PROMPTS = 8
MAX_FRAMES = 60
CROWD = 64  # portraits of nobody on the map
MINE = "your portrait"


def _no_progress(*_: Any, **__: Any) -> None:
    """For callers that show none."""


class Explore:
    """What the parts of the screen compute, each in a domain, "" being the first one.

    samples: of the first domain; those of others are made when first asked for.
    """

    def __init__(self, editors: Editors, samples: Samples, leases: Leases) -> None:
        self.editors = editors
        self.samples = samples
        self.leases = leases
        self._samples = {editors.first.domain.key: samples}
        self._crowds: dict[str, list[Point]] = {}
        self._stops = CancellationFlags()

    def strip(
        self,
        session: EditSession | None,
        request: EditRequest,
        first: float,
        last: float,
        steps: int,
        domain: str = "",
    ) -> list[tuple[str, str]]:
        """(file, caption) of the portrait at evenly spaced strengths."""
        session, editor = self._opened(session, domain)
        requests = [
            replace(request, alpha=alpha, paste_back=False)
            for alpha in strengths(first, last, steps)
        ]
        results = editor.edit_many([session.prepared] * len(requests), requests)
        return [
            (
                self._file(session.owner, annotate(r.crop, editor.recipe(r.requests))),
                f"{q.alpha:+g}",
            )
            for q, r in zip(requests, results, strict=True)
        ]

    def grid(
        self,
        session: EditSession | None,
        neutral: str,
        prompts: str,
        portraits: Sequence[str],
        alpha: float,
        domain: str = "",
        progress: Progress = _no_progress,
    ) -> str:
        """A sheet of prompts x portraits; prompts come one a line. The file of the image."""
        editor = self.editors.get(domain)
        targets = [line.strip() for line in prompts.splitlines() if line.strip()]
        if not 1 <= len(targets) <= MAX_PROMPTS:
            raise RequestError(
                f"There are {len(targets)} prompts; write from 1 to {MAX_PROMPTS}, one a line."
            )
        faces = self._faces(session, portraits, editor)
        rows = []
        for i, face in enumerate(faces):
            progress((i, len(faces)), desc="Editing", unit="portraits")
            requests = [EditRequest(neutral, t, alpha, paste_back=False) for t in targets]
            results = editor.edit_many([face] * len(requests), requests)
            rows.append([face.crop, *(result.crop for result in results)])
        sheet = titled_grid(rows, ["portrait", *targets])
        requests = [EditRequest(neutral, target, alpha) for target in targets]
        return self._file(
            session.owner if session else "", annotate(sheet, editor.recipe(requests))
        )

    def morph(
        self,
        session: EditSession | None,
        request: EditRequest,
        first: float,
        last: float,
        frames: int,
        kind: str,
        domain: str = "",
    ) -> str:
        """An animation from one strength to another and back; its file."""
        session, editor = self._opened(session, domain)
        count = whole(frames, "frames")
        if not 2 <= count <= MAX_FRAMES:
            raise RequestError(f"frames is {quoted(frames)}; use from 2 to {MAX_FRAMES}.")
        check_animation_kind(kind)
        step = (number(last, "last") - number(first, "first")) / (count - 1)
        requests = [
            replace(request, alpha=first + step * i, paste_back=False) for i in range(count)
        ]
        results = editor.edit_many([session.prepared] * len(requests), requests)
        crops = [enlarged(result.crop) for result in results]
        path = self.leases.new_folder() / f"tmsa-morph.{kind}"
        path.write_bytes(encode_animation(there_and_back(crops), kind))
        self.leases.take(session.owner, str(path))
        return str(path)

    def draw(self, text: str, strength: float, domain: str = "", owner: str = "") -> str:
        """A portrait from a text alone, G(M(E_T(text))) as in Figure 7; its file."""
        editor = self.editors.get(domain)
        recipe = editor.recipe([]) | {"drawn_from": text, "strength": strength}
        crop = enlarged(editor.draw(text, strength).crop)
        return self._file(owner, annotate(crop, recipe, edited=False))

    def map(
        self,
        session: EditSession | None,
        texts: str,
        method: str,
        domain: str = "",
        progress: Progress = _no_progress,
    ) -> Figure:
        """CLIP's space and W+ side by side, with the visitor's texts and portrait (Figure 8)."""
        editor = self.editors.get(domain)
        points = list(self._crowd(editor, progress))
        points += [text_point(editor, target) for _, target in editor.domain.examples]
        lines = [line.strip() for line in texts.splitlines() if line.strip()][:MAX_PROMPTS]
        points += [text_point(editor, text, "your text") for text in lines]
        if session is not None and session.prepared.domain == editor.domain.key:
            points.append(image_point(editor, MINE, "yours", session.prepared))
        progress(0.9, desc="Drawing the map")
        return spaces_figure(points, method)

    def compare(
        self,
        session: EditSession | None,
        request: EditRequest,
        methods: Sequence[str],
        domain: str = "",
        owner: str = "",
        progress: Progress = _no_progress,
    ) -> Iterator[list[tuple[str, str]]]:
        """(file, caption) per method, one more with every step: the same edit side by side.

        What a method trains is made on the way; ``cancel`` ends that.
        """
        stop = self._stops.of(owner)
        try:
            yield from self._side_by_side(session, request, methods, domain, stop, progress)
        except CancelledError:
            return  # what is shown stays
        finally:
            self._stops.end(owner)

    def _side_by_side(
        self,
        session: EditSession | None,
        request: EditRequest,
        methods: Sequence[str],
        domain: str,
        stop: threading.Event,
        progress: Progress,
    ) -> Iterator[list[tuple[str, str]]]:
        from tmsa_core.baselines import METHODS, Texts, check_methods, open_networks
        from tmsa_core.imaging.images import to_image

        keys = check_methods(methods)
        session, editor = self._opened(session, domain)
        world = open_networks(editor.bundle, parts_folder(editor), editor.device)
        codes = session.prepared.w_plus[None].to(editor.device)
        texts = Texts(request.neutral_text, request.target_text)
        shown = [(session.crop, "portrait"), (session.inversion, "inversion")]
        yield list(shown)
        for key in keys:
            method = METHODS[key]
            tick = ticking(method.title, stop, progress)
            tick(0, 1)
            world = replace(world, tick=tick)
            if method.prepare:
                method.prepare(world)
            if method.prepare_text:
                method.prepare_text(world, texts)
            start = time.perf_counter()
            edit = method.find_edit(world, codes, texts)
            image = edit.apply(world.generator, codes, request.alpha)
            seconds = time.perf_counter() - start
            recipe = editor.recipe([request]) | {"method": key}
            crop = annotate(to_image(image.detach().float().cpu()), recipe)
            shown.append((self._file(session.owner, crop), f"{method.title}, {seconds:.1f} s"))
            yield list(shown)

    def begin(self, owner: str) -> None:
        """Before a comparison waits for its turn: from now on it can be cancelled."""
        self._stops.begin(owner)

    def cancel(self, owner: str) -> bool:
        """End a visitor's comparison at its next step; whether there is one."""
        return self._stops.cancel(owner)

    def _opened(self, session: EditSession | None, domain: str) -> tuple[EditSession, Editor]:
        """The visitor's portrait and its editor; errors where it is of another domain."""
        if session is None:
            raise ImageError("There is no portrait yet: choose one on the Edit screen.")
        here = find_domain(domain or self.editors.first.domain.key)
        other = find_domain(session.prepared.domain)
        if other is not here:
            raise RequestError(
                f"Your portrait is still of the world “{other.title}”: press Edit on the Edit "
                f"screen to bring it into “{here.title}”."
            )
        return session, self.editors.get(here.key)

    def _faces(
        self, session: EditSession | None, portraits: Sequence[str], editor: Editor
    ) -> list[PreparedFace]:
        key = editor.domain.key
        faces = [self._opened(session, key)[0].prepared] if MINE in portraits else []
        if key not in self._samples:
            self._samples[key] = Samples(editor, self.leases)
        samples = self._samples[key]
        how = first_inversion(editor.bundle)
        faces += [samples.prepared(name, how) for name in samples.names if name in portraits]
        if not faces:
            raise RequestError("No portrait is chosen; tick at least one.")
        return faces

    def _crowd(self, editor: Editor, progress: Progress) -> list[Point]:
        """Portraits of nobody, the same for all visitors, drawn once."""
        key = editor.domain.key
        if key not in self._crowds:
            points = []
            for seed in range(CROWD):
                if seed % 8 == 0:
                    progress((seed, CROWD), desc="Drawing portraits", unit="portraits")
                face = editor.sample(seed)
                points.append(image_point(editor, f"portrait {seed}", "portrait", face))
            self._crowds[key] = points
        return self._crowds[key]

    def _file(self, owner: str, image: Image.Image) -> str:
        return self.leases.keep(owner, image)


def ticking(title: str, stop: threading.Event, progress: Progress) -> Callable[[int, int], None]:
    """What a method of the comparison is to call at every step: shows it, and ends when told to."""
    start = time.monotonic()

    def tick(done: int, steps: int) -> None:
        if stop.is_set():
            raise CancelledError
        spent = time.monotonic() - start
        left = f", about {duration(spent / done * (steps - done))} left" if spent > 1 < done else ""
        progress((done, steps), desc=f"{title}{left}", unit="steps")

    return tick


def parts_folder(editor: Editor) -> Path:
    """Where methods of the comparison keep what they train; the command line uses the same."""
    return Path("runs") / editor.domain.key / "baselines"


def enlarged(crop: Image.Image, side: int = 384) -> Image.Image:
    """A small crop, smoothly enlarged, so that it can be looked at on its own."""
    if crop.width >= side:
        return crop
    return crop.resize((side, side), Image.Resampling.BICUBIC)
