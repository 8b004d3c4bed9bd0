"""What happens on the editing screen: plain functions from values to values.

Nothing of a visitor is kept here between calls. What belongs to a visitor, a ``EditSession`` and a
``History``, is held by the page in that visitor's own session state and handed in again; the
files that show it are noted in ``Leases`` and deleted when the visitor leaves.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypedDict

import gradio as gr
from gradio.components.imageslider import SliderData
from gradio.data_classes import ImageData
from PIL.Image import Image

from tmsa_core.align.crop import align_crop
from tmsa_core.availability import list_domains
from tmsa_core.datatypes import EditRequest, EditResult, PreparedFace
from tmsa_core.editing.editor import Editor
from tmsa_core.errors import ImageError, RequestError, TmsaError, quoted
from tmsa_core.imaging.metadata import (
    add_watermark,
    annotate,
    check_destination,
    encode_image,
    read_recipe,
    save_image,
)
from tmsa_core.server.editors import Editors
from tmsa_core.server.events import as_gradio_error
from tmsa_core.server.file_leases import NOT_SENT, Leases
from tmsa_core.server.files import data_url, shown
from tmsa_core.server.messages import inform, plain_markdown, warn
from tmsa_core.server.samples import Samples
from tmsa_core.ui.edit_stack import History, Stack, new_history
from tmsa_core.ui.html import faces_html, scores_html, stack_html, times
from tmsa_core.ui.links import STRENGTHS, Setting, from_query, from_recipe, to_query, within_page
from tmsa_core.validation import parse_levels, whole

RANDOM_SEEDS = 1_000_000


@dataclass(frozen=True)
class EditControls:
    """The controls of the editing screen as they stand.

    image: the file in the input. whole: give the whole image and not the crop. notice: write
    on the image that it is edited. arrived: the page has its first image; until then, no
    image means that one.
    """

    image: str | None = None
    neutral_text: str = ""
    target_text: str = ""
    alpha: float = 1.0
    levels: str = "all"
    threshold: float = 0.0
    whole: bool = True
    notice: bool = True
    aligned: bool = False
    inversion: str = "e4e"
    domain: str = ""
    arrived: bool = True

    @property
    def request(self) -> EditRequest:
        """The edit that the controls ask for."""
        levels = parse_levels(self.levels)
        return EditRequest(
            self.neutral_text or "", self.target_text or "", self.alpha, levels, self.threshold
        )


@dataclass(frozen=True)
class EditSession:
    """One visitor's portrait. owner: the session. source: the file it was prepared from.

    photo, crop and inversion: the files that show it. seed, sample: which portrait it is, where
    it is one of ours.
    """

    owner: str
    source: str
    prepared: PreparedFace
    photo: str
    crop: str
    inversion: str
    aligned: bool = False
    seed: int | None = None
    sample: str | None = None


class PageUpdate(TypedDict, total=False):
    """What an action changes on the page, by the part's name; others keep what is there."""

    session: Any
    history: Any
    domain: Any
    inversion: Any
    image: Any
    seed: Any
    neutral: Any
    target: Any
    alpha: Any
    levels: Any
    threshold: Any
    before_after: Any
    faces: Any
    crop: Any
    inversion_image: Any
    notes: Any
    scores: Any
    stack: Any
    undo: Any
    redo: Any


Progress = Callable[..., Any]


