"""The command line: ``tmsa`` and ``python -m tmsa_core``."""

from tmsa_core.cli.main import main

__all__ = ["main"]
