"""Settings of page events, and how errors reach a visitor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import gradio as gr
from gradio.data_classes import FileData, ListFiles

from tmsa_core.errors import TmsaError
from tmsa_core.server.files import uploaded

MODEL = "model"  # the concurrency group of quick events that run a network
LONG = "long"  # of those that take many seconds: they do not keep quick ones waiting
HIDDEN = {"api_name": False, "api_visibility": "private"}
ON_MODEL = {"concurrency_id": MODEL, "concurrency_limit": 1}
ON_LONG = {"concurrency_id": LONG, "concurrency_limit": 1}
ON_TRAINING = {"concurrency_id": "training", "concurrency_limit": 1}  # minutes, of one visitor
# Gradio drops a press while the last one is still at work, unless an event says otherwise.
# "always_last" reads the inputs anew but repeats the first press's own data, so an event that
# looks at which button was pressed must count each press.
EACH_PRESS = {"trigger_mode": "multiple"}
LAST_PRESS = {"trigger_mode": "always_last"}
P = ParamSpec("P")
R = TypeVar("R")


def show_errors(function: Callable[P, R]) -> Callable[P, R]:
    """The same function, with our errors turned into what Gradio shows a visitor or a script."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except TmsaError as error:
            raise as_gradio_error(error) from error

    return call


def show_errors_streaming(function: Callable[P, Iterator[R]]) -> Callable[P, Iterator[R]]:
    """``show_errors`` for a function that yields."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> Iterator[R]:
        try:
            yield from function(*args, **kwargs)
        except TmsaError as error:
            raise as_gradio_error(error) from error

    return call


def as_gradio_error(error: TmsaError) -> gr.Error:
    """One of our errors as Gradio shows it."""
    return gr.Error(str(error), title="That did not work", print_exception=False)


def image_input(read: Callable[..., Any] = uploaded, **settings: Any) -> gr.Image:
    """An image input that hands over the file that was sent, unread. read: ``uploaded`` or alike.

    An event may set it, but must not leave it out of the outputs that it lists: Gradio then makes
    the component anew for the visitor, and this one's way of reading is lost.
    """
    component = gr.Image(type="filepath", image_mode=None, format="png", **settings)
    component.preprocess = show_errors(read)  # type: ignore[method-assign]
    return component


def files_input(**settings: Any) -> gr.File:
    """An input for several files that hands over their paths.

    Gradio's own would leave an empty file on the disk for each.
    """
    component = gr.File(**settings)
    component.preprocess = paths_of  # type: ignore[method-assign]
    return component


def paths_of(payload: ListFiles | FileData | None) -> list[str] | None:
    """The paths of the files that a file component received, unread."""
    if payload is None:
        return None
    return [file.path for file in (payload.root if isinstance(payload, ListFiles) else [payload])]
