"""The editing screen: its parts, and which action each of them starts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from tmsa_core.bundles import Bundle, open_bundle
from tmsa_core.datatypes import EditRequest
from tmsa_core.domains import find_domain, first_inversion, inversions_here
from tmsa_core.editor import Editor
from tmsa_core.errors import BundleError
from tmsa_core.ui_handlers import Handlers, Screen, Visit, Wishes, controls
from tmsa_core.ui_links import MOST_LETTERS, STRENGTHS, THRESHOLDS
from tmsa_core.ui_parts import (
    EACH_PRESS,
    HIDDEN,
    LAST_PRESS,
    ON_MODEL,
    REPORT_BUTTON,
    REPORT_REST,
    BeforeAfter,
    Slider,
    picture_input,
    small_picture,
    told,
    told_steps,
)
from tmsa_core.ui_scores import scores_html
from tmsa_core.ui_stack import History, new_history, stack_html
from tmsa_core.ui_toasts import inform
from tmsa_core.ui_words import COPY_LINK, PRESS_SAVE_LINK, SHOW_RESULT, chips_html, presets

SESSION_SECONDS = 3600
LEVELS = [("all", "all"), ("coarse: shape, pose", "coarse"), ("medium: features", "medium"),
          ("fine: colours", "fine")]  # fmt: skip
CONTROLS = ("neutral", "target", "alpha", "levels", "threshold")  # what an edit is set by
KINDS = [("PNG", "png"), ("JPEG", "jpg"), ("WebP", "webp")]
INVERSION_LABELS = {"e4e": "e4e (quick)", "hfgi": "HFGI (keeps more detail)"}


@dataclass(frozen=True)
class EditPage:
    """The parts of the editing screen that actions read or change."""

    visit: gr.State
    history: gr.State
    picture: gr.Image
    samples: gr.Gallery
    seed: gr.Number
    random: gr.Button
    neutral: gr.Textbox
    target: gr.Textbox
    chips: gr.HTML
    edit: gr.Button
    add: gr.Button
    stack: gr.HTML
    undo: gr.Button
    redo: gr.Button
    levels: gr.Dropdown
    threshold: gr.Slider
    inversion: gr.Radio
    aligned: gr.Checkbox
    before_after: gr.ImageSlider
    alpha: gr.Slider
    rest: gr.HTML
    scores: gr.HTML
    notes: gr.Markdown
    whole: gr.Radio
    notice: gr.Checkbox
    kind: gr.Radio
    save: gr.Button
    save_link: gr.DownloadButton
    link: gr.Button
    link_query: gr.Textbox
    arrived: gr.Checkbox
    faces: gr.HTML
    crop: gr.Image
    inversion_picture: gr.Image


def start_history(editor: Editor) -> History:
    """The stack that a new visitor finds: the domain's first example."""
    return new_history([EditRequest(*editor.domain.examples[0])])


def lay_out_edit(editor: Editor, samples: list[Any], leave: Callable[[str], None]) -> EditPage:
    """Place the parts of the editing screen. leave: told the owner of a visit that has ended."""
    history = start_history(editor)
    state = {"time_to_live": SESSION_SECONDS}
    with gr.Row(equal_height=False):
        with gr.Column(min_width=320):
            left = _lay_out_start(editor, samples) | _lay_out_texts(editor, history)
        with gr.Column(min_width=320):
            right = _lay_out_result()
    return EditPage(
        visit=gr.State(None, delete_callback=lambda visit: _ended(visit, leave), **state),
        history=gr.State(history, **state),
        **left,
        **right,
    )


def _ended(visit: Visit | None, leave: Callable[[str], None]) -> None:
    if visit is not None:
        leave(visit.owner)


def _lay_out_start(editor: Editor, samples: list[Any]) -> dict[str, Any]:
    picture = picture_input(
        label="Your picture",
        sources=["upload", "webcam", "clipboard"],
        height=280,
        elem_id="picture",
    )
    gallery = gr.Gallery(
        samples,
        label="Or a sample portrait",
        format="png",
        columns=8,
        rows=1,
        object_fit="cover",
        allow_preview=False,
        interactive=False,
        buttons=[],
        elem_id="samples",
    )
    with gr.Row(equal_height=True, elem_id="draw"):
        random = gr.Button("Random portrait", size="md", min_width=150, elem_id="random")
        seed = gr.Number(0, label="Seed", precision=0, min_width=120, elem_id="seed")
    return {"picture": picture, "samples": gallery, "random": random, "seed": seed}


