"""The segments of a log in order: finding the right one, and cutting at either end."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Final

from pyproducer.broker.log import lookup
from pyproducer.broker.log.aborted import AbortedTransaction
from pyproducer.broker.log.config import LogConfig
from pyproducer.broker.log.lookup import FoundOffset
from pyproducer.broker.log.segment import Segment
from pyproducer.broker.log.slices import EMPTY, LogSlice
from pyproducer.records.batch import HEADER_SIZE, read_header

__all__ = ["SegmentList"]

# Where nothing is left a cleaning keeps the last batch, and rarely another of a live producer.
_MOST_EMPTY: Final = 8 * HEADER_SIZE


class SegmentList:
    """At least one segment, oldest first; the last one takes appends.

    Every method may raise OSError where the disk fails, and CorruptRecord where a batch on it
    cannot be read.
    """

    def __init__(self, segments: list[Segment]) -> None:
        self._segments = segments

    def __len__(self) -> int:
        return len(self._segments)

    def __iter__(self) -> Iterator[Segment]:
        return iter(self._segments)

    @property
    def first(self) -> Segment:
        """The oldest segment."""
        return self._segments[0]

    @property
    def active(self) -> Segment:
        """The segment that takes appends."""
        return self._segments[-1]

    @property
    def end_offset(self) -> int:
        """Offset that the next record gets."""
        return self._segments[-1].next_offset

    @property
    def size(self) -> int:
        """Bytes of all batches."""
        return sum(segment.size for segment in self._segments)

    def append(self, segment: Segment) -> None:
        """The segment takes the appends from here on."""
        self._segments.append(segment)

    def since(self, offset: int) -> list[Segment]:
        """The segment that holds an offset, or would, and all after it."""
        at = bisect_right(self._segments, offset, key=lambda segment: segment.base_offset)
        return self._segments[max(0, at - 1) :]

    def slice(self, offset: int, max_bytes: int, *, limit: int, at_least_one: bool) -> LogSlice:
        """Whole batches of one segment: from the one that holds ``offset``, or comes next, on.

        Where compaction left no record from there to the end of a segment, those of the next one.
        Answers of nothing but empty batches, one after the other, make librdkafka say that a
        message is too large.

        Args:
            offset: Where to start.
            max_bytes: Limit of the answer.
            limit: Batches holding this offset or later ones are left out.
            at_least_one: Whether the first batch is given even if it exceeds ``max_bytes``.
        """
        empty = EMPTY
        for segment in self.since(offset):
            if segment.base_offset >= limit:
                break
            if segment.next_offset <= offset:
                continue
            found = segment.slice(
                max(offset, segment.base_offset),
                max_bytes,
                end_offset=limit if limit < segment.next_offset else None,
                at_least_one=at_least_one,
            )
            if not found.size and empty.size:
                break
            if segment is not self.active and _without_records(found):
                empty = found
            elif found.end_offset >= 0:
                return found
        return empty

    def first_at_or_after(self, timestamp: int, start_offset: int) -> FoundOffset | None:
        """The first record from ``start_offset`` on that is not older than ``timestamp``."""
        for segment in self._segments:
            found = lookup.first_at_or_after(segment, timestamp, start_offset)
            if found is not None:
                return found
        return None

    def youngest(self, start_offset: int) -> FoundOffset | None:
        """The first record from ``start_offset`` on with the highest timestamp of all."""
        found = (lookup.youngest(segment, start_offset) for segment in self._segments)
        return max(
            (record for record in found if record is not None),
            key=lambda record: (record.timestamp, -record.offset),
            default=None,
        )

    def aborted(self, start: int, end: int) -> list[AbortedTransaction]:
        """The aborted transactions with records from ``start`` on that begin before ``end``.

        Raises:
            CorruptIndexError: a list of them cannot be read.
        """
        found: list[AbortedTransaction] = []
        if end <= start or not any(len(segment.aborted) for segment in self._segments):
            return found
        for segment in self.since(start):
            for entry in segment.aborted.entries():
                if entry.last_offset >= start and entry.first_offset < end:
                    found.append(entry)
                if entry.last_stable_offset >= end:
                    return found
        return found

    def replace(self, old: Sequence[Segment], new: Segment) -> None:
        """The segment stands in the place of some that follow each other, the active one not."""
        at = self._segments.index(old[0])
        if self._segments[at : at + len(old)] != list(old):
            raise ValueError("the segments do not follow each other")
        self._segments[at : at + len(old)] = [new]

    def drop_first(self) -> Segment:
        """The oldest segment is off the list, and its files are the caller's."""
        return self._segments.pop(0)

    def below(self, offset: int) -> bool:
        """Whether the oldest segment ends at or below ``offset`` and is not the last."""
        return len(self._segments) > 1 and self._segments[1].base_offset <= offset

    def truncate(self, offset: int, config: LogConfig) -> None:
        """No batch holds ``offset`` or a later one."""
        while len(self._segments) > 1 and self._segments[-1].base_offset >= offset:
            self._segments.pop().delete()
        self._segments[-1].truncate(offset, config)

    def close(self) -> None:
        """The files are released."""
        for segment in self._segments:
            segment.close()


def _without_records(found: LogSlice) -> bool:
    """Whether a slice has batches, and all of them are empty."""
    if not 0 < found.size <= _MOST_EMPTY or found.size % HEADER_SIZE:
        return False
    data = found.read()
    return all(
        read_header(data[at : at + HEADER_SIZE]).size == HEADER_SIZE
        for at in range(0, len(data), HEADER_SIZE)
    )
