"""One segment of a log: a ``.log`` file of record batches and its indexes.

The bytes of the ``.log`` are the bytes of the wire. Everything that must be known about them
(size, newest timestamp) is held beside, so that an append is one ``writev``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from pyproducer.broker.log.aborted import AbortedIndex
from pyproducer.broker.log.config import LogConfig
from pyproducer.broker.log.filesystem import File, FileSystem, append_all
from pyproducer.broker.log.index import (
    CorruptIndexError,
    OffsetIndex,
    TimeIndex,
    TimestampOffset,
)
from pyproducer.broker.log.slices import EMPTY, LogSlice, SharedFile
from pyproducer.errors import CorruptRecord
from pyproducer.model import Buffer
from pyproducer.records.batch import HEADER_SIZE, MIN_BATCH_LENGTH, BatchHeader, read_header

__all__ = ["INDEX_SUFFIXES", "MAX_RELATIVE_OFFSET", "Segment", "file_name"]

#: The files beside a ``.log`` that say nothing of their own.
INDEX_SUFFIXES: Final = (".index", ".timeindex", ".txnindex")

#: Offsets in an index are 32 bits wide, relative to the segment's base.
MAX_RELATIVE_OFFSET: Final = (1 << 31) - 1
# Small batches are found many at a time; a large one costs one read of this size.
_SCAN_CHUNK: Final = 16 * 1024


def file_name(offset: int, suffix: str) -> str:
    """Kafka's name for a file of the segment that starts at ``offset``."""
    return f"{offset:020d}{suffix}"


