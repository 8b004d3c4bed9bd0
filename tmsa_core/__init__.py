"""TMSA: text-driven face editing by aligning CLIP's space with StyleGAN's.

``editor = load_editor("avatar")`` loads a domain; ``editor.prepare`` an image once, then
``editor.edit`` it many times.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tmsa_core.version import VERSION as __version__

if TYPE_CHECKING:
    from tmsa_core.availability import list_domains
    from tmsa_core.datatypes import EditRequest, EditResult, PreparedFace
    from tmsa_core.editing.editor import Editor
    from tmsa_core.editing.load import load_editor
    from tmsa_core.errors import TmsaError

_HOMES = {
    "EditRequest": "tmsa_core.datatypes",
    "EditResult": "tmsa_core.datatypes",
    "Editor": "tmsa_core.editing.editor",
    "PreparedFace": "tmsa_core.datatypes",
    "TmsaError": "tmsa_core.errors",
    "list_domains": "tmsa_core.availability",
    "load_editor": "tmsa_core.editing.load",
}
__all__ = [
    "EditRequest",
    "EditResult",
    "Editor",
    "PreparedFace",
    "TmsaError",
    "__version__",
    "list_domains",
    "load_editor",
]


def __getattr__(name: str) -> Any:
    """Import a public name at its first use, so that ``import tmsa_core`` is fast."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
