"""Events of the Edit tab: which control starts which action."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

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
from tmsa_core.ui.edit_actions import EditControls, EditSession, EditActions, PageUpdate, controls
from tmsa_core.ui.edit_layout import (
    CONTROLS,
    EditPage,
    inversion_choice,
    start_history,
)
from tmsa_core.ui.edit_stack import History
from tmsa_core.ui.html import chips_html
from tmsa_core.ui.strings import COPY_LINK, PRESS_SAVE_LINK, SHOW_RESULT


def connect_edit(
    blocks: gr.Blocks, page: EditPage, handlers: EditActions, domain: gr.components.Component
) -> None:
    """Let the parts of the screen start their actions."""
    wishes = {
        name: getattr(page, part)
        for name, part in (
            ("image", "image"), ("neutral_text", "neutral"), ("target_text", "target"),
            ("alpha", "alpha"), ("levels", "levels"), ("threshold", "threshold"),
            ("whole", "whole"), ("notice", "notice"), ("aligned", "aligned"),
            ("inversion", "inversion"), ("arrived", "arrived"),
        )
    } | {"domain": domain}  # fmt: skip
    inputs = {page.session, page.history, *wishes.values()}
    # A part that is listed as an output and then left out loses its value, so parts that are
    # inputs too are listed only by the events that set them.
    given_back = [getattr(page, name) for name in CONTROLS]
    screen = [
        getattr(page, name)
        for name in PageUpdate.__annotations__
        if name not in ("image", "seed", "domain", "inversion", *CONTROLS)
    ]
    busy = {"show_progress": "minimal", "show_progress_on": page.before_after}

    def given(data: dict[Any, Any]) -> tuple[EditSession | None, History, EditControls]:
        values = {name: data[part] for name, part in wishes.items()}
        edit = data[page.history].now.request
        for name in ("alpha", "threshold"):  # a field that is just being typed into is empty
            if values[name] is None:
                values[name] = getattr(edit, name)
        return data[page.session], data[page.history], EditControls(**values)

    def shows(screen: PageUpdate) -> dict[Any, Any]:
        parts = {"domain": domain}
        return {parts.get(name) or getattr(page, name): value for name, value in screen.items()}

    def steps(
        function: Callable[..., Iterator[PageUpdate]], *said: str
    ) -> Callable[..., Iterator[Any]]:
        """An event that hands the state over and shows each screen that comes.

        said: what the function also wants to know of the event itself.
        """

        @show_errors_streaming
        def event(data: dict[Any, Any], trigger: gr.EventData) -> Iterator[Any]:
            # Gradio empties the outputs of an event that yields nothing.
            yield {page.history: data[page.history]}
            for screen in function(*given(data), *(getattr(trigger, name) for name in said)):
                yield shows(screen)

        return event

    @show_errors
    def preview(data: dict[Any, Any]) -> Any:
        return shows(handlers.preview(*given(data))) or gr.skip()

    def editing(how: str) -> Callable[..., Iterator[Any]]:
        @show_errors_streaming
        def event(
            data: dict[Any, Any],
            request: gr.Request,
            progress: gr.Progress = gr.Progress(),  # noqa: B008 - how Gradio hands progress in
        ) -> Iterator[Any]:
            for screen in handlers.edit(*given(data), _owner(request), progress, how):
                yield shows(screen)

        return event

    def acting(data: dict[Any, Any], *action: Any) -> Iterator[dict[Any, Any]]:
        kept = PageUpdate()
        for screen in handlers.act(*given(data), *action):
            kept |= {name: value for name, value in screen.items() if name in CONTROLS}
            yield shows(kept | screen)

    @show_errors_streaming
    def press(data: dict[Any, Any], event: gr.EventData) -> Iterator[Any]:
        yield from acting(data, event.action, event.index, event.count)

    def step(action: str) -> Callable[..., Iterator[Any]]:
        @show_errors_streaming
        def event(data: dict[Any, Any]) -> Iterator[Any]:
            yield from acting(data, action)

        return event

    @show_errors_streaming
    def press_face(data: dict[Any, Any], event: gr.EventData) -> Iterator[Any]:
        for screen in handlers.face(*given(data), event.index):
            yield shows(screen)

    def fill(key: str, event: gr.EventData) -> str:
        return find_domain(key).presets[event.index][1]

    def enter(key: str) -> tuple[Any, ...]:
        """The texts, suggestions and inversions of a world."""
        neutral, target = find_domain(key).examples[0]
        try:
            choice = gr.update(**inversion_choice(open_bundle(key)))
        except BundleError:  # what the world lacks is said below its name
            choice = gr.skip()
        return neutral, target, chips_html(find_domain(key).presets), choice

    def choose_sample(event: gr.SelectData) -> str:
        return handlers.choose_sample(event.index)

    @show_errors
    def draw(domain: str, request: gr.Request) -> Any:
        return shows(handlers.random(_owner(request), domain))

    @show_errors
    def draw_seed(seed: float | None, domain: str, request: gr.Request) -> Any:
        return shows(handlers.portrait(seed, _owner(request), domain))

    @show_errors
    def restore(data: dict[Any, Any], request: gr.Request) -> Any:
        _, _, now = given(data)
        as_it_is = PageUpdate(image=now.image, domain=now.domain, inversion=now.inversion)
        as_it_is |= controls(now.request)
        return opened_page(as_it_is | handlers.restore(now.image, _owner(request)))

    def arrive(request: gr.Request) -> Any:
        editor = handlers.editors.first
        start = first_inversion(editor.bundle)
        first = PageUpdate(domain=editor.domain.key, inversion=start)
        first |= controls(start_history(editor).now.request)
        query = request.query_params.multi_items()
        return opened_page(first | handlers.arrive(query, _owner(request))) | {page.arrived: True}

    def opened_page(screen: PageUpdate) -> dict[Any, Any]:
        """A whole setting, with the suggestions of its world."""
        return shows(screen) | {page.chips: chips_html(find_domain(screen["domain"]).presets)}

    on = {"inputs": inputs, "outputs": screen, **HIDDEN, **ON_MODEL}
    quick = {"show_progress": "hidden"}

    def edit_on(*triggers: Callable[..., Any]) -> None:
        for trigger in triggers:
            trigger(editing("apply"), **on, **busy, **LAST_PRESS)

    edit_on(page.edit.click, page.target.submit, page.neutral.submit)
    page.add.click(editing("add"), **on, **busy, **EACH_PRESS)
    for button in (page.edit, page.add):
        button.click(None, js=SHOW_RESULT, **HIDDEN)
    at_once = {"queue": False, **HIDDEN, **EACH_PRESS}
    filled = page.chips.click(fill, domain, page.target, **at_once)
    entered = [page.neutral, page.target, page.chips, page.inversion]
    domain.input(enter, domain, entered, **at_once, **quick)
    page.chips.click(None, js=SHOW_RESULT, **HIDDEN)

    portrait = [page.image, page.seed, page.session, page.before_after, page.faces, page.crop]
    portrait += [page.inversion_image, page.notes, page.scores]
    setting = [*portrait, page.history, page.stack, page.undo, page.redo, *given_back]
    setting += [domain, page.inversion, page.chips]
    in_turn = {**HIDDEN, **ON_MODEL, **LAST_PRESS}
    uploaded = page.image.upload(restore, inputs, setting, **in_turn)
    picked = page.samples.select(choose_sample, None, page.image, **at_once)
    drawn = page.random.click(draw, domain, portrait, **in_turn)
    seeded = page.seed.submit(draw_seed, [page.seed, domain], portrait, **in_turn)
    opened = blocks.load(arrive, None, [*setting, page.arrived], **HIDDEN, **ON_MODEL)
    edit_on(filled.then, picked.success, drawn.success, seeded.success)
    for event in (uploaded, opened):  # these may have set a whole stack, not only the controls
        event.success(editing("open"), **on, **busy, **LAST_PRESS)

    # Not "change": it also answers when another edit is chosen, whose strength it might then set.
    # Both are in one queue, so that no image of the drag comes after that of the hand at rest.
    moving = {"outputs": page.before_after, **HIDDEN, **ON_MODEL, **quick, **LAST_PRESS}
    page.alpha.input(preview, inputs, **moving)
    page.alpha.release(steps(handlers.strength), **on, **quick, **EACH_PRESS)
    reported = steps(handlers.strength, "index", "count")
    page.rest.click(reported, **on, **quick, **EACH_PRESS)
    edit_on(page.levels.input, page.threshold.release, page.inversion.input, page.aligned.input)
    acts = {**on, "outputs": [*screen, *given_back]}
    page.stack.click(press, **acts, **quick, **EACH_PRESS)
    page.faces.click(press_face, **on, **busy, **EACH_PRESS)
    for button, action in ((page.undo, "undo"), (page.redo, "redo")):
        button.click(step(action), **acts, **quick, **EACH_PRESS)
    for part in (page.whole, page.notice):
        part.input(steps(handlers.view), **on, **quick, **LAST_PRESS)
    _connect_output(page, handlers, given, inputs)


def _connect_output(
    page: EditPage,
    handlers: EditActions,
    given: Callable[[dict[Any, Any]], tuple[EditSession | None, History, EditControls]],
    inputs: set[Any],
) -> None:
    @show_errors
    def download(data: dict[Any, Any]) -> str:
        return handlers.download(*given(data), data[page.kind])

    def link(session: EditSession | None, history: History) -> str:
        inform("The link is copied, and stands in the address bar. It holds no image of yours.")
        return handlers.link(session, history)

    saved = page.save.click(download, {*inputs, page.kind}, page.save_link, **HIDDEN, **ON_MODEL)
    saved.success(None, js=PRESS_SAVE_LINK, **HIDDEN)
    # Queued, like all that says something: Gradio shows no message of an event that is not.
    linked = page.link.click(link, [page.session, page.history], page.link_query, **HIDDEN)
    linked.success(None, page.link_query, None, js=COPY_LINK, **HIDDEN)


def _owner(request: gr.Request) -> str:
    return request.session_hash or ""
