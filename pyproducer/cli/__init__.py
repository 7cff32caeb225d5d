"""The command ``pyproducer``. The rest of the library knows nothing of it, nor of what it needs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.util import find_spec

__all__ = ["main"]

_NEEDED = ("typer", "rich")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit status.

    Args:
        arguments: the words after ``pyproducer``; None takes the process's own.
    """
    for name in _NEEDED:
        # Looked for before it is needed: rich is imported by the commands that draw something.
        if find_spec(name) is None:
            print(
                f"pyproducer: error: the command line needs {name}; "
                "install it with: pip install 'pyproducer[cli]'",
                file=sys.stderr,
            )
            return 2
    from pyproducer.cli.app import run

    return run(arguments)
