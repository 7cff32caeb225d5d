"""Which extension modules of the accelerator this checkout has built."""

from __future__ import annotations

import tomllib
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.helpers.source_tree import ROOT


def _modules() -> list[dict[str, Any]]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    found: list[dict[str, Any]] = settings["tool"]["setuptools"]["ext-modules"]
    return found


def declared() -> list[str]:
    """Return the extension modules that pyproject.toml names."""
    return [module["name"] for module in _modules()]


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


def outdated() -> list[str]:
    """Return the extension modules that are older than the source, or its .pxd, beside them."""
    found = []
    for module in _modules():
        spec = find_spec(module["name"])
        if spec is None or not isinstance(spec.loader, ExtensionFileLoader):
            continue
        made = Path(str(spec.origin)).stat().st_mtime
        [source] = module["sources"]
        beside = [ROOT / source, (ROOT / source).with_suffix(".pxd")]
        if any(path.stat().st_mtime > made for path in beside if path.exists()):
            found.append(module["name"])
    return found
