"""The import package ``serializers``, found by name when a command needs it.

Neither of the two packages imports the other, so that a program may have a ``serializers`` of its
own; here that must not end in a riddle.
"""

from __future__ import annotations

import importlib
from typing import Any

from pyproducer.cli.exits import CliError, Exit

__all__ = ["serializer"]


def serializer(name: str) -> Any:
    """A class or exception of the package ``serializers``.

    Raises:
        CliError: another package of this name hides it.
    """
    package = importlib.import_module("serializers")
    try:
        return getattr(package, name)
    except AttributeError:
        raise CliError(
            f"{package.__file__} hides the package 'serializers' that comes with pyproducer; "
            "run the command in another directory",
            Exit.USAGE,
        ) from None
