"""Events of the Edit tab: which component starts which action."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal, TypeAlias

import gradio as gr
from gradio.components import Component

from tmsa_core.availability import first_inversion
from tmsa_core.bundles import open_bundle
from tmsa_core.domains import find_domain
from tmsa_core.errors import BundleError
from tmsa_core.server.events import (
    EACH_PRESS,
    HIDDEN,
    LAST_PRESS,
    ON_MODEL,
    show_errors,
    show_errors_streaming,
)
from tmsa_core.server.messages import inform
from tmsa_core.ui.edit_actions import EditActions
from tmsa_core.ui.edit_layout import EditPage, inversion_choice, start_history
from tmsa_core.ui.edit_stack import History
from tmsa_core.ui.edit_values import EditSession, PageUpdate, controls_update
from tmsa_core.ui.html import chips_html
from tmsa_core.ui.portrait_actions import PortraitActions
from tmsa_core.ui.widgets import script

# Settings of events. AT_ONCE is for those that run no network.
AT_ONCE: dict[str, Any] = {"queue": False, **HIDDEN, **EACH_PRESS}
IN_TURN: dict[str, Any] = {**HIDDEN, **ON_MODEL}
QUIET = {"show_progress": "hidden"}

Data: TypeAlias = Mapping[Component, Any]  # what Gradio passes to an event
Outputs: TypeAlias = dict[Component, Any]


def connect_edit(
    blocks: gr.Blocks, page: EditPage, edits: EditActions, portraits: PortraitActions
) -> None:
    """Connect the components of the Edit tab to their actions.

    Args:
        blocks: The whole page.
        page: The components.
        edits: Actions that edit the portrait.
        portraits: Actions that choose the portrait.
    """
    _connect_edit_buttons(page, edits)
    _connect_suggestions(page, edits)
    _connect_portraits(page, edits, portraits)
    _connect_restore(blocks, page, edits, portraits)
    _connect_strength(page, edits)
    _connect_stack(page, edits)
    _connect_view(page, edits)
    _connect_output(page, edits, portraits)


def _start_edit(
    page: EditPage,
    edits: EditActions,
    trigger: Callable[..., Any],
    how: Literal["apply", "add", "open"] = "apply",
) -> None:
    """Let a trigger, such as a button's click, edit the image; see ``EditActions.edit``."""

    @show_errors_streaming
    def edit(
        data: Data,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 - Gradio's way to pass progress
    ) -> Iterator[Outputs]:
        updates = edits.edit(*page.read(data), _owner(request), progress, how)
        yield from map(page.outputs, updates)

    presses = EACH_PRESS if how == "add" else LAST_PRESS
    shown = {"show_progress": "minimal", "show_progress_on": page.before_after}
    trigger(edit, page.inputs, page.result, **shown, **IN_TURN, **presses)


def _connect_edit_buttons(page: EditPage, edits: EditActions) -> None:
    """Edit, Add edit, Enter in a text field, and options that change the edit."""
    controls = page.controls
    for trigger in (page.edit.click, controls.target.submit, controls.neutral.submit):
        _start_edit(page, edits, trigger)
    _start_edit(page, edits, page.add.click, "add")
    for trigger in (page.edit.click, page.add.click, page.chips.click):
        trigger(None, js=script("show_result"), **HIDDEN)
    options = (controls.levels.input, controls.threshold.release, controls.inversion.input)
    for trigger in (*options, controls.aligned.input):
        _start_edit(page, edits, trigger)


def _connect_suggestions(page: EditPage, edits: EditActions) -> None:
    """The suggested edits, and what another domain suggests."""
    controls = page.controls

    def fill(key: str, event: gr.EventData) -> str:
        return find_domain(key).presets[event.index][1]

    def enter(key: str) -> tuple[str, str, str, Any]:
        domain = find_domain(key)
        try:
            choices, value = inversion_choice(open_bundle(key))
        except BundleError:  # the domain panel reports what is missing
            inversion = gr.skip()
        else:
            inversion = gr.update(choices=choices, value=value)
        return *domain.examples[0], chips_html(domain.presets), inversion

    filled = page.chips.click(fill, controls.domain, controls.target, **AT_ONCE)
    _start_edit(page, edits, filled.then)
    entered = [controls.neutral, controls.target, page.chips, controls.inversion]
    controls.domain.input(enter, controls.domain, entered, **AT_ONCE, **QUIET)


def _connect_portraits(page: EditPage, edits: EditActions, portraits: PortraitActions) -> None:
    """Sample portraits, random portraits and seeds; each is edited at once."""
    image, domain = page.controls.image, page.controls.domain

    def choose_sample(event: gr.SelectData) -> str:
        return portraits.choose_sample(event.index)

    @show_errors
    def random(domain: str, request: gr.Request) -> Outputs:
        return page.outputs(portraits.random(_owner(request), domain))

    @show_errors
    def generate(seed: float | None, domain: str, request: gr.Request) -> Outputs:
        return page.outputs(portraits.generate(seed, _owner(request), domain))

    outputs = [image, page.seed, *page.portrait]
    picked = page.samples.select(choose_sample, None, image, **AT_ONCE)
    drawn = page.random.click(random, domain, outputs, **IN_TURN, **LAST_PRESS)
    seeded = page.seed.submit(generate, [page.seed, domain], outputs, **IN_TURN, **LAST_PRESS)
    for event in (picked, drawn, seeded):
        _start_edit(page, edits, event.success)


