"""Messages of the page: Gradio shows them as HTML, so foreign text is escaped here, once.

All messages of the page's events pass through this module. Those of the named endpoints do not:
a script reads them as plain text.
"""

from __future__ import annotations

import re
from html import escape

import gradio as gr

# In Markdown a backslash before any ASCII sign makes the sign plain.
_SIGNS = re.compile(r"([!-/:-@\[-`{-~])")


def warn(words: str) -> None:
    """Show a warning, escaped."""
    gr.Warning(escape(words, quote=False))


def inform(words: str) -> None:
    """Show an information, escaped."""
    gr.Info(escape(words, quote=False))


def toast_error(error: Exception) -> gr.Error:
    """Convert an error into the escaped one that the page shows.

    Args:
        error: Any error of an event, Gradio's own included.

    Returns:
        An error with the same words, title and duration.
    """
    if not isinstance(error, gr.Error):
        return gr.Error(escape(str(error), quote=False))
    return gr.Error(
        escape(str(error.message), quote=False),
        duration=error.duration,
        visible=error.visible,
        title=error.title,
        print_exception=error.print_exception,
    )


def plain_markdown(text: str) -> str:
    """Return Markdown that shows a text as it is, on one line, with no links."""
    return _SIGNS.sub(r"\\\1", " ".join(text.split()))
