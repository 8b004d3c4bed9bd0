"""Renders the HTML templates of the page."""

from __future__ import annotations

import jinja2

_ENVIRONMENT = jinja2.Environment(
    loader=jinja2.PackageLoader("tmsa_core.ui", "templates"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render(name: str, **values: object) -> str:
    """Render a template.

    Args:
        name: File name in the templates folder.
        values: The template's variables; text in them is escaped.

    Returns:
        HTML.
    """
    return _ENVIRONMENT.get_template(name).render(**values)