def _lay_out_texts(editor: Editor, history: History) -> dict[str, Any]:
    domain, request = editor.domain, history.now.request
    neutral = gr.Textbox(
        request.neutral_text,
        label="What it shows",
        max_lines=2,
        max_length=MOST_LETTERS,
        elem_id="neutral",
    )
    target = gr.Textbox(
        request.target_text,
        label="What it should show",
        max_lines=3,
        max_length=MOST_LETTERS,
        elem_id="target",
    )
    chips = gr.HTML(
        chips_html(suggestions(domain.key)),
        js_on_load=REPORT_BUTTON,
        elem_id="chips",
    )
    with gr.Row(elem_id="go"):
        edit = gr.Button("Edit", variant="primary", size="lg", elem_id="edit", scale=2)
        add = gr.Button("Add to the edits", size="lg", elem_id="add", scale=1, min_width=150)
    stack = gr.HTML(stack_html(history.now), js_on_load=REPORT_BUTTON, elem_id="stack")
    with gr.Row(elem_id="steps"):
        undo = gr.Button("Undo", size="sm", interactive=False, min_width=60, elem_id="undo")
        redo = gr.Button("Redo", size="sm", interactive=False, min_width=60, elem_id="redo")
    with gr.Accordion("More control", open=False, elem_id="more"):
        levels = gr.Dropdown(
            LEVELS,
            value="all",
            label="Levels that move",
            info="Or numbers, such as 0,1,4",
            allow_custom_value=True,
            elem_id="levels",
        )
        threshold = Slider(
            *THRESHOLDS,
            value=0,
            step=0.05,
            label="Threshold",
            info="Share of the smallest changes to leave out: more keeps the rest as it was",
            elem_id="threshold",
        )
        inversion = gr.Radio(
            **inversion_choice(editor.bundle),
            label="Inversion",
            info="How the picture enters the generator",
            elem_id="inversion-kind",
        )
        aligned = gr.Checkbox(False, label="The picture already is an aligned face")
    return {
        "neutral": neutral, "target": target, "chips": chips, "edit": edit, "add": add,
        "stack": stack, "undo": undo, "redo": redo, "levels": levels, "threshold": threshold,
        "inversion": inversion, "aligned": aligned,
    }  # fmt: skip


def suggestions(key: str) -> tuple[tuple[str, str], ...]:
    """(label, target text) of the suggested edits of a world."""
    domain = find_domain(key)
    return presets(domain.alignment, domain.examples)


def inversion_choice(bundle: Bundle) -> dict[str, Any]:
    """Choices and value of the inversion's radio in a world; e4e is what every world has."""
    names = dict.fromkeys(("e4e", *inversions_here(bundle)))
    return {
        "choices": [(INVERSION_LABELS[name], name) for name in names],
        "value": first_inversion(bundle),
    }


def _lay_out_result() -> dict[str, Any]:
    before_after = BeforeAfter(
        label="Before and after",
        format="png",
        type="pil",
        interactive=False,
        buttons=["fullscreen"],
        max_height=520,
        elem_id="before-after",
    )
    alpha = Slider(
        *STRENGTHS,
        value=1.0,
        step=0.05,
        label="Strength",
        info="1 is the full edit, 0 none, below 0 the opposite",
        elem_id="alpha",
    )
    rest = gr.HTML(visible="hidden", js_on_load=REPORT_REST, elem_id="rest")
    scores = gr.HTML(scores_html(None), elem_id="scores")
    notes = gr.Markdown(latex_delimiters=[], elem_id="notes")
    with gr.Row(elem_id="small"):
        with gr.Column(min_width=150, scale=1):
            faces = gr.HTML(
                "", label="Faces found", show_label=True, container=True, elem_id="faces",
                js_on_load=REPORT_BUTTON,
            )  # fmt: skip
        crop = small_picture("Aligned crop", "crop")
        inversion_picture = small_picture("Inversion", "inversion")
    with gr.Row(elem_id="output"):
        whole = gr.Radio(
            [("whole picture", True), ("face only", False)],
            value=True,
            label="Result",
            min_width=200,
            elem_id="whole",
        )
        kind = gr.Radio(KINDS, value="png", label="File", min_width=200, elem_id="kind")
    notice = gr.Checkbox(True, label="Write “AI-edited” on the picture", elem_id="notice")
    with gr.Row():
        save = gr.Button("Download", elem_id="save", min_width=140)
        link = gr.Button("Copy a link", elem_id="link", min_width=200)
    save_link = gr.DownloadButton("Download", visible="hidden", elem_id="save-link")
    link_query = gr.Textbox(visible="hidden", elem_id="link-query")
    arrived = gr.Checkbox(False, visible="hidden")
    return {
        "before_after": before_after, "alpha": alpha, "rest": rest, "scores": scores,
        "notes": notes, "faces": faces, "crop": crop, "inversion_picture": inversion_picture,
        "whole": whole, "kind": kind, "notice": notice, "save": save, "link": link,
        "save_link": save_link, "link_query": link_query, "arrived": arrived,
    }  # fmt: skip


