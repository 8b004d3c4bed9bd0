"""Values of the Edit tab: what actions receive from the page and what they change on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypedDict

import gradio as gr
from gradio.components.imageslider import SliderData

from tmsa_core.datatypes import EditRequest, PreparedFace
from tmsa_core.ui.edit_stack import History
from tmsa_core.ui.html import faces_html, scores_html, stack_html
from tmsa_core.validation import parse_levels


@dataclass(frozen=True)
class EditControls:
    """Current values of the Edit tab's controls, one for each of ``ControlComponents``.

    Args:
        image: The file in the image input.
        neutral: Current description of the image.
        target: Target description.
        alpha: Strength of the edit.
        levels: Layers to edit: a group's name or numbers separated by commas.
        threshold: Share of the smallest changes to ignore, in [0, 0.95].
        whole: Show the whole image and not only the face.
        watermark: Write "AI-edited" on the result.
        aligned: The image already is an aligned face.
        inversion: "e4e", "hfgi" or "sfe".
        domain: Key of the domain; "" is the domain that the page starts with.
        arrived: The page has set its first image. Until then, no image means that image.
    """

    image: str | None = None
    neutral: str = ""
    target: str = ""
    alpha: float = 1.0
    levels: str = "all"
    threshold: float = 0.0
    whole: bool = True
    watermark: bool = True
    aligned: bool = False
    inversion: str = "e4e"
    domain: str = ""
    arrived: bool = True

    @property
    def request(self) -> EditRequest:
        """The edit that the controls describe; RequestError if the levels are invalid."""
        levels = parse_levels(self.levels)
        return EditRequest(
            self.neutral or "", self.target or "", self.alpha, levels, self.threshold
        )


@dataclass(frozen=True)
class EditSession:
    """The portrait that one visitor edits.

    Args:
        owner: The visitor's session hash.
        source: The file that the portrait was prepared from.
        prepared: The prepared face.
        photo: File that shows the photo.
        crop: File that shows the aligned crop.
        inversion: File that shows the inversion.
        aligned: The visitor declared the image to be an aligned face.
        seed: Seed of a random portrait.
        sample: Name of a sample portrait.
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

    @property
    def generated(self) -> bool:
        """Whether the generator made the portrait: its w_plus is known, nothing is inverted."""
        return self.prepared.inversion == "sample"

    def fits(self, controls: EditControls) -> bool:
        """Whether this is the portrait that the controls ask to edit."""
        prepared = self.prepared
        return (
            self.source == controls.image
            and controls.domain in ("", prepared.domain)
            and (
                self.generated
                or (prepared.inversion, self.aligned) == (controls.inversion, controls.aligned)
            )
        )


class PageUpdate(TypedDict, total=False):
    """New values of components of ``EditPage`` by name; other components stay as they are."""

    session: EditSession | None
    history: History
    domain: str
    inversion: str
    image: str
    seed: int
    neutral: str
    target: str
    alpha: float
    levels: str
    threshold: float
    before_after: tuple[str, str] | SliderData | None
    faces: str
    crop: str | None
    inversion_image: str | None
    notes: str
    scores: str
    stack: str
    undo: dict[str, Any]  # of gr.update
    redo: dict[str, Any]


def controls_update(request: EditRequest) -> PageUpdate:
    """Set the controls to an edit."""
    levels = request.levels
    return PageUpdate(
        neutral=request.neutral_text,
        target=request.target_text,
        alpha=request.alpha,
        levels=levels if isinstance(levels, str) else ",".join(map(str, levels)),
        threshold=request.threshold,
    )


def stack_update(history: History) -> PageUpdate:
    """Show the list of edits, and enable Undo and Redo where there is such a step."""
    return PageUpdate(
        history=history,
        stack=stack_html(history.now),
        undo=gr.update(interactive=bool(history.past)),
        redo=gr.update(interactive=bool(history.future)),
    )


def portrait_update(session: EditSession) -> PageUpdate:
    """Show a portrait that is not edited yet."""
    return PageUpdate(
        session=session,
        before_after=(session.photo, session.photo),
        faces=faces_html(session.prepared, session.photo),
        crop=session.crop,
        inversion_image=session.inversion,
        notes="",
        scores=scores_html(None),
    )


def empty_update() -> PageUpdate:
    """Clear what belongs to an earlier portrait."""
    return PageUpdate(
        session=None,
        before_after=None,
        faces="",
        crop=None,
        inversion_image=None,
        notes="",
        scores=scores_html(None),
    )
