"""Compares baseline methods on the Explore tab: the same edit by each of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from dataclasses import replace
from typing import TYPE_CHECKING

from PIL.Image import Image

from tmsa_core.datatypes import EditRequest, PreparedFace
from tmsa_core.imaging.images import to_image
from tmsa_core.imaging.metadata import annotate
from tmsa_core.progress import Progress
from tmsa_core.ui.explore_actions import ExploreContext, ExploreInputs, open_portrait
from tmsa_core.ui.strings import duration
from tmsa_core.ui.widgets import Progress as ProgressBar

if TYPE_CHECKING:
    from tmsa_core.baselines import FrozenNetworks

Captioned = list[tuple[str, str]]  # (file, caption) of each image


def compare_methods(
    context: ExploreContext, inputs: ExploreInputs, methods: Sequence[str]
) -> Iterator[Captioned]:
    """Edit the portrait by several methods; ``context.comparisons`` can cancel this.

    What a method has to train first is trained here, and stored for the next comparison.

    Args:
        context: What the tools share.
        inputs: The visitor's portrait and edit.
        methods: Keys of ``baselines.METHODS``.

    Yields:
        The images so far: the portrait, its inversion, then one more per method. A cancelled
        comparison ends without an error.
    """
    cancelled = context.comparisons.of(inputs.owner)
    try:
        yield from _compare(context, inputs, methods, cancelled)
    except CancelledError:
        return
    finally:
        context.comparisons.end(inputs.owner)


def _compare(
    context: ExploreContext,
    inputs: ExploreInputs,
    methods: Sequence[str],
    cancelled: threading.Event,
) -> Iterator[Captioned]:
    from tmsa_core.baselines import METHODS, check_methods, open_networks

    keys = check_methods(methods)
    session, editor = open_portrait(context, inputs)
    networks = open_networks(editor.bundle, context.work / editor.domain.key, editor.device)
    shown = [(session.crop, "portrait"), (session.inversion, "inversion")]
    yield list(shown)
    for key in keys:
        title = METHODS[key].title
        progress = _make_progress(title, cancelled, inputs.progress)
        progress(0, 1, "starting")
        reporting = replace(networks, progress=progress)
        edited, seconds = _edit_by(key, reporting, session.prepared, inputs.request)
        recipe = editor.recipe([inputs.request]) | {"method": key}
        path = context.leases.keep(inputs.owner, annotate(edited, recipe))
        shown.append((path, f"{title}, {seconds:.1f} s"))
        yield list(shown)


def _edit_by(
    key: str, networks: FrozenNetworks, face: PreparedFace, request: EditRequest
) -> tuple[Image, float]:
    """Return the crop that a method makes of a face, and the seconds without its training."""
    from tmsa_core.baselines import METHODS, Texts

    method, texts = METHODS[key], Texts(request.neutral_text, request.target_text)
    if method.prepare:
        method.prepare(networks)
    if method.prepare_text:
        method.prepare_text(networks, texts)
    start = time.perf_counter()
    w_plus = face.w_plus[None].to(networks.device)  # (1, L, 512)
    edit = method.find_edit(networks, w_plus, texts)
    image = edit.apply(networks.generator, w_plus, request.alpha)  # (1, 3, R, R) in [-1, 1]
    seconds = time.perf_counter() - start
    return to_image(image.detach().float().cpu()), seconds


def _make_progress(title: str, cancelled: threading.Event, bar: ProgressBar) -> Progress:
    """Make a callback for a method's steps: it shows the time left, or raises CancelledError."""
    start = time.monotonic()

    def progress(done: int, total: int, message: str) -> None:
        if cancelled.is_set():
            raise CancelledError
        spent = time.monotonic() - start
        left = ""
        if done > 1 and spent > 1:
            left = f", about {duration(spent / done * (total - done))} left"
        bar((done, total), desc=f"{title}{left}", unit="steps")

    return progress
