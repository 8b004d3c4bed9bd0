"""Loads what the processes of the cases need, once for all of them."""

import torch

from tests.fuzz import calls  # noqa: F401
from tmsa_core import load_editor
from tmsa_core.datatypes import EditRequest

torch.set_num_threads(1)  # a process with more threads cannot be forked
EDITOR = load_editor("avatar", device="cpu")
FACE = EDITOR.sample(0)
EDITOR.edit(FACE, EditRequest("human face", "old human face"))
EDITOR.prepare(FACE.crop)
