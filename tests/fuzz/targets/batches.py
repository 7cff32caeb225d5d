"""Record batches: cutting, reading, scanning and compacting them, by both twins.

The input is count, offset and timestamp of a header, what compaction is asked, then the records.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pyproducer.errors import CorruptRecord
from pyproducer.records.reader import iter_batches
from tests.fuzz.bites import Bites
from tests.fuzz.target import Target
from tests.fuzz.twins import outcome, same, twins
from tests.helpers.record_batches import NOON, every_shape

_SCANS = twins("records", "scan")
_COMPACTIONS = twins("records", "compaction")
_SEALS = twins("records", "seal")
_SECRET = bytes(range(16))
_NUMBERS = (0, 1, -1, NOON, (1 << 63) - 1, -(1 << 63), (1 << 31) - 1, -(1 << 31))
_COUNTS = (0, 1, 2, 3, -1, (1 << 31) - 1, -(1 << 31))


def run(data: bytes) -> None:
    """The twins give the same records, or the same error; nothing else is raised."""
    bites = Bites(data)
    kind = bites.byte()
    count = bites.one_of(_COUNTS) if kind & 1 else bites.byte()
    offset, timestamp = bites.one_of(_NUMBERS), bites.one_of(_NUMBERS)
    records = bites.rest()
    if kind & 2:
        _whole(records)
        return
    append_time = NOON if kind & 4 else None
    same(
        [outcome(lambda: t.scan_records(records, count, timestamp), CorruptRecord) for t in _SCANS]
    )
    found = same(
        [
            outcome(
                lambda: t.read_records(records, count, offset, timestamp, append_time),
                CorruptRecord,
            )
            for t in _SCANS
        ]
    )
    if found[0] == "returned":
        assert len(found[1]) == count
    # Offsets of a log that was opened do not overflow: recovery ends it before.
    if abs(offset) < 1 << 62:
        same([_compacted(twin, kind, records, count, offset, timestamp) for twin in _COMPACTIONS])
    if count >= 0:
        same([_sealed(twin, records, count, timestamp) for twin in _SEALS])


def _compacted(
    twin: Any, kind: int, records: bytes, count: int, offset: int, timestamp: int
) -> list[Any]:
    offsets = twin.OffsetMap(1 + (kind >> 3 & 3), _SECRET)
    first = offset + (kind >> 5 & 1)
    return [
        outcome(lambda: offsets.add(records, count, offset, first), CorruptRecord),
        len(offsets),
        outcome(
            lambda: offsets.retained(
                records, count, offset, timestamp, offset + 2, bool(kind & 0x40)
            ),
            CorruptRecord,
        ),
        outcome(lambda: twin.rebased(records, count, timestamp), CorruptRecord),
    ]


def _sealed(twin: Any, records: bytes, count: int, timestamp: int) -> bytes:
    header: bytes = twin.seal_header(records, 0, count, timestamp, timestamp, timestamp, -1, -1)
    return header


def _whole(data: bytes) -> None:
    """Batches with their headers: none is longer than the bytes, none has what is not there."""
    size = 0
    try:
        for batch in iter_batches(data):
            size += len(batch.view)
            try:
                batch.verify()
                count = sum(1 for _ in batch.records(limit=1 << 20))
            except CorruptRecord:
                continue
            assert count == batch.header.record_count
    except CorruptRecord:
        return
    assert size <= len(data)


def seeds() -> Iterator[bytes]:
    """Records of every shape, alone and together, and whole batches of every codec."""
    from pyproducer.records.batch import HEADER_SIZE
    from pyproducer.records.builder import build_batch
    from pyproducer.records.codec import Codec

    shapes = every_shape()[:11]
    for number in range(len(shapes)):
        some = [one._replace(offset=at) for at, one in enumerate(shapes[number : number + 3])]
        yield bytes((number << 3 & 0xFF, len(some), 3, 3)) + build_batch(some)[HEADER_SIZE:]
    for codec in Codec:
        yield b"\x02\x00\x00\x00" + build_batch(shapes[:3], codec=codec) * 2
    yield b"\x01\x05\x05\x05" + bytes(16)


TARGET = Target(run, seeds)