def _connect_restore(
    blocks: gr.Blocks, page: EditPage, edits: EditActions, portraits: PortraitActions
) -> None:
    """An uploaded image with a recipe, and the link that opened the page."""
    controls = page.controls

    def outputs(update: PageUpdate) -> Outputs:
        chips = chips_html(find_domain(update["domain"]).presets)
        return page.outputs(update) | {page.chips: chips}

    @show_errors
    def restore(data: Data, request: gr.Request) -> Outputs:
        now = page.read(data)[2]
        # Gradio would forget the controls that the recipe leaves as they are.
        update = PageUpdate(image=now.image, domain=now.domain, inversion=now.inversion)
        update |= controls_update(now.request)
        return outputs(update | portraits.restore(now.image, _owner(request)))

    def arrive(request: gr.Request) -> Outputs:
        editor = portraits.editors.first
        inversion = first_inversion(editor.bundle)
        update = PageUpdate(domain=editor.domain.key, inversion=inversion)
        update |= controls_update(start_history(editor).now.request)
        update |= portraits.arrive(request.query_params.multi_items(), _owner(request))
        return outputs(update) | {controls.arrived: True}

    changed = [controls.image, page.seed, *page.result, *page.edit_fields]
    changed += [controls.domain, controls.inversion, page.chips]
    uploaded = controls.image.upload(restore, page.inputs, changed, **IN_TURN, **LAST_PRESS)
    opened = blocks.load(arrive, None, [*changed, controls.arrived], **IN_TURN)
    for event in (uploaded, opened):
        _start_edit(page, edits, event.success, "open")


def _connect_strength(page: EditPage, edits: EditActions) -> None:
    """The slider of the strength: previews while it is dragged, and a step when it rests."""

    @show_errors
    def preview(data: Data) -> Any:
        return page.outputs(edits.preview(*page.read(data))) or gr.skip()

    @show_errors_streaming
    def release(data: Data) -> Iterator[Outputs]:
        yield from _stream(page, data, edits.strength(*page.read(data)))

    @show_errors_streaming
    def rest(data: Data, event: gr.EventData) -> Iterator[Outputs]:
        updates = edits.strength(*page.read(data), event.index, event.count)
        yield from _stream(page, data, updates)

    # The event "change" would also fire when the visitor chooses another edit, and could then
    # set that edit's strength. Preview and release share a queue, so that no image of the drag
    # arrives after that of the slider at rest.
    alpha, inputs, shown = page.controls.alpha, page.inputs, page.before_after
    alpha.input(preview, inputs, shown, **IN_TURN, **QUIET, **LAST_PRESS)
    alpha.release(release, inputs, page.result, **IN_TURN, **QUIET, **EACH_PRESS)
    page.rest.click(rest, inputs, page.result, **IN_TURN, **QUIET, **EACH_PRESS)


def _connect_stack(page: EditPage, edits: EditActions) -> None:
    """The buttons of the stack, Undo and Redo."""
    outputs = [*page.result, *page.edit_fields]

    @show_errors_streaming
    def press(data: Data, event: gr.EventData) -> Iterator[Outputs]:
        updates = edits.act(*page.read(data), event.action, event.index, event.count)
        yield from map(page.outputs, updates)

    @show_errors_streaming
    def undo(data: Data) -> Iterator[Outputs]:
        yield from map(page.outputs, edits.act(*page.read(data), "undo"))

    @show_errors_streaming
    def redo(data: Data) -> Iterator[Outputs]:
        yield from map(page.outputs, edits.act(*page.read(data), "redo"))

    for trigger, event in (
        (page.stack.click, press),
        (page.undo.click, undo),
        (page.redo.click, redo),
    ):
        trigger(event, page.inputs, outputs, **IN_TURN, **QUIET, **EACH_PRESS)


def _connect_view(page: EditPage, edits: EditActions) -> None:
    """Another face of the image, whole image or face only, with or without watermark."""

    @show_errors_streaming
    def press_face(data: Data, event: gr.EventData) -> Iterator[Outputs]:
        yield from map(page.outputs, edits.face(*page.read(data), event.index))

    @show_errors_streaming
    def view(data: Data) -> Iterator[Outputs]:
        yield from _stream(page, data, edits.view(*page.read(data)))

    busy = {"show_progress": "minimal", "show_progress_on": page.before_after}
    page.faces.click(press_face, page.inputs, page.result, **busy, **IN_TURN, **EACH_PRESS)
    for component in (page.controls.whole, page.controls.watermark):
        component.input(view, page.inputs, page.result, **IN_TURN, **QUIET, **LAST_PRESS)


def _connect_output(page: EditPage, edits: EditActions, portraits: PortraitActions) -> None:
    """Download and Copy a link."""

    @show_errors
    def download(data: Data) -> str:
        return edits.download(*page.read(data), data[page.kind])

    def link(session: EditSession | None, history: History) -> str:
        inform("Link copied. It does not contain your image.")
        return portraits.link(session, history)

    saved = page.save.click(download, {*page.inputs, page.kind}, page.save_link, **IN_TURN)
    saved.success(None, js=script("press_save_link"), **HIDDEN)
    # Queued, because Gradio shows no message of an event outside its queue.
    linked = page.link.click(link, [page.session, page.history], page.link_query, **HIDDEN)
    linked.success(None, page.link_query, None, js=script("copy_link"), **HIDDEN)


def _stream(page: EditPage, data: Data, updates: Iterable[PageUpdate]) -> Iterator[Outputs]:
    """The updates by component; never empty, because Gradio would then clear all outputs."""
    yield {page.history: data[page.history]}
    yield from map(page.outputs, updates)


def _owner(request: gr.Request) -> str:
    return request.session_hash or ""
