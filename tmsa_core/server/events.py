"""Settings of page events, inputs that read files, and errors as Gradio shows them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import gradio as gr
from gradio.data_classes import FileData, ListFiles

from tmsa_core.errors import TmsaError
from tmsa_core.server.files import uploaded

# Names of concurrency groups: quick events do not wait for long ones.
MODEL = "model"  # events that run a network for about a second
LONG = "long"  # events that run for many seconds
HIDDEN = {"api_name": False, "api_visibility": "private"}
ON_MODEL = {"concurrency_id": MODEL, "concurrency_limit": 1}
ON_LONG = {"concurrency_id": LONG, "concurrency_limit": 1}
ON_TRAINING = {"concurrency_id": "training", "concurrency_limit": 1}  # minutes
# By default Gradio drops a press while the event still runs. "always_last" reads the inputs again
# but repeats the data of the first press, so an event that depends on the pressed button must run
# for each press.
EACH_PRESS = {"trigger_mode": "multiple"}
LAST_PRESS = {"trigger_mode": "always_last"}
P = ParamSpec("P")
R = TypeVar("R")


def show_errors(function: Callable[P, R]) -> Callable[P, R]:
    """Wrap a function so that Gradio shows our errors to visitors and scripts."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except TmsaError as error:
            raise as_gradio_error(error) from error

    return call


def show_errors_streaming(function: Callable[P, Iterator[R]]) -> Callable[P, Iterator[R]]:
    """Wrap a generator function as ``show_errors`` does."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> Iterator[R]:
        try:
            yield from function(*args, **kwargs)
        except TmsaError as error:
            raise as_gradio_error(error) from error

    return call


def as_gradio_error(error: TmsaError) -> gr.Error:
    """Convert one of our errors into the one that Gradio shows."""
    return gr.Error(str(error), title="That did not work", print_exception=False)


def image_input(read: Callable[..., Any] = uploaded, **settings: Any) -> gr.Image:
    """Create an image input whose value is the path of the uploaded file, unread.

    An event must not return a new component for it: Gradio would then read the file itself.

    Args:
        read: Returns the path of what was sent: ``uploaded`` or ``received``.
        settings: As of ``gr.Image``.

    Returns:
        The input.
    """
    component = gr.Image(type="filepath", image_mode=None, format="png", **settings)
    component.preprocess = show_errors(read)  # type: ignore[method-assign]
    return component


def files_input(**settings: Any) -> gr.File:
    """Create an input for several files whose value is their paths.

    Gradio's own ``preprocess`` would leave an empty file on the disk for each.
    """
    component = gr.File(**settings)
    component.preprocess = paths_of  # type: ignore[method-assign]
    return component


def paths_of(payload: ListFiles | FileData | None) -> list[str] | None:
    """Return the paths of the files that a file component received, unread."""
    if payload is None:
        return None
    return [file.path for file in (payload.root if isinstance(payload, ListFiles) else [payload])]
