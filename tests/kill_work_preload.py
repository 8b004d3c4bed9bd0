"""Loads what the jobs of ``kill_work`` need, once for all of their processes."""

import accelerate  # noqa: F401
import huggingface_hub  # noqa: F401

import tmsa_core.editing.batch
import tmsa_core.editing.editor
import tmsa_core.training.mapper.loop  # noqa: F401
