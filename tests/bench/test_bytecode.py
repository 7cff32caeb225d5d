"""Bytecode is there before starts are timed."""

from __future__ import annotations

import os
from importlib.util import cache_from_source
from pathlib import Path

from tests.bench.bytecode import compile_sources


def test_every_module_has_bytecode(tmp_path):
    """
    Modules of folders within the folder too, and those whose source has changed.
    """
    sources = [tmp_path / "one.py", tmp_path / "inner" / "two.py"]
    sources[1].parent.mkdir()
    for source in sources:
        source.write_text("A = 1\n")
        os.utime(source, (1_700_000_000, 1_700_000_000))
    compile_sources(tmp_path)
    before = [Path(cache_from_source(source)).read_bytes() for source in sources]
    sources[0].write_text("A = 'another'\n")

    compile_sources(tmp_path)

    after = [Path(cache_from_source(source)).read_bytes() for source in sources]
    assert [False, True] == [one == other for one, other in zip(before, after, strict=True)]
