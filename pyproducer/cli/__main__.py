"""``python -m pyproducer.cli``: the same as the command ``pyproducer``."""

from __future__ import annotations

import sys

from pyproducer.cli import main

if __name__ == "__main__":
    sys.exit(main())
