"""Events of the Explore tab: each button reads its inputs, starts its action, shows the result."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from tmsa_core.datatypes import EditRequest
from tmsa_core.domains import find_domain
from tmsa_core.server.events import (
    HIDDEN,
    ON_LONG,
    ON_MODEL,
    ON_TRAINING,
    show_errors,
    show_errors_streaming,
)
from tmsa_core.server.messages import inform
from tmsa_core.ui import explore_actions
from tmsa_core.ui.edit_layout import EditPage
from tmsa_core.ui.explore_actions import AlphaRange, ExploreContext, ExploreInputs
from tmsa_core.ui.explore_layout import (
    START_PORTRAITS,
    DrawParts,
    ExploreParts,
    GridParts,
    MapParts,
    MethodsParts,
    MorphParts,
    StrengthsParts,
    animation_html,
    grid_portraits,
    grid_prompts,
)
from tmsa_core.ui.html import file_address
from tmsa_core.ui.method_comparison import compare_methods

Data = dict[Any, Any]  # an event's values by component
DURATIONS = {  # of the methods that take long, on drawn portraits and two CPU cores
    "styleclip_optimise": "15 s",
    "styleclip_mapper": "5 min for a new text",
    "tedigan": "11 s",
    "clip2stylegan": "half a minute the first time",
}


@dataclass(frozen=True)
class _Common:
    """What the events of every tool need: the shared context and the components they all read."""

    context: ExploreContext
    page: EditPage
    domain: gr.Dropdown

    @property
    def components(self) -> set[Any]:
        """Inputs that every event lists."""
        return {self.page.visit, self.page.neutral, self.page.target, self.page.alpha, self.domain}

    def inputs(self, data: Data, request: gr.Request, **changes: Any) -> ExploreInputs:
        """Read the inputs of a tool; ``changes`` replace fields of the Edit tab's request."""
        edit = {
            "neutral_text": data[self.page.neutral],
            "target_text": data[self.page.target],
            "alpha": data[self.page.alpha],
        }
        return ExploreInputs(
            data[self.page.visit],
            EditRequest(**edit | changes),
            data[self.domain],
            request.session_hash or "",
        )


def connect_explore(
    context: ExploreContext, parts: ExploreParts, page: EditPage, domain: gr.Dropdown
) -> None:
    """Connect the events of all tools.

    Args:
        context: What the tools share.
        parts: The components of ``lay_out_explore``.
        page: The components of the Edit tab, whose portrait and texts the tools use.
        domain: The choice of the domain.
    """
    common = _Common(context, page, domain)
    _connect_strengths(common, parts.strengths)
    _connect_grid(common, parts.grid)
    _connect_morph(common, parts.morph)
    _connect_draw(common, parts.draw)
    _connect_map(common, parts.map)
    _connect_methods(common, parts.methods)


def _connect_strengths(common: _Common, parts: StrengthsParts) -> None:
    @show_errors
    def show_strengths(data: Data, request: gr.Request) -> list[tuple[str, str]]:
        alphas = AlphaRange(data[parts.first], data[parts.last], data[parts.count])
        return explore_actions.show_strengths(common.context, common.inputs(data, request), alphas)

    inputs = common.components | {parts.first, parts.last, parts.count}
    parts.start.click(show_strengths, inputs, parts.gallery, **HIDDEN, **ON_MODEL)


def _connect_grid(common: _Common, parts: GridParts) -> None:
    @show_errors
    def make_grid(
        data: Data,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 - how Gradio hands progress in
    ) -> str:
        inputs = common.inputs(data, request, alpha=data[parts.alpha])
        prompts, portraits = data[parts.prompts], data[parts.portraits]
        return explore_actions.make_grid(common.context, inputs, prompts, portraits, progress)

    def enter(key: str) -> tuple[str, Any]:
        names = grid_portraits(key)
        return grid_prompts(find_domain(key)), gr.update(
            choices=names, value=names[:START_PORTRAITS]
        )

    inputs = common.components | {parts.prompts, parts.portraits, parts.alpha}
    parts.start.click(make_grid, inputs, parts.sheet, **HIDDEN, **ON_LONG)
    changed = [parts.prompts, parts.portraits]
    common.domain.input(enter, common.domain, changed, queue=False, **HIDDEN)


def _connect_morph(common: _Common, parts: MorphParts) -> None:
    @show_errors
    def make_morph(data: Data, request: gr.Request) -> tuple[str, str]:
        inputs = common.inputs(data, request)
        alphas = AlphaRange(data[parts.first], data[parts.last], data[parts.count])
        path = explore_actions.make_morph(common.context, inputs, alphas, data[parts.kind])
        label = f"{inputs.request.neutral_text} turning into {inputs.request.target_text}"
        return animation_html(file_address(path), label), path

    inputs = common.components | {parts.first, parts.last, parts.count, parts.kind}
    parts.start.click(make_morph, inputs, [parts.animation, parts.file], **HIDDEN, **ON_LONG)


def _connect_draw(common: _Common, parts: DrawParts) -> None:
    @show_errors
    def draw_from_text(data: Data, request: gr.Request) -> str:
        inputs = common.inputs(data, request, target_text=data[parts.text], alpha=data[parts.alpha])
        return explore_actions.draw_from_text(common.context, inputs)

    inputs = common.components | {parts.text, parts.alpha}
    for trigger in (parts.start.click, parts.text.submit, parts.alpha.release):
        trigger(draw_from_text, inputs, parts.image, **HIDDEN, **ON_MODEL)


def _connect_map(common: _Common, parts: MapParts) -> None:
    @show_errors
    def make_map(
        data: Data,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 - how Gradio hands progress in
    ) -> Any:
        inputs = common.inputs(data, request)
        texts, method = data[parts.texts], data[parts.method]
        return explore_actions.make_map(common.context, inputs, texts, method, progress)

    inputs = common.components | {parts.texts, parts.method}
    parts.start.click(make_map, inputs, parts.plot, **HIDDEN, **ON_LONG)


def _connect_methods(common: _Common, parts: MethodsParts) -> None:
    comparisons = common.context.comparisons

    def load_methods() -> Any:  # when the tab is opened: importing the methods takes seconds
        from tmsa_core.baselines import METHODS

        titles = {key: method.title for key, method in METHODS.items()}
        titles |= {key: f"{titles[key]} ({takes})" for key, takes in DURATIONS.items()}
        return gr.update(choices=[(title, key) for key, title in titles.items()], value=["tmsa"])

    def begin(request: gr.Request) -> None:
        comparisons.begin(request.session_hash or "")

    @show_errors_streaming
    def compare(
        data: Data,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 - how Gradio hands progress in
    ) -> Iterator[Any]:
        inputs = common.inputs(data, request)
        yield from compare_methods(common.context, inputs, data[parts.methods], progress)

    def cancel(request: gr.Request) -> None:
        running = comparisons.cancel(request.session_hash or "")
        inform("The comparison ends here." if running else "There is nothing to cancel.")

    parts.tab.select(load_methods, None, parts.methods, **HIDDEN, queue=False)
    inputs = common.components | {parts.methods}
    begun = parts.start.click(begin, None, None, queue=False, **HIDDEN)
    begun.then(compare, inputs, parts.gallery, **HIDDEN, **ON_TRAINING)
    parts.cancel.click(cancel, None, None, **HIDDEN)  # Gradio shows messages of queued events only
