"""``python -m tmsa_core``: the same as the installed command ``tmsa``."""

import sys

from tmsa_core.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