def connect_edit(
    blocks: gr.Blocks, page: EditPage, handlers: Handlers, domain: gr.components.Component
) -> None:
    """Let the parts of the screen start their actions."""
    wishes = {
        name: getattr(page, part)
        for name, part in (
            ("picture", "picture"), ("neutral_text", "neutral"), ("target_text", "target"),
            ("alpha", "alpha"), ("levels", "levels"), ("threshold", "threshold"),
            ("whole", "whole"), ("notice", "notice"), ("aligned", "aligned"),
            ("inversion", "inversion"), ("arrived", "arrived"),
        )
    } | {"domain": domain}  # fmt: skip
    inputs = {page.visit, page.history, *wishes.values()}
    # A part that is listed as an output and then left out loses its value, so parts that are
    # inputs too are listed only by the events that set them.
    given_back = [getattr(page, name) for name in CONTROLS]
    screen = [
        getattr(page, name)
        for name in Screen.__annotations__
        if name not in ("picture", "seed", "domain", "inversion", *CONTROLS)
    ]
    busy = {"show_progress": "minimal", "show_progress_on": page.before_after}

    def given(data: dict[Any, Any]) -> tuple[Visit | None, History, Wishes]:
        values = {name: data[part] for name, part in wishes.items()}
        edit = data[page.history].now.request
        for name in ("alpha", "threshold"):  # a field that is just being typed into is empty
            if values[name] is None:
                values[name] = getattr(edit, name)
        return data[page.visit], data[page.history], Wishes(**values)

    def shows(screen: Screen) -> dict[Any, Any]:
        parts = {"domain": domain}
        return {parts.get(name) or getattr(page, name): value for name, value in screen.items()}

    def steps(
        function: Callable[..., Iterator[Screen]], *said: str
    ) -> Callable[..., Iterator[Any]]:
        """An event that hands the state over and shows each screen that comes.

        said: what the function also wants to know of the event itself.
        """

        @told_steps
        def event(data: dict[Any, Any], trigger: gr.EventData) -> Iterator[Any]:
            # Gradio empties the outputs of an event that yields nothing.
            yield {page.history: data[page.history]}
            for screen in function(*given(data), *(getattr(trigger, name) for name in said)):
                yield shows(screen)

        return event

    @told
    def glance(data: dict[Any, Any]) -> Any:
        return shows(handlers.glance(*given(data))) or gr.skip()

    def editing(how: str) -> Callable[..., Iterator[Any]]:
        @told_steps
        def event(
            data: dict[Any, Any],
            request: gr.Request,
            progress: gr.Progress = gr.Progress(),  # noqa: B008 - how Gradio hands progress in
        ) -> Iterator[Any]:
            for screen in handlers.edit(*given(data), _owner(request), progress, how):
                yield shows(screen)

        return event

    def acting(data: dict[Any, Any], *action: Any) -> Iterator[dict[Any, Any]]:
        kept = Screen()
        for screen in handlers.act(*given(data), *action):
            kept |= {name: value for name, value in screen.items() if name in CONTROLS}
            yield shows(kept | screen)

    @told_steps
    def press(data: dict[Any, Any], event: gr.EventData) -> Iterator[Any]:
        yield from acting(data, event.action, event.index, event.count)

    def step(action: str) -> Callable[..., Iterator[Any]]:
        @told_steps
        def event(data: dict[Any, Any]) -> Iterator[Any]:
            yield from acting(data, action)

        return event

    @told_steps
    def press_face(data: dict[Any, Any], event: gr.EventData) -> Iterator[Any]:
        for screen in handlers.face(*given(data), event.index):
            yield shows(screen)

    def fill(key: str, event: gr.EventData) -> str:
        return suggestions(key)[event.index][1]

    def enter(key: str) -> tuple[Any, ...]:
        """The texts, suggestions and inversions of a world."""
        neutral, target = find_domain(key).examples[0]
        try:
            choice = gr.update(**inversion_choice(open_bundle(key)))
        except BundleError:  # what the world lacks is said below its name
            choice = gr.skip()
        return neutral, target, chips_html(suggestions(key)), choice

    def choose_sample(event: gr.SelectData) -> str:
        return handlers.choose_sample(event.index)

    @told
    def draw(domain: str, request: gr.Request) -> Any:
        return shows(handlers.random(_owner(request), domain))

    @told
    def draw_seed(seed: float | None, domain: str, request: gr.Request) -> Any:
        return shows(handlers.portrait(seed, _owner(request), domain))

    @told
    def restore(data: dict[Any, Any], request: gr.Request) -> Any:
        _, _, now = given(data)
        as_it_is = Screen(picture=now.picture, domain=now.domain, inversion=now.inversion)
        as_it_is |= controls(now.request)
        return opened_page(as_it_is | handlers.restore(now.picture, _owner(request)))

    def arrive(request: gr.Request) -> Any:
        editor = handlers.editors.first
        start = first_inversion(editor.bundle)
        first = Screen(domain=editor.domain.key, inversion=start)
        first |= controls(start_history(editor).now.request)
        query = request.query_params.multi_items()
        return opened_page(first | handlers.arrive(query, _owner(request))) | {page.arrived: True}

    def opened_page(screen: Screen) -> dict[Any, Any]:
        """A whole setting, with the suggestions of its world."""
        return shows(screen) | {page.chips: chips_html(suggestions(screen["domain"]))}

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

    portrait = [page.picture, page.seed, page.visit, page.before_after, page.faces, page.crop]
    portrait += [page.inversion_picture, page.notes, page.scores]
    setting = [*portrait, page.history, page.stack, page.undo, page.redo, *given_back]
    setting += [domain, page.inversion, page.chips]
    in_turn = {**HIDDEN, **ON_MODEL, **LAST_PRESS}
    uploaded = page.picture.upload(restore, inputs, setting, **in_turn)
    picked = page.samples.select(choose_sample, None, page.picture, **at_once)
    drawn = page.random.click(draw, domain, portrait, **in_turn)
    seeded = page.seed.submit(draw_seed, [page.seed, domain], portrait, **in_turn)
    opened = blocks.load(arrive, None, [*setting, page.arrived], **HIDDEN, **ON_MODEL)
    edit_on(filled.then, picked.success, drawn.success, seeded.success)
    for event in (uploaded, opened):  # these may have set a whole stack, not only the controls
        event.success(editing("open"), **on, **busy, **LAST_PRESS)

    # Not "change": it also answers when another edit is chosen, whose strength it might then set.
    # Both are in one queue, so that no picture of the drag comes after that of the hand at rest.
    moving = {"outputs": page.before_after, **HIDDEN, **ON_MODEL, **quick, **LAST_PRESS}
    page.alpha.input(glance, inputs, **moving)
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
    handlers: Handlers,
    given: Callable[[dict[Any, Any]], tuple[Visit | None, History, Wishes]],
    inputs: set[Any],
) -> None:
    @told
    def download(data: dict[Any, Any]) -> str:
        return handlers.download(*given(data), data[page.kind])

    def link(visit: Visit | None, history: History) -> str:
        inform("The link is copied, and stands in the address bar. It holds no picture of yours.")
        return handlers.link(visit, history)

    saved = page.save.click(download, {*inputs, page.kind}, page.save_link, **HIDDEN, **ON_MODEL)
    saved.success(None, js=PRESS_SAVE_LINK, **HIDDEN)
    # Queued, like all that says something: Gradio shows no message of an event that is not.
    linked = page.link.click(link, [page.visit, page.history], page.link_query, **HIDDEN)
    linked.success(None, page.link_query, None, js=COPY_LINK, **HIDDEN)


def _owner(request: gr.Request) -> str:
    return request.session_hash or ""
