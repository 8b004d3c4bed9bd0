"""Serving the page: it answers first, and loads what takes longest after that."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable

from tmsa_core.editor import Editor
from tmsa_core.errors import TmsaError
from tmsa_core.ui import build_ui, launch_options


def serve(load: Callable[[], Editor]) -> None:
    """Show the page of the editor that ``load`` gives until the program is stopped.

    What is wrong with its bundle ends the program with one sentence.
    """
    try:
        editor = load()
        page = build_ui(editor)
    except TmsaError as error:
        sys.exit(f"Error: {error}")
    # A normal end deletes visitors' files; without this, the signal ends the process at once.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    page.launch(prevent_thread_lock=True, **launch_options())
    editor.warm_up()
    page.block_thread()
