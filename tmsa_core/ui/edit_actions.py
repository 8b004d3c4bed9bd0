"""Actions of the Edit tab that show edited images: plain functions from values to values.

An action keeps nothing of a visitor between calls. The page holds the visitor's ``EditSession``
and ``History`` in session state and passes them in. ``Leases`` records the files that show them
and deletes these when the visitor leaves.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Literal

from gradio.components.imageslider import SliderData
from gradio.data_classes import ImageData
from PIL.Image import Image

from tmsa_core.align.crop import align_crop
from tmsa_core.datatypes import EditRequest, EditResult, PreparedFace
from tmsa_core.editing.editor import Editor
from tmsa_core.errors import RequestError, TmsaError
from tmsa_core.imaging.metadata import (
    add_watermark,
    annotate,
    check_destination,
    encode_image,
    save_image,
)
from tmsa_core.server.events import as_gradio_error
from tmsa_core.server.files import data_url, shown
from tmsa_core.server.messages import plain_markdown
from tmsa_core.ui.edit_stack import History, Stack
from tmsa_core.ui.edit_values import (
    EditControls,
    EditSession,
    PageUpdate,
    controls_update,
    empty_update,
    portrait_update,
    stack_update,
)
from tmsa_core.ui.html import scores_html, times
from tmsa_core.ui.portrait_actions import PortraitActions
from tmsa_core.ui.widgets import Progress, no_progress


class EditActions:
    """Actions that edit the portrait.

    Each gets the visitor's ``EditSession`` (None before the first portrait), ``History`` and
    ``EditControls``. One that edits yields the edited image and then its scores.

    Args:
        portraits: Opens the portraits to edit.
    """

    def __init__(self, portraits: PortraitActions) -> None:
        self.portraits = portraits
        self.editors = portraits.editors
        self.leases = portraits.leases

    def edit(
        self,
        session: EditSession | None,
        history: History,
        controls: EditControls,
        owner: str = "",
        progress: Progress = no_progress,
        how: Literal["apply", "add", "open"] = "apply",
    ) -> Iterator[PageUpdate]:
        """Edit the image in the controls; a new one is prepared first and shown at once.

        ``how`` is "apply" to replace the chosen edit by that of the controls, "add" to add it to
        the stack, or "open" to apply it unless the chosen edit is switched off. An error is
        shown on the page and raised as gr.Error.
        """
        try:
            if session is None or not session.fits(controls):
                progress(0.1, desc="Finding and aligning the face")
                session = self.portraits.open(controls, owner, session)
                yield portrait_update(session)
            stack = history.now
            if how == "add":
                # The report of a moved slider may arrive only after this press.
                history = history.with_alpha(controls.alpha)
                stack = history.now.add(controls.request)
            elif how == "apply" or stack.layers[stack.chosen].on:
                stack = stack.with_request(controls.request)
            progress(0.6, desc="Editing")
            yield from self._show(session, history.do(stack), controls)
        except TmsaError as error:
            same_image = session is not None and session.source == controls.image
            notes = f"**That did not work.** {plain_markdown(str(error))}"
            yield (PageUpdate() if same_image else empty_update()) | PageUpdate(notes=notes)
            raise as_gradio_error(error) from error

    def strength(
        self,
        session: EditSession | None,
        history: History,
        controls: EditControls,
        index: int | None = None,
        count: int | None = None,
    ) -> Iterator[PageUpdate]:
        """Set the strength of an edit; a whole drag of the slider is one undo step.

        The strength belongs to the edit ``index``, by default the chosen one. ``count`` is the
        number of edits when the slider came to rest; if it has changed, nothing is done.
        """
        if session is None or count not in (None, len(history.now.layers)):
            return
        changed = history.with_alpha(controls.alpha, index)
        if changed is not history:
            yield from self._show(session, changed, controls)

    def preview(
        self, session: EditSession | None, history: History, controls: EditControls
    ) -> PageUpdate:
        """Show the result at another strength while the slider is dragged.

        Adds no undo step and computes no scores. To be quick, the image travels inside the
        response as JPEG, with its recipe. ``strength`` reports errors when the slider rests.
        The update is empty if the edit already has this strength or cannot be shown.
        """
        try:
            moved = history.with_alpha(controls.alpha)
            if session is None or moved is history:
                return PageUpdate()
            result = self._result(session, moved.now, controls)
        except TmsaError:
            return PageUpdate()
        image = _with_watermark(shown(result.image), controls)
        data = encode_image(image, self.recipe(session, moved), not session.generated, ".jpg")
        before = ImageData(path=self._before(session, controls))
        return PageUpdate(before_after=SliderData(root=(before, ImageData(url=data_url(data)))))

    def act(
        self,
        session: EditSession | None,
        history: History,
        controls: EditControls,
        action: str,
        index: int = 0,
        count: int | None = None,
    ) -> Iterator[PageUpdate]:
        """Do what a button of the stack asks for, see ``History.act``; show the result if changed.

        ``count`` is the number of edits when the button was pressed; if it has changed, the
        button belongs to an old list, and only the new list is shown.
        """
        current = count is None or count == len(history.now.layers)
        after = history.act(action, index) if current else history
        # Gradio forgets the value of a control that is an output and gets no update.
        fields = controls_update(after.now.request)
        yield fields | stack_update(after)
        if session is not None and after.now.active != history.now.active:
            for update in self._show(session, after, controls):
                yield fields | update

    def face(
        self, session: EditSession | None, history: History, controls: EditControls, index: int
    ) -> Iterator[PageUpdate]:
        """Edit another face of the same image; RequestError if it has no such face."""
        if session is None or not 0 <= index < len(session.prepared.faces):
            raise RequestError("That face is no longer there; load the image again.")
        editor = self.editors.get(session.prepared.domain)
        prepared = prepare_other_face(editor, session.prepared, index)
        session = self.portraits.new_session(session.owner, session.source, prepared)
        yield portrait_update(session)
        yield from self._show(session, history, controls)

    def view(
        self, session: EditSession | None, history: History, controls: EditControls
    ) -> Iterator[PageUpdate]:
        """Show the same edits again, as the whole image or the face, marked or not."""
        if session is not None:
            yield from self._show(session, history, controls)

    def download(
        self, session: EditSession | None, history: History, controls: EditControls, kind: str
    ) -> str:
        """Write the edited image at full size, with its recipe, and return the file.

        Raises:
            RequestError: There is nothing to download.
            ImageError: The format ``kind`` is unknown or the file cannot be written.
        """
        if session is None:
            raise RequestError("There is no edited image yet; press Edit first.")
        if not history.now.active:
            raise RequestError(
                "There is no edited image: all edits are switched off; switch one on to download."
            )
        path = self.leases.new_folder() / download_name(history.now.active, kind)
        check_destination(path)
        image = _with_watermark(self._result(session, history.now, controls).image, controls)
        save_image(image, path, self.recipe(session, history), not session.generated)
        self.leases.take(session.owner, str(path))
        return str(path)

    def recipe(self, session: EditSession, history: History) -> dict[str, object]:
        """How the image was made: the active edits, and the seed or sample of the portrait."""
        recipe = self.editors.get(session.prepared.domain).recipe(history.now.active)
        if session.seed is not None:
            recipe["seed"] = session.seed
        else:  # a random portrait has no inversion
            recipe["inversion"] = session.prepared.inversion
        if session.sample is not None:
            recipe["sample"] = session.sample
        return recipe

    def _before(self, session: EditSession, controls: EditControls) -> str:
        """The file of the image before the edit, written again if it was deleted."""
        path = session.photo if controls.whole else session.crop
        try:
            return self.leases.refresh(path)
        except FileNotFoundError:
            prepared = session.prepared
            image = shown(prepared.photo) if controls.whole else prepared.crop
            return self.leases.keep(session.owner, image)

    def _result(self, session: EditSession, stack: Stack, controls: EditControls) -> EditResult:
        requests = [replace(request, paste_back=controls.whole) for request in stack.active]
        return self.editors.get(session.prepared.domain).edit(session.prepared, requests)

    def _show(
        self, session: EditSession, history: History, controls: EditControls
    ) -> Iterator[PageUpdate]:
        """Show the edited image, then its scores."""
        before = self._before(session, controls)
        update = PageUpdate(session=session, history=history, before_after=(before, before))
        update |= stack_update(history)
        if not history.now.active:
            notes = "No edit is switched on: this is the image before any edit."
            yield update | PageUpdate(notes=notes, scores=scores_html(None))
            return
        result = self._result(session, history.now, controls)
        image = _with_watermark(shown(result.image), controls)
        after = annotate(image, self.recipe(session, history), not session.generated)
        update["before_after"] = (before, self.leases.keep(session.owner, after))
        update["notes"] = describe(session.prepared, result)
        yield update
        editor = self.editors.get(session.prepared.domain)
        yield PageUpdate(scores=scores_html(editor.scores(session.prepared, result)))


def prepare_other_face(editor: Editor, prepared: PreparedFace, index: int) -> PreparedFace:
    """Prepare the same photo for another of its faces, without detecting them again."""
    face = prepared.faces[index]
    crop, transform = align_crop(prepared.photo, face.landmarks, editor.domain.resolution)
    other = editor.prepare(crop, prepared.inversion, aligned=True)
    return replace(
        other, photo=prepared.photo, transform=transform, face=face, faces=prepared.faces
    )


def describe(prepared: PreparedFace, result: EditResult) -> str:
    """The lines under the result, in Markdown: times, faces and notes."""
    lines = [times(prepared.timings, result.timings)]
    if len(prepared.faces) > 1:
        lines.append(f"{len(prepared.faces)} faces were found; click another face to edit it.")
    return "\n\n".join([*lines, *(f"**Note:** {plain_markdown(note)}" for note in result.notes)])


def download_name(requests: Iterable[EditRequest], kind: str = "png") -> str:
    """A file name from the letters and digits of the target texts."""
    texts = "-".join(request.target_text for request in requests)
    words = re.sub(r"[^a-z0-9]+", "-", texts.lower()).strip("-")[:60].strip("-")
    return f"tmsa-{words or 'edit'}.{kind}"


def _with_watermark(image: Image, controls: EditControls) -> Image:
    return add_watermark(image) if controls.watermark else image
