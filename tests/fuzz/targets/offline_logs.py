"""What `pyproducer log dump` and `pyproducer log verify` are pointed at.

The input is changes to a partition's folder, or a data directory, that was sound.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from pyproducer.broker.offline.dump import Dump
from pyproducer.broker.offline.folders import DataFolder
from pyproducer.broker.offline.verification import Verification
from tests.fuzz.bites import Bites
from tests.fuzz.target import Target
from tests.fuzz.targets._files import Files, changed, changes, memory_folder
from tests.fuzz.targets.partition_logs import sound as partition

_PLACE = memory_folder()
_FOLDER = Path(_PLACE.name) / "orders-0"
#: What the folder has now: most of an input's files are those of the one before.
_written: Files = {}


def _write(files: Files) -> None:
    _FOLDER.mkdir(exist_ok=True)
    # Whoever only looks leaves no trace.
    assert {one.name for one in os.scandir(_FOLDER)} == set(_written)
    for name in _written.keys() - files.keys():
        (_FOLDER / name).unlink()
        del _written[name]
    for name, content in files.items():
        if _written.get(name) != content:
            (_FOLDER / name).write_bytes(content)
            _written[name] = content


def run(data: bytes) -> None:
    """All of it is told, and what is wrong is told too; nothing is raised but OSError."""
    bites = Bites(data)
    start, limit = bites.byte(), bites.byte()
    _write(changed(partition(), bites))
    try:
        found = DataFolder.at(_FOLDER)
    except ValueError as error:
        assert str(error)
        return
    for problem in Verification(found, lambda count: None).problems():
        assert str(problem.path)
    dump = Dump(
        _FOLDER,
        start=start % 16,
        limit=limit or None,
        records=limit != 7,
        advance=lambda count: None,
    )
    for document in dump.documents():
        assert document["kind"]


def seeds() -> Iterator[bytes]:
    """The folder as it is, and each file of it changed in some ways."""
    yield b"\x00\x00"
    yield b"\x05\x03"
    for one in changes(partition()):
        yield b"\x00\x00" + one


TARGET = Target(run, seeds, max_len=300)
