"""The Space's entry: `python app.py` serves the page, `python app.py --help` lists options."""

import os
import sys
from functools import cache
from typing import Any

from PIL.Image import Image

from tmsa_core.cli.main import main_of_app


@cache
def endpoints() -> Any:
    """What ``edit`` calls; made late, because it imports Gradio and loads networks."""
    from tmsa_core.api.endpoints import Endpoints
    from tmsa_core.server.editors import Editors, first_editor

    domain, mapper = os.environ.get("TMSA_DOMAIN"), os.environ.get("TMSA_MAPPER")
    return Endpoints(Editors(first_editor(domain or "avatar", mapper or "")))


def edit(image: Image, neutral_text: str, target_text: str, alpha: float = 1.0) -> Image:
    """Edit the face in an image by two texts; also the HTTP endpoint ``/edit``."""
    return endpoints().edit(image, neutral_text, target_text, alpha)


if __name__ == "__main__":
    sys.exit(main_of_app())
