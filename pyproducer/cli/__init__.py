"""The command ``pyproducer``. The rest of the library knows nothing of it, nor of what it needs."""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main"]

_NEEDED = ("typer", "rich")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit status.

    Args:
        arguments: the words after ``pyproducer``; None takes the process's own.
    """
    try:
        from pyproducer.cli.app import run
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _NEEDED:
            raise
        print(
            f"pyproducer: error: the command line needs {error.name}; "
            "install it with: pip install 'pyproducer[cli]'",
            file=sys.stderr,
        )
        return 2
    return run(arguments)
