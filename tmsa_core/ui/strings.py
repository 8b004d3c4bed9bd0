"""Texts of the page."""

from __future__ import annotations

TITLE = "TMSA: edit a face with words"
HEADING = """
# Edit a face with words
Choose a portrait, describe the change, set the strength.
"""
FOOTNOTE = """
The metadata of every result says that it is an **edited image** and how it was made. Your image
stays on the machine that runs this page, is not shown to others, and is deleted within two hours.
Edit only portraits of people who agree.
"""

BATCH_WORDS = """
Apply one edit to many images. You get a ZIP with the edited images and a table of scores. An
image that cannot be edited is listed there and does not stop the others.
"""
SCRIPTS_WORDS = """
Every action has a named endpoint with stable parameters; *Use via API or MCP* at the foot of the
page describes them. `/edit` and `/batch` apply further edits from `more_edits`. AI agents can
use the same functions as MCP tools at `gradio_api/mcp/`.
"""

CLIENT_EXAMPLE = """from tmsa_core.client import TmsaClient

with TmsaClient("http://127.0.0.1:7860") as page:
    edited = page.edit("portrait.png", "human face", "human face with glasses", alpha=1.0)
    both = page.edit(
        "portrait.png", "human face", "human face with glasses", alpha=1.0,
        more_edits=[{"target_text": "old human face", "alpha": 0.5}],
    )
    strip = page.sweep("portrait.png", "human face", "old human face", -1, 2, steps=7)
    done = page.batch(["one.png", "more.zip"], "human face", "smiling human face")
"""


def duration(seconds: float) -> str:
    """Seconds as text: seconds below 90 s, otherwise minutes."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min"
