"""Loads what the works of ``kill_work`` need, once for all of their processes."""

import accelerate  # noqa: F401
import huggingface_hub  # noqa: F401
import tmsa_core.batch
import tmsa_core.convert
import tmsa_core.editor
import tmsa_core.training.align  # noqa: F401
