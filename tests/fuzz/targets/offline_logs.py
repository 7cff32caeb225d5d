"""What `pyproducer log dump` and `pyproducer log verify` are pointed at.

The input is changes to a partition's folder, or a data directory, that was sound.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pyproducer.broker.offline.dump import Dump
from pyproducer.broker.offline.folders import DataFolder
from pyproducer.broker.offline.verification import Verification
from tests.fuzz.bites import Bites
from tests.fuzz.target import Target
from tests.fuzz.targets._files import changed, changes
from tests.fuzz.targets.partition_logs import sound as partition

_PLACE = tempfile.TemporaryDirectory(prefix="pyproducer-fuzz-")


def run(data: bytes) -> None:
    """All of it is told, and what is wrong is told too; nothing is raised but OSError."""
    bites = Bites(data)
    start, limit = bites.byte(), bites.byte()
    folder = Path(_PLACE.name) / "orders-0"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, content in changed(partition(), bites).items():
        (folder / name).write_bytes(content)
    try:
        found = DataFolder.at(folder)
    except ValueError as error:
        assert str(error)
        return
    for problem in Verification(found, lambda count: None).problems():
        assert str(problem.path)
    dump = Dump(
        folder,
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
