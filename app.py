"""The Space's entry: load the editor, build the page, serve it."""

import os

# Before Gradio is imported: no telemetry, and its own start-up probe goes past any proxy.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
for name in ("NO_PROXY", "no_proxy"):
    os.environ[name] = ",".join(filter(None, [os.environ.get(name), "localhost,127.0.0.1"]))

from functools import cache

from PIL.Image import Image

from tmsa_core.ui_api import Endpoints
from tmsa_core.ui_domains import Editors, first_editor
from tmsa_core.ui_serve import serve

editors = cache(lambda: Editors(first_editor(os.environ.get("TMSA_DOMAIN") or "avatar")))


def edit(image: Image, neutral_text: str, target_text: str, alpha: float = 1.0) -> Image:
    """Edit the face in a picture by two texts; also the HTTP endpoint ``/edit``."""
    return Endpoints(editors()).edit(image, neutral_text, target_text, alpha)


if __name__ == "__main__":
    serve(lambda: editors().first)