class EditActions:
    """The actions of the editing screen."""

    def __init__(self, editors: Editors, samples: Samples, leases: Leases) -> None:
        self.editors = editors
        self.samples = samples
        self.leases = leases

    def edit(
        self,
        session: EditSession | None,
        history: History,
        wishes: EditControls,
        owner: str = "",
        progress: Progress = lambda *_, **__: None,
        how: Literal["apply", "add", "open"] = "apply",
    ) -> Iterator[PageUpdate]:
        """Edit the image by the texts in the controls.

        A new image is prepared first and shown at once. how: "apply" puts the controls' edit in
        the place of the chosen one, "add" adds it to the stack, "open" leaves edits that are
        switched off as they are.
        """
        try:
            if session is None or not _fits(session, wishes):
                progress(0.1, desc="Finding and aligning the face")
                session = self._open(wishes, owner, session)
                yield _portrait(session)
            stack = history.now
            if how == "add":
                history = history.with_alpha(wishes.alpha)  # whose report may still be on its way
                stack = history.now.add(wishes.request)
            elif how == "apply" or stack.layers[stack.chosen].on:
                stack = stack.with_request(wishes.request)
            progress(0.6, desc="Editing")
            yield from self._rendered(session, history.do(stack), wishes)
        except TmsaError as error:
            yield _failed(session, wishes, error)
            raise as_gradio_error(error) from error

    def strength(
        self,
        session: EditSession | None,
        history: History,
        wishes: EditControls,
        index: int | None = None,
        count: int | None = None,
    ) -> Iterator[PageUpdate]:
        """An edit at another strength; a drag is one step of the history.

        index, count: which edit of how many was chosen when the hand came to rest, the chosen one
        if not given. Where the stack has another number by now, nothing is changed.
        """
        if session is None or count not in (None, len(history.now.layers)):
            return
        changed = history.with_alpha(wishes.alpha, index)
        if changed is not history:
            yield from self._rendered(session, changed, wishes)

    def preview(
        self, session: EditSession | None, history: History, wishes: EditControls
    ) -> PageUpdate:
        """The image of another strength while the hand moves; no step of the history.

        It travels inside the answer, quickly encoded, recipe included, without scores. All else,
        and what is wrong with a strength, comes from ``strength`` when the hand rests. Empty where
        that has already been.
        """
        moved = history.with_alpha(wishes.alpha)
        if session is None or moved is history:
            return PageUpdate()
        try:
            result = self._result(session, moved.now, wishes)
        except TmsaError:
            return PageUpdate()
        image = _marked(shown(result.image), wishes)
        recipe = self.recipe(session, moved)
        drawn = session.prepared.inversion == "sample"
        after = ImageData(url=data_url(encode_image(image, recipe, not drawn, ".jpg")))
        before = ImageData(path=self._before(session, wishes))
        return PageUpdate(before_after=SliderData(root=(before, after)))

    def act(
        self,
        session: EditSession | None,
        history: History,
        wishes: EditControls,
        action: str,
        index: int = 0,
        count: int | None = None,
    ) -> Iterator[PageUpdate]:
        """A button of the stack: choose, toggle, up, down, remove, undo or redo.

        count: how many edits the page showed when the button was pressed. Where the stack has
        another number by now, the press meant another list, and only shows this one.
        """
        before = history
        if count is not None and count != len(history.now.layers):
            yield controls(history.now.request) | stack_update(history)
            return
        if action == "undo":
            history = history.undo()
        elif action == "redo":
            history = history.redo()
        elif action == "choose":  # looking at another edit is no step to be undone
            history = replace(history, now=history.now.choose(index), kind="")
        else:
            history = history.do(history.now.act(action, index))
        yield controls(history.now.request) | stack_update(history)
        if session is not None and history.now.active != before.now.active:
            yield from self._rendered(session, history, wishes)

    def face(
        self, session: EditSession | None, history: History, wishes: EditControls, index: int
    ) -> Iterator[PageUpdate]:
        """Edit another face of the same image."""
        if session is None or not 0 <= index < len(session.prepared.faces):
            raise RequestError("That face is no longer there; load the image again.")
        editor = self.editors.get(session.prepared.domain)
        prepared = prepare_other_face(editor, session.prepared, index)
        session = self._new_visit(session.owner, session.source, prepared)
        yield _portrait(session)
        yield from self._rendered(session, history, wishes)

    def view(
        self, session: EditSession | None, history: History, wishes: EditControls
    ) -> Iterator[PageUpdate]:
        """The same edits shown anew: whole or as a crop, with or without the notice."""
        if session is not None:
            yield from self._rendered(session, history, wishes)

    def choose_sample(self, index: int) -> str:
        """The file of a sample portrait, for the next edit to open like any image."""
        return self.samples.file(self.samples.names[index])

    def portrait(self, seed: float | None, owner: str = "", domain: str = "") -> PageUpdate:
        """Draw the portrait of a seed; the next edit goes on from it."""
        number = whole(seed or 0, "seed")
        prepared = self.editors.get(domain).sample(number)
        source = self.leases.keep(owner, prepared.crop)
        session = self._new_visit(owner, source, prepared, seed=number)
        return _portrait(session) | PageUpdate(image=session.source, seed=number)

    def random(self, owner: str = "", domain: str = "") -> PageUpdate:
        """Draw any portrait."""
        return self.portrait(secrets.randbelow(RANDOM_SEEDS), owner, domain)

    def restore(self, image: str | None, owner: str = "") -> PageUpdate:
        """Where an image carries a recipe of ours, set the page as it says.

        Its portrait is drawn anew where the recipe names one of ours. Otherwise the image
        itself is taken, with its edits switched off, as it already shows them. A recipe that
        cannot be followed leaves the page as it is, and the image is one like any other.
        """
        if image is not None:
            self.leases.take(owner, image)
        recipe = _recipe_in(image)
        if recipe is None:
            return PageUpdate()
        try:
            setting = from_recipe(recipe)
            if setting.seed is None and not self._is_here(setting.domain):
                setting = replace(setting, domain="", inversion="")  # the image is here, at least
            screen = self.setting(setting, owner)
        except TmsaError as error:
            warn(f"The recipe inside the image could not be followed. {error}")
            return PageUpdate()
        if "image" in screen or "history" not in screen:
            return screen
        history = screen["history"]
        for i in range(len(history.now.layers)):
            history = replace(history, now=history.now.toggle(i))
        return screen | stack_update(history)

    def setting(self, setting: Setting, owner: str = "") -> PageUpdate:
        """The page as a link or a recipe says: its edits, world and inversion, and its portrait.

        Raises RequestError for a world that cannot be used here; nothing is downloaded for a link.
        """
        screen = PageUpdate()
        if not self._is_here(setting.domain):
            raise RequestError(
                f"The world {quoted(setting.domain)} is not here; choose a world in the list to "
                "see what it lacks."
            )
        if setting.domain:
            screen["domain"] = setting.domain
        if setting.inversion in self.editors.get(setting.domain).inversions:
            screen["inversion"] = setting.inversion
        if setting.edits:
            edits = tuple(map(within_page, setting.edits))
            if edits != setting.edits:
                inform("What lay beyond the ends of a slider, {:g} and {:g} for the strength, was "
                        "brought to its end.".format(*STRENGTHS))  # fmt: skip
            history = new_history(edits)
            screen |= controls(history.now.request) | stack_update(history)
        if setting.seed is not None:
            screen |= self.portrait(setting.seed, owner, setting.domain)
        elif setting.sample in self.samples.names:
            screen["image"] = self.samples.file(setting.sample)
        return screen

    def arrive(self, query: Iterable[tuple[str, str]], owner: str = "") -> PageUpdate:
        """A visitor opens the page: the first sample, or what the link says."""
        start = PageUpdate(image=self.choose_sample(0))
        try:
            return start | self.setting(from_query(query), owner)
        except TmsaError as error:
            warn(f"The link could not be followed. {error}")
            return start

    def link(self, session: EditSession | None, history: History) -> str:
        """The query of a link that brings these settings back; never the image."""
        setting = Setting(history.now.active)
        if session is not None:
            prepared = session.prepared
            inversion = "" if prepared.inversion == "sample" else prepared.inversion
            setting = Setting(
                history.now.active, prepared.domain, inversion, session.seed, session.sample
            )
        return to_query(setting)

    def download(
        self, session: EditSession | None, history: History, wishes: EditControls, kind: str = "png"
    ) -> str:
        """Write the edited image at full size, with its recipe; the file's path."""
        if session is None or not history.now.active:
            raise RequestError("There is no edited image yet; press Edit first.")
        folder = self.leases.new_folder()
        check_destination(folder / f"image.{kind}")
        result = self._result(session, history.now, wishes)
        path = folder / download_name(history.now.active, kind)
        drawn = session.prepared.inversion == "sample"
        save_image(_marked(result.image, wishes), path, self.recipe(session, history), not drawn)
        self.leases.take(session.owner, str(path))
        return str(path)

    def recipe(self, session: EditSession, history: History) -> dict[str, object]:
        """What made the visitor's image, its portrait included where that is one of ours."""
        recipe = self.editors.get(session.prepared.domain).recipe(history.now.active)
        ours = {"seed": session.seed, "sample": session.sample}
        if session.seed is None:  # or there was nothing to invert
            ours["inversion"] = session.prepared.inversion
        return recipe | {key: value for key, value in ours.items() if value is not None}

    def _is_here(self, domain: str) -> bool:
        if domain in ("", self.editors.first.domain.key):
            return True
        return any(status.key == domain and status.available for status in list_domains())

    def _open(self, wishes: EditControls, owner: str, last: EditSession | None) -> EditSession:
        """Prepare the image in the input; samples and drawn portraits are known already."""
        image = wishes.image
        if image is None and not wishes.arrived:
            image = self.choose_sample(0)
        if image is None:
            raise ImageError("There is no image yet; drop one, or pick a sample portrait.")
        if not Path(image).exists():
            raise ImageError(NOT_SENT)
        editor = self.editors.get(wishes.domain)
        sample = self.samples.named(image) if editor is self.editors.first else None
        if sample is not None and not wishes.aligned:
            prepared = self.samples.prepared(sample, wishes.inversion)
            return self._new_visit(owner, image, prepared, sample=sample)
        drawn = last is not None and last.source == image and last.seed is not None
        prepared = editor.prepare(image, wishes.inversion, aligned=wishes.aligned or drawn)
        session = self._new_visit(owner, image, prepared, seed=last.seed if drawn else None)
        return replace(session, aligned=wishes.aligned)

    def _new_visit(
        self,
        owner: str,
        source: str,
        prepared: PreparedFace,
        seed: int | None = None,
        sample: str | None = None,
    ) -> EditSession:
        images = (shown(prepared.photo), prepared.crop, prepared.inversion_crop)
        files = [self.leases.keep(owner, image) for image in images]
        self.leases.take(owner, *([] if sample else [source]))
        return EditSession(owner, source, prepared, *files, seed=seed, sample=sample)

    def _before(self, session: EditSession, wishes: EditControls) -> str:
        """The file of the image as it was, written again where it was cleared away."""
        path = session.photo if wishes.whole else session.crop
        try:
            return self.leases.refresh(path)
        except FileNotFoundError:
            image = shown(session.prepared.photo) if wishes.whole else session.prepared.crop
            return self.leases.keep(session.owner, image)

    def _result(self, session: EditSession, stack: Stack, wishes: EditControls) -> EditResult:
        requests = [replace(r, paste_back=wishes.whole) for r in stack.active]
        return self.editors.get(session.prepared.domain).edit(session.prepared, requests)

    def _rendered(
        self, session: EditSession, history: History, wishes: EditControls
    ) -> Iterator[PageUpdate]:
        """The edited image first, its scores after it."""
        before = self._before(session, wishes)
        screen = PageUpdate(session=session, history=history, before_after=(before, before))
        screen |= stack_update(history)
        if not history.now.active:
            notes = "No edit is switched on, so this is the image as it was."
            yield screen | PageUpdate(notes=notes, scores=scores_html(None))
            return
        result = self._result(session, history.now, wishes)
        drawn = session.prepared.inversion == "sample"
        after = annotate(
            _marked(shown(result.image), wishes), self.recipe(session, history), not drawn
        )
        path = self.leases.keep(session.owner, after)
        screen["before_after"] = (before, path)
        screen["notes"] = describe(session.prepared, result)
        yield screen
        editor = self.editors.get(session.prepared.domain)
        yield PageUpdate(scores=scores_html(editor.scores(session.prepared, result)))