class Segment:
    """A stretch of the log from ``base_offset`` on.

    Attributes:
        base_offset: No record in it has a lower offset; the next segment's is the end.
        aborted: The aborted transactions whose markers are in it.
        size: Bytes of whole batches in the ``.log``.
        largest: Highest timestamp of its batches and the last offset of the first batch that
            has it; (-1, base offset) without any.
        first_timestamp: Highest timestamp of its first batch, -1 without a batch.
        created_ms: Broker's clock when it was made or opened.
        next_offset: Offset after its last batch. Kept by whoever appends or recovers.
    """

    def __init__(
        self,
        fs: FileSystem,
        directory: Path,
        base_offset: int,
        config: LogConfig,
        *,
        created_ms: int,
        suffix: str = "",
    ) -> None:
        self._fs = fs
        self._directory = directory
        self._suffix = suffix
        self.base_offset = base_offset
        self.created_ms = created_ms
        self.log: File = fs.open(self.path(".log"))
        self._shared: SharedFile | None = SharedFile(self.log)
        self.size = self.log.size()
        self.offset_index = OffsetIndex(
            fs, self.path(".index"), base_offset, config.segment_index_bytes
        )
        self.time_index = TimeIndex(
            fs, self.path(".timeindex"), base_offset, config.segment_index_bytes
        )
        self.aborted = AbortedIndex(fs, self.path(".txnindex"))
        self.largest = TimestampOffset(-1, base_offset)
        self.first_timestamp = -1
        self.next_offset = base_offset
        self._bytes_since_index = 0

    def path(self, suffix: str) -> Path:
        """Path of one of the segment's files."""
        return self._directory / file_name(self.base_offset, suffix + self._suffix)

    def rename(self, suffix: str, *, log_last: bool) -> None:
        """The names of the files end in that suffix.

        Args:
            suffix: Behind ``.log`` and the others; "" is a segment in use.
            log_last: Whether the ``.log`` is renamed after its indexes, or before them.

        Raises:
            OSError: some may have the new name.
        """
        kinds = [*INDEX_SUFFIXES, ".log"] if log_last else [".log", *INDEX_SUFFIXES]
        names = [(kind, self.path(kind)) for kind in kinds]
        indexes: dict[str, OffsetIndex | TimeIndex | AbortedIndex] = {
            ".index": self.offset_index,
            ".timeindex": self.time_index,
            ".txnindex": self.aborted,
        }
        self._suffix = suffix
        for kind, old in names:
            new = self.path(kind)
            if kind == ".log" or self._fs.exists(old):
                self._fs.rename(old, new)
            if kind in indexes:
                indexes[kind].path = new

    def start(self) -> None:
        """The new segment takes batches; index files left by another life are emptied.

        Raises:
            OSError: a file could not be made.
        """
        self.offset_index.clear()
        self.time_index.clear()
        self.aborted.clear()

    def load_sealed(self, next_offset: int) -> None:
        """An earlier segment of a log is known, from the last entries of its indexes.

        Args:
            next_offset: Base of the segment that follows.

        Raises:
            CorruptIndexError: an index cannot be trusted.
        """
        self.next_offset = next_offset
        self.offset_index.open(growing=False)
        self.time_index.open(growing=False)
        self.aborted.open(growing=False)
        self._trusted_tail()
        self.largest = self.time_index.last

    def load_active(self) -> None:
        """The last segment of a log is known, from its indexes and the tail they point to.

        Raises:
            CorruptIndexError: an index cannot be trusted.
            CorruptRecord: the tail of the log cannot be read.
        """
        self.offset_index.open(growing=True)
        self.time_index.open(growing=True)
        self.aborted.open(growing=True)
        tail = self._trusted_tail()
        self.largest = self.time_index.last
        self.next_offset = self.base_offset
        self._bytes_since_index = self.size - tail
        for position, header in self.headers(tail):
            if (
                not self.next_offset
                <= header.base_offset
                <= header.last_offset
                <= self._last_offset
            ):
                raise CorruptRecord(
                    f"{self.path('.log')}: offsets {header.base_offset} to {header.last_offset} "
                    f"at {position}, after {self.next_offset - 1}"
                )
            self.next_offset = header.next_offset
            if header.max_timestamp > self.largest.timestamp:
                self.largest = TimestampOffset(header.max_timestamp, header.last_offset)
        self.first_batch_timestamp()

    @property
    def _last_offset(self) -> int:
        """The highest offset that the segment's indexes can tell of."""
        return self.base_offset + MAX_RELATIVE_OFFSET

    def _trusted_tail(self) -> int:
        """Position of the last indexed batch, once that batch is seen to be there."""
        indexed = self.offset_index.last
        if indexed is None:
            return 0
        if indexed.position < self.size:
            for _, header in self.headers(indexed.position):
                if header.last_offset == indexed.offset:
                    return indexed.position
                break
        raise CorruptIndexError(f"{self.offset_index.path}: no batch where the last entry points")

    def first_batch_timestamp(self) -> int:
        """Highest timestamp of the first batch, -1 without a batch.

        Raises:
            OSError: it cannot be read.
            CorruptRecord: likewise.
        """
        if self.first_timestamp < 0:
            for _, header in self.headers(0):
                self.first_timestamp = header.max_timestamp
                break
        return self.first_timestamp

    def would_overflow(self, config: LogConfig, header: BatchHeader, now_ms: int) -> bool:
        """Whether the batch, which comes next, belongs into a new segment."""
        size = header.size
        if self.size > config.segment_bytes - size or self.size > MAX_RELATIVE_OFFSET - size:
            return True
        if self.next_offset + header.last_offset_delta - self.base_offset > MAX_RELATIVE_OFFSET:
            return True
        if self.offset_index.full or self.time_index.full:
            return True
        if not self.size:
            return False
        waited = (
            header.max_timestamp - self.first_timestamp
            if self.first_timestamp >= 0
            else now_ms - self.created_ms
        )
        return waited > config.max_segment_ms

    def append(
        self,
        buffers: Sequence[Buffer],
        *,
        last_offset: int,
        max_timestamp: int,
        index_interval: int,
    ) -> int:
        """One batch is at the end of the log file; says where it starts.

        Raises:
            OSError: nothing was written.
        """
        position = self.size
        written = append_all(self.log, buffers, at=position)
        self.size += written
        self.account(
            position,
            written,
            last_offset=last_offset,
            max_timestamp=max_timestamp,
            index_interval=index_interval,
        )
        return position

    def account(
        self,
        position: int,
        size: int,
        *,
        last_offset: int,
        max_timestamp: int,
        index_interval: int,
    ) -> None:
        """The indexes and the segment's memory know the batch that lies at ``position``."""
        if not position:
            self.first_timestamp = max_timestamp
        if max_timestamp > self.largest.timestamp:
            self.largest = TimestampOffset(max_timestamp, last_offset)
        if self._bytes_since_index > index_interval:
            self.offset_index.append(last_offset, position)
            self.time_index.maybe_append(*self.largest)
            self._bytes_since_index = 0
        self._bytes_since_index += size
        self.next_offset = last_offset + 1

    def headers(self, position: int, end: int | None = None) -> Iterator[tuple[int, BatchHeader]]:
        """(position, header) of each batch from ``position``, a batch start, up to ``end``.

        Raises:
            CorruptRecord: a length cannot be that of a batch, or a batch is cut off.
        """
        end = self.size if end is None else min(end, self.size)
        chunk, start = b"", 0
        while position < end:
            at = position - start
            if at + HEADER_SIZE > len(chunk):
                chunk, start, at = self.log.pread(_SCAN_CHUNK, position), position, 0
            header = read_header(chunk, at)
            if header.batch_length < MIN_BATCH_LENGTH or position + header.size > self.size:
                raise CorruptRecord(
                    f"{self.path('.log')}: batch length {header.batch_length} at {position} "
                    f"of {self.size} bytes"
                )
            yield position, header
            position += header.size

    def find(self, offset: int) -> tuple[int, BatchHeader] | None:
        """The first batch that ends at ``offset`` or later, or None if all end before."""
        for position, header in self.headers(self.offset_index.position_of(offset)):
            if header.last_offset >= offset:
                return position, header
        return None

    def slice(
        self, offset: int, max_bytes: int, *, end_offset: int | None, at_least_one: bool
    ) -> LogSlice:
        """Whole batches from the one that holds ``offset``, or comes next, on.

        Args:
            offset: Where to start.
            max_bytes: Limit of the answer.
            end_offset: Batches holding this offset or later ones are left out; None has no
                such limit.
            at_least_one: Whether the first batch is given even if it exceeds ``max_bytes``.
        """
        found = self.find(offset)
        if found is None or self._shared is None:
            return EMPTY
        start, first = found
        limit, limit_offset = self.size, self.next_offset
        if end_offset is not None and end_offset < self.next_offset:
            beyond = self.find(end_offset)
            if beyond is not None:
                limit, limit_offset = beyond[0], beyond[1].base_offset
        if start >= limit:
            return EMPTY
        if first.size > max_bytes:
            size, last = first.size if at_least_one else 0, first.next_offset
        elif start + max_bytes >= limit:
            size, last = limit - start, limit_offset
        else:
            wanted = start + max_bytes
            indexed = self.offset_index.position_before(wanted)
            end, last = self._batch_end(max(start, indexed), wanted)
            size = end - start
        return self._shared.lend(start, size, end_offset=last)

    def _batch_end(self, position: int, limit: int) -> tuple[int, int]:
        """Where the last batch ends that fits below ``limit``, and the offset after it.

        The search goes from ``position``, the start of a batch.
        """
        end, next_offset = position, self.base_offset
        for start, header in self.headers(position, limit):
            if start + header.size > limit:
                break
            end, next_offset = start + header.size, header.next_offset
        return end, next_offset

    def truncate(self, offset: int, config: LogConfig) -> int:
        """No batch holds ``offset`` or a later one; says how many bytes went.

        Raises:
            OSError: the files could not be cut.
        """
        found = self.find(offset)
        if found is None:
            return 0
        position = found[0]
        removed = self.size - position
        assert self._shared is not None
        self._shared.truncate(position)
        self.size = position
        self.aborted.truncate(offset)
        self._rescan(config)
        return removed

    def rescan(self, config: LogConfig) -> None:
        """Indexes and memory are rebuilt from the headers in the log.

        Aborted transactions are not in the headers: if any marker is there, their index says
        that it is not complete.
        """
        self.aborted.clear()
        self.aborted.complete = not self._rescan(config)

    def _rescan(self, config: LogConfig) -> bool:
        """Rebuilds; says whether there is a control batch."""
        markers = False
        self.offset_index.clear()
        self.time_index.clear()
        self.largest = TimestampOffset(-1, self.base_offset)
        self.first_timestamp = -1
        self.next_offset = self.base_offset
        self._bytes_since_index = 0
        for position, header in self.headers(0):
            self.account(
                position,
                header.size,
                last_offset=header.last_offset,
                max_timestamp=header.max_timestamp,
                index_interval=config.index_interval_bytes,
            )
            markers = markers or header.is_control
        return markers

    def complete_indexes(self) -> None:
        """The index files are complete, as Kafka leaves those of a closed segment."""
        if self.size:
            self.time_index.maybe_append(*self.largest)
        self.offset_index.write_behind()
        self.time_index.write_behind()
        self.aborted.write_behind()

    def seal(self) -> None:
        """No batch will follow: index files are complete and their memory is released."""
        self.complete_indexes()
        self.offset_index.seal()
        self.time_index.seal()
        self.aborted.seal()

    def close(self) -> None:
        """The log file is released; slices that are under way keep it open until they are gone."""
        self._shared = None

    def delete(self) -> None:
        """The files are gone."""
        self.close()
        for suffix in (*INDEX_SUFFIXES, ".log"):
            self._fs.remove(self.path(suffix))
