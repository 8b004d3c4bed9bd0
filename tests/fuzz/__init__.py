"""Generated inputs through Python, command lines and HTTP: ``python -m tests.fuzz --help``."""