def prepare_other_face(editor: Editor, prepared: PreparedFace, index: int) -> PreparedFace:
    """The same photo, prepared for another of its faces; they need not be found again."""
    face = prepared.faces[index]
    crop, transform = align_crop(prepared.photo, face.landmarks, editor.domain.resolution)
    other = editor.prepare(crop, prepared.inversion, aligned=True)
    return replace(
        other, photo=prepared.photo, transform=transform, face=face, faces=prepared.faces
    )


def controls(request: EditRequest) -> PageUpdate:
    """The controls set to an edit."""
    levels = request.levels
    return PageUpdate(
        neutral=request.neutral_text,
        target=request.target_text,
        alpha=request.alpha,
        levels=levels if isinstance(levels, str) else ",".join(map(str, levels)),
        threshold=request.threshold,
    )


def stack_update(history: History) -> PageUpdate:
    """The stack's list and its buttons."""
    return PageUpdate(
        history=history,
        stack=stack_html(history.now),
        undo=gr.update(interactive=bool(history.past)),
        redo=gr.update(interactive=bool(history.future)),
    )


def describe(prepared: PreparedFace, result: EditResult) -> str:
    """The lines under the result, in Markdown."""
    lines = [times(prepared.timings, result.timings)]
    if len(prepared.faces) > 1:
        lines.append(f"{len(prepared.faces)} faces were found; press another box to edit that one.")
    return "\n\n".join([*lines, *(f"**Note:** {plain_markdown(note)}" for note in result.notes)])


