"""Bytecode beside the sources of a checkout, as ``pip`` leaves it beside those that it installs."""

from __future__ import annotations

import compileall
from pathlib import Path

from tests.bench.driver_process import ROOT

#: What is imported while a program's start is timed.
IMPORTED = (ROOT / "pyproducer", ROOT / "serializers", ROOT / "tests/helpers")


def compile_sources(*folders: Path) -> None:
    """Every module in the folders has up-to-date bytecode.

    Python itself would write it at the first import, unless it may not: then each start of a
    program would compile all of ours anew, and nothing of those that ``pip`` installed.
    """
    for folder in folders:
        compileall.compile_dir(folder, quiet=1)
