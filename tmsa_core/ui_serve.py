"""Serving the page: it answers first, and loads what takes longest after that."""

from __future__ import annotations

import signal
import sys

from tmsa_core.errors import TmsaError
from tmsa_core.server.settings import Settings
from tmsa_core.ui import build_ui, launch_options
from tmsa_core.ui_domains import first_editor


def serve(settings: Settings) -> None:
    """Show the page until the program is stopped.

    Args:
        settings: What the operator has chosen.

    Raises:
        TmsaError: The page cannot be shown, such as for a damaged bundle.
    """
    editor = first_editor(settings.domain)
    page = build_ui(editor, settings.allow_setup)
    # A normal end deletes visitors' files; without this, the signal ends the process at once.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    page.launch(
        server_name=f"[{settings.host}]" if ":" in settings.host else settings.host,
        server_port=settings.port,
        share=settings.share,
        prevent_thread_lock=True,
        **launch_options(settings.allowed_hosts),
    )
    try:
        editor.warm_up()
    except TmsaError as error:  # what needs that file says so again; the rest works
        print(error, file=sys.stderr)
    page.block_thread()
