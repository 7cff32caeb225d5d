"""Finding records by time, down to the single record."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from pyproducer.broker.log.segment import Segment
from pyproducer.records.batch import BatchHeader
from pyproducer.records.reader import Batch
from pyproducer.records.record import Record

__all__ = ["FoundOffset", "first_at_or_after", "youngest"]


class FoundOffset(NamedTuple):
    """A record's offset and its timestamp in milliseconds."""

    offset: int
    timestamp: int


def first_at_or_after(segment: Segment, timestamp: int, start_offset: int) -> FoundOffset | None:
    """The segment's first record from ``start_offset`` on that is not older than ``timestamp``.

    Raises:
        CorruptRecord: a batch cannot be read.
        OSError: the disk failed.
    """
    if segment.next_offset <= start_offset or segment.largest.timestamp < timestamp:
        return None
    begin = max(segment.time_index.offset_before(timestamp), start_offset)
    for position, header in segment.headers(segment.offset_index.position_of(begin)):
        if header.max_timestamp < timestamp or header.last_offset < start_offset:
            continue
        for record in _records(segment, position, header):
            if record.timestamp_ms >= timestamp and record.offset >= start_offset:
                return FoundOffset(record.offset, record.timestamp_ms)
    return None


def youngest(segment: Segment, start_offset: int) -> FoundOffset | None:
    """The segment's first record from ``start_offset`` on with the highest timestamp there.

    Raises:
        CorruptRecord: a batch cannot be read.
        OSError: the disk failed.
    """
    if segment.next_offset <= start_offset or not segment.size:
        return None
    if segment.largest.offset >= start_offset and segment.base_offset >= start_offset:
        found = _youngest_from(
            segment, segment.largest.offset, start_offset, segment.largest.timestamp
        )
        if found is not None and found.timestamp == segment.largest.timestamp:
            return found
    # The batch with the highest timestamp begins before the start, or compaction emptied it.
    return _youngest_from(segment, start_offset, start_offset, None)


def _youngest_from(
    segment: Segment, begin: int, start_offset: int, wanted: int | None
) -> FoundOffset | None:
    """As :func:`youngest`, from the batch of ``begin`` on; ends early at a timestamp wanted."""
    best: FoundOffset | None = None
    for position, header in segment.headers(segment.offset_index.position_of(begin)):
        if header.last_offset < begin or (best and header.max_timestamp <= best.timestamp):
            continue
        for record in _records(segment, position, header):
            if record.offset >= start_offset and (
                best is None or record.timestamp_ms > best.timestamp
            ):
                best = FoundOffset(record.offset, record.timestamp_ms)
        if best and best.timestamp == wanted:
            break
    return best


def _records(segment: Segment, position: int, header: BatchHeader) -> Iterator[Record]:
    return Batch(header, memoryview(segment.log.pread(header.size, position))).records()
