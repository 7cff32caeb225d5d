"""The sources of modules that are compiled, for whoever wants Python alone.

Some modules are compiled as they stand: ``engine.py`` beside its ``engine.pxd``, which gives its
classes and numbers types of C. Python takes the compiled module of a name before the source of the
same name; with ``PYPRODUCER_PURE=1`` in the environment it is shown the source.
"""

from __future__ import annotations

import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ExtensionFileLoader, ModuleSpec, PathFinder
from importlib.util import spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

__all__ = ["show_sources"]

_PREFIX: Final = __name__.rpartition(".")[0] + "."


class _Sources(MetaPathFinder):
    """Finds the source of a module that is there in both forms."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith(_PREFIX):
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None or not isinstance(spec.loader, ExtensionFileLoader):
            return spec
        source = Path(spec.origin or "").with_name(fullname.rpartition(".")[2] + ".py")
        return spec_from_file_location(fullname, source) if source.exists() else spec


def show_sources() -> None:
    """From now on, the package's modules are loaded from their sources."""
    sys.meta_path.insert(0, _Sources())