def download_name(requests: Iterable[EditRequest], kind: str = "png") -> str:
    """A file name that says what was done: letters, digits and dashes of the target texts."""
    said = "-".join(request.target_text for request in requests)
    words = re.sub(r"[^a-z0-9]+", "-", said.lower()).strip("-")[:60].strip("-")
    return f"tmsa-{words or 'edit'}.{kind}"


def _fits(session: EditSession, wishes: EditControls) -> bool:
    """Whether the visit is what the controls ask to edit."""
    prepared = session.prepared
    drawn = prepared.inversion == "sample"
    return (
        session.source == wishes.image
        and wishes.domain in ("", prepared.domain)
        # the code of a drawn portrait is known: there is nothing to invert
        and (drawn or (prepared.inversion, session.aligned) == (wishes.inversion, wishes.aligned))
    )


def _marked(image: Image, wishes: EditControls) -> Image:
    return add_watermark(image) if wishes.notice else image


def _recipe_in(image: str | None) -> Mapping[str, Any] | None:
    try:
        return read_recipe(image) if image else None
    except ImageError:  # the edit that follows says what is wrong with the file
        return None


def _portrait(session: EditSession) -> PageUpdate:
    return PageUpdate(
        session=session,
        before_after=(session.photo, session.photo),
        faces=faces_html(session.prepared, session.photo),
        crop=session.crop,
        inversion_image=session.inversion,
        notes="",
        scores=scores_html(None),
    )


def _failed(session: EditSession | None, wishes: EditControls, error: TmsaError) -> PageUpdate:
    """Say what is wrong; clear what belongs to an earlier image."""
    message = f"**That did not work.** {plain_markdown(str(error))}"
    if session is not None and session.source == wishes.image:
        return PageUpdate(notes=message)
    return PageUpdate(
        session=None,
        before_after=None,
        faces="",
        crop=None,
        inversion_image=None,
        notes=message,
        scores=scores_html(None),
    )
