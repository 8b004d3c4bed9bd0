"""Events of the Explore tab: each button starts a tool's action and shows its results."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
from tmsa_core.ui.edit_layout import EditPage
from tmsa_core.ui.explore_actions import (
    ExploreContext,
    ExploreInputs,
    draw_from_text,
    make_grid,
    make_map,
    make_morph,
    show_strengths,
)
from tmsa_core.ui.explore_layout import (
    START_PORTRAITS,
    ExploreParts,
    Tool,
    animation_html,
    grid_portraits,
    grid_prompts,
)
from tmsa_core.ui.html import file_address
from tmsa_core.ui.method_comparison import compare_methods

DURATIONS = {  # of the methods that take long, on drawn portraits and two CPU cores
    "styleclip_optimise": "15 s",
    "styleclip_mapper": "5 min for a new text",
    "tedigan": "11 s",
    "clip2stylegan": "half a minute the first time",
}


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
    starter = _Starter(context, page, domain)
    starter.connect(parts.strengths.start.click, parts.strengths, show_strengths, ON_MODEL)
    starter.connect(parts.grid.start.click, parts.grid, make_grid, ON_LONG)
    starter.connect(parts.morph.start.click, parts.morph, _morph_and_preview, ON_LONG)
    starter.connect(parts.map.start.click, parts.map, make_map, ON_LONG)
    text, alpha = parts.draw.inputs
    for trigger in (parts.draw.start.click, text.submit, alpha.release):
        starter.connect(trigger, parts.draw, draw_from_text, ON_MODEL)
    _connect_methods(starter, parts)

    def enter(key: str) -> tuple[str, Any]:
        names = grid_portraits(key)
        chosen = gr.update(choices=names, value=names[:START_PORTRAITS])
        return grid_prompts(find_domain(key)), chosen

    prompts, portraits, _ = parts.grid.inputs
    domain.input(enter, domain, [prompts, portraits], queue=False, **HIDDEN)


@dataclass(frozen=True)
class _Starter:
    """Connects a tool's components and the Edit tab's to an action."""

    context: ExploreContext
    page: EditPage
    domain: gr.Dropdown

    def components(self, tool: Tool) -> set[Any]:
        """The inputs of a tool's event."""
        page = self.page
        edit = page.controls
        return {page.session, edit.neutral, edit.target, edit.alpha, self.domain, *tool.inputs}

    def arguments(
        self, data: dict[Any, Any], tool: Tool, request: gr.Request, progress: gr.Progress
    ) -> tuple[Any, ...]:
        """The arguments of a tool's action; data: an event's values by component."""
        page = self.page
        controls = page.controls
        edit = EditRequest(data[controls.neutral], data[controls.target], data[controls.alpha])
        owner = request.session_hash or ""
        inputs = ExploreInputs(data[page.session], edit, data[self.domain], owner, progress)
        return (self.context, inputs, *(data[component] for component in tool.inputs))

    def connect(
        self, trigger: Callable[..., Any], tool: Tool, action: Callable[..., Any], group: Any
    ) -> None:
        """Let a trigger start an action in a concurrency group."""

        @show_errors
        def run(
            data: dict[Any, Any],
            request: gr.Request,
            progress: gr.Progress = gr.Progress(),  # noqa: B008 - how Gradio passes it
        ) -> Any:
            return action(*self.arguments(data, tool, request, progress))

        trigger(run, self.components(tool), tool.outputs, **HIDDEN, **group)


def _morph_and_preview(
    context: ExploreContext, inputs: ExploreInputs, *options: Any
) -> tuple[str, str]:
    path = make_morph(context, inputs, *options)
    label = f"{inputs.request.neutral_text} turning into {inputs.request.target_text}"
    return animation_html(file_address(path), label), path


def _connect_methods(starter: _Starter, parts: ExploreParts) -> None:
    tool, comparisons = parts.methods, starter.context.comparisons

    def load_methods() -> Any:  # when the tab is opened: importing the methods takes seconds
        from tmsa_core.baselines import METHODS

        titles = {key: method.title for key, method in METHODS.items()}
        titles |= {key: f"{titles[key]} ({takes})" for key, takes in DURATIONS.items()}
        return gr.update(choices=[(title, key) for key, title in titles.items()], value=["tmsa"])

    def begin(request: gr.Request) -> None:
        comparisons.begin(request.session_hash or "")

    @show_errors_streaming
    def compare(
        data: dict[Any, Any],
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 - how Gradio passes it
    ) -> Iterator[Any]:
        yield from compare_methods(*starter.arguments(data, tool, request, progress))

    def cancel(request: gr.Request) -> None:
        running = comparisons.cancel(request.session_hash or "")
        inform("The comparison ends here." if running else "There is nothing to cancel.")

    parts.methods_tab.select(load_methods, None, tool.inputs, **HIDDEN, queue=False)
    begun = tool.start.click(begin, None, None, queue=False, **HIDDEN)
    begun.then(compare, starter.components(tool), tool.outputs, **HIDDEN, **ON_TRAINING)
    parts.cancel_methods.click(cancel, None, None, **HIDDEN)  # queued: shows a message
