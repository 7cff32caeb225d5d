"""A partition's folder that a broker finds at its start: segments, indexes, snapshots, epochs.

The input is how the last stop was, and changes to a folder that was sound.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from pyproducer.broker.errors import Refused
from pyproducer.broker.log.log import PartitionLog
from pyproducer.errors import CorruptRecord
from pyproducer.records.codec import Codec
from pyproducer.records.reader import iter_batches
from tests.fuzz.bites import Bites
from tests.fuzz.target import Target
from tests.fuzz.targets._files import Files, changed, changes, read_all
from tests.helpers.memory_disk import MemoryDisk
from tests.helpers.partition_logs import batch, open_log, put, release_logs

_FOLDER = Path("/data/orders-0")
_POINTS = (0, 3, 9, 1 << 40, -1)


@cache
def sound() -> Files:
    """A folder of three segments, with producers, a transaction and every codec."""
    disk = MemoryDisk()
    disk.mkdir(_FOLDER)
    log = open_log(_FOLDER, fs=disk, segment_bytes=400, index_interval_bytes=100)
    for number, codec in enumerate(Codec):
        put(log, batch(2, codec=codec), leader_epoch=number // 2)
    put(log, producer=(7, 0, 0), count=2)
    put(log, producer=(8, 0, 0), transactional=True)
    log.flush()
    log.close()
    release_logs()
    return read_all(disk, _FOLDER)


def run(data: bytes) -> None:
    """The log opens with what is sound of it, takes records, and opens again as it was."""
    bites = Bites(data)
    how = bites.byte()
    disk = MemoryDisk.holding(_FOLDER, changed(sound(), bites))
    try:
        clean = bool(how & 1)
        point = _POINTS[how >> 1 & 7 if (how >> 1 & 7) < len(_POINTS) else 0]
        log = open_log(_FOLDER, fs=disk, clean=clean, recovery_point=point)
        end = _end_after_use(log)
        if clean:
            return
        log.close()
        again = open_log(_FOLDER, fs=disk, clean=False, recovery_point=point)
        assert end == again.log_end_offset
    except OSError:
        return
    finally:
        release_logs()


def _end_after_use(log: PartitionLog) -> int:
    offset, end = log.log_start_offset, log.log_end_offset
    assert 0 <= offset <= end
    with contextlib.suppress(CorruptRecord, Refused):
        while offset < end:
            found = log.read(offset, 1 << 16)
            before = offset
            for one in iter_batches(found):
                offset = one.header.next_offset
                with contextlib.suppress(CorruptRecord):
                    sum(1 for _ in one.records(limit=1 << 20))
            if offset <= before:
                break
    for timestamp in (0, 1 << 50):
        with contextlib.suppress(CorruptRecord, Refused):
            log.offset_for_timestamp(timestamp)
    with contextlib.suppress(Refused):
        put(log, producer=(7, 0, 2))
    with contextlib.suppress(Refused):
        put(log)
    log.flush()
    return log.log_end_offset


def seeds() -> Iterator[bytes]:
    """The folder as it is, and each file of it changed in some ways."""
    yield b"\x00"
    yield b"\x01"
    for how in (0, 1):
        for one in changes(sound()):
            yield bytes((how,)) + one


TARGET = Target(run, seeds, max_len=300)
