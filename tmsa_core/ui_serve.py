"""Serving the page: it answers first, and loads what takes longest after that."""

from __future__ import annotations

from tmsa_core.editor import Editor
from tmsa_core.ui import build_ui, launch_options


def serve(editor: Editor) -> None:
    """Show the page of an editor until the program is stopped."""
    page = build_ui(editor)
    page.launch(prevent_thread_lock=True, **launch_options())
    editor.warm_up()
    page.block_thread()
