"""The page's words, and the few lines of script behind its buttons."""

from __future__ import annotations

TITLE = "TMSA: edit a face with words"
HEADING = """
# Edit a face with words
Pick a portrait, say what it should show, choose how strongly.
"""
FOOTNOTE = """
Every result is an **edited image** and says so, with its recipe, in its metadata. Your image
stays on the machine that runs this page, is shown to nobody else, and is deleted within two hours.
Edit only portraits of people who agree.
"""

BATCH_WORDS = """
The same edit of many images. You get a ZIP with the edited images and a table of scores; a
image that cannot be edited is noted there and does not stop the others.
"""
SCRIPTS_WORDS = """
Every action has a named endpoint with stable parameters; *Use via API or MCP* at the foot of the
page describes them. `/edit` and `/batch` take further edits, applied together, in `more_edits`.
Agents find the same functions as tools at `gradio_api/mcp/`.
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
    """Seconds as one reads them."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min"


# On a narrow screen the result lies below the button; go there once it was pressed.
SHOW_RESULT = """() => {
  const result = document.querySelector('#before-after');
  const narrow = window.innerWidth < 700;
  if (result && narrow) result.scrollIntoView({behavior: 'smooth', block: 'start'});
}"""
PRESS_SAVE_LINK = "() => document.querySelector('#save-link').click()"
COPY_LINK = """(query) => {
  const link = location.origin + location.pathname + query;
  navigator.clipboard?.writeText(link);
  history.replaceState(null, '', query);
}"""
