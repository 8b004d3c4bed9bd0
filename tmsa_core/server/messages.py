"""Messages of the page: Gradio shows them as HTML, so what they quote is escaped here, once.

All messages of the page's events pass through this module. Those of the named endpoints do not:
a script reads them as plain text.
"""

from __future__ import annotations

import re
from html import escape

import gradio as gr

# Every ASCII sign may stand behind a backslash in Markdown, and then means nothing but itself.
_SIGNS = re.compile(r"([!-/:-@\[-`{-~])")


def warn(words: str) -> None:
    """Show a warning."""
    gr.Warning(escape(words, quote=False))


def inform(words: str) -> None:
    """Show an information."""
    gr.Info(escape(words, quote=False))


def toast_error(error: Exception) -> gr.Error:
    """The error as the page shows it.

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
    """The text as Markdown that shows it letter by letter, on one line, addresses unlinked."""
    return _SIGNS.sub(r"\\\1", " ".join(text.split()))
