"""What several tests of the Edit tab's actions share."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest
from PIL import Image

from tmsa_core import Editor, EditRequest
from tmsa_core.server.editors import Editors
from tmsa_core.server.file_leases import Leases
from tmsa_core.server.samples import Samples
from tmsa_core.ui.edit_actions import EditActions
from tmsa_core.ui.edit_stack import History, new_history
from tmsa_core.ui.edit_values import EditControls, PageUpdate
from tmsa_core.ui.portrait_actions import PortraitActions

TEXTS = ("human face", "human face with sunglasses")


@pytest.fixture(scope="module")
def portraits(editor: Editor) -> PortraitActions:
    leases = Leases()
    return PortraitActions(Editors(editor), Samples(editor, leases), leases)


@pytest.fixture(scope="module")
def edits(portraits: PortraitActions) -> EditActions:
    return EditActions(portraits)


@pytest.fixture
def start() -> History:
    return new_history([EditRequest("human face", "human face with glasses")])


@pytest.fixture
def controls(portraits: PortraitActions, portrait: Image.Image) -> EditControls:
    """The controls for an edit of a portrait, without watermark."""
    return EditControls(portraits.leases.keep("", portrait), *TEXTS, aligned=True, watermark=False)


@pytest.fixture
def edited(edits: EditActions, start: History, controls: EditControls) -> PageUpdate:
    """The page after the edit that ``controls`` describes."""
    return last(edits.edit(None, start, controls))


def last(updates: Iterable[PageUpdate]) -> PageUpdate:
    """The page after all updates of an action."""
    page = PageUpdate()
    for update in updates:
        page |= update
    return page


def pixels(path: str) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)
