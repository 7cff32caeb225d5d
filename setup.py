"""Compiles the accelerator whole or leaves it out whole; all else is in pyproject.toml.

A module that was compiled against the class of another cannot be imported beside that other's
source. So where one extension fails, the package runs from its sources alone, as it does where
there is no compiler.
"""

from __future__ import annotations

import logging
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

logger = logging.getLogger("pyproducer.build")


class BuildAllOrNone(build_ext):
    """The usual command, which drops what was compiled unless all was."""

    def build_extensions(self) -> None:
        self._compiled: set[str] = set()
        super().build_extensions()
        failed = [ext.name for ext in self.extensions if ext.name not in self._compiled]
        if not failed:
            return
        for ext in self.extensions:
            # Also what an earlier build left here for an extension that failed in this one.
            Path(self.get_ext_fullpath(ext.name)).unlink(missing_ok=True)
        logger.warning(
            "not compiled: %s; so nothing is, and the package runs from its sources",
            ", ".join(failed),
        )

    def build_extension(self, ext: Extension) -> None:
        super().build_extension(ext)
        # Not reached where it failed: an optional extension's failure is caught further out.
        self._compiled.add(ext.name)


setup(cmdclass={"build_ext": BuildAllOrNone})
