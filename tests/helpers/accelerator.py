"""Which extension modules of the accelerator this checkout has built."""

from __future__ import annotations

import tomllib
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader
from importlib.util import find_spec

from tests.helpers.source_tree import ROOT


def declared() -> list[str]:
    """Return the extension modules that pyproject.toml names."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return [module["name"] for module in settings["tool"]["setuptools"]["ext-modules"]]


def is_built(name: str) -> bool:
    """Return whether a module would be loaded from compiled code."""
    spec = find_spec(name)
    return (
        spec is not None
        and isinstance(spec.loader, ExtensionFileLoader)
        and str(spec.origin).endswith(tuple(EXTENSION_SUFFIXES))
    )


def built() -> list[str]:
    """Return the declared extension modules that are there, compiled."""
    return [name for name in declared() if is_built(name)]
