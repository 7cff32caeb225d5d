"""One cleaning of one log, from the map of its keys to the last segment put in place."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from pyproducer.broker.log.aborted import AbortedTransaction
from pyproducer.broker.log.cleaner.dirt import Dirt
from pyproducer.broker.log.cleaner.filter import BatchFilter
from pyproducer.broker.log.cleaner.groups import group_segments
from pyproducer.broker.log.cleaner.replacement import (
    CLEANED,
    discard,
    force_to_disk,
    replace_segments,
)
from pyproducer.broker.log.cleaner.settings import CleanerSettings
from pyproducer.broker.log.cleaner.steps import CleaningStopped, Steps, elsewhere
from pyproducer.broker.log.cleaner.transactions import SeenTransactions
from pyproducer.broker.log.filesystem import File
from pyproducer.broker.log.segment import Segment
from pyproducer.errors import CorruptRecord
from pyproducer.records.batch import HEADER_SIZE, read_header
from pyproducer.records.compaction import OffsetMap
from pyproducer.records.reader import Batch, iter_batches

if TYPE_CHECKING:
    from pyproducer.broker.log.log import PartitionLog

__all__ = ["Cleaned", "Cleaning"]

_log = logging.getLogger(__name__)


class Cleaned(NamedTuple):
    """What a cleaning has done.

    Attributes:
        end_offset: Where the clean part of the log ends now.
        bytes_before: Size of what was read to be copied.
        bytes_after: Size of what is left of it.
    """

    end_offset: int
    bytes_before: int
    bytes_after: int


class _Source(NamedTuple):
    """A segment to be read on another thread, by a handle of its own."""

    file: File
    size: int
    position: int
    last: bool


class Cleaning:
    """A cleaning, to be run by its :meth:`steps` once.

    Args:
        log: The log.
        dirt: Its dirty part, as it is now.
        settings: The broker's.
        now_ms: The broker's clock.
        secret: 16 random bytes.
    """

    def __init__(
        self,
        log: PartitionLog,
        dirt: Dirt,
        settings: CleanerSettings,
        *,
        now_ms: int,
        secret: bytes,
    ) -> None:
        self.log = log
        self._fs, self._segments = log.storage
        self._config = log.config
        self._dirt = dirt
        self._settings = settings
        self._now_ms = now_ms
        self._secret = secret
        self._stopped = False
        self._end = dirt.first
        # Offsets are as good a bound as any for how many keys there can be.
        self._offsets = OffsetMap(max(1, min(settings.keys, dirt.end - dirt.first)), secret)

    def stop(self) -> None:
        """The steps end soon. What is in place stays there; the rest is as it was."""
        self._stopped = True

    def steps(self) -> Steps[Cleaned]:
        """The log is clean up to an offset, which is given.

        Raises:
            CleaningStopped: it was stopped, or the log is closed or lost segments meanwhile.
            CorruptRecord: a batch cannot be read; segments before it may be clean.
            OSError: the disk failed. Where that leaves in doubt what a start would find, the
                log is offline.
        """
        log = self.log
        aborted = [one for segment in self._segments for one in segment.aborted.entries()]
        yield from self._map(aborted)
        # What is newer must not be lost where what it replaces is gone.
        if log.recovery_point < self._end:
            ticket = log.begin_flush()
            try:
                yield from elsewhere(ticket.sync)
            finally:
                log.end_flush(ticket)
            self._check()
        old = [one for one in self._segments if one.base_offset < self._end]
        if old and old[-1] is self._segments.active:
            raise CleaningStopped
        filtered = BatchFilter(
            self._offsets,
            self._end,
            transactions := SeenTransactions(self._segments.first.base_offset, aborted),
            log.producers(),
            now_ms=self._now_ms,
            delete_retention_ms=self._config.delete_retention_ms,
            limit=self._config.decompressed_limit,
        )
        before = sum(one.size for one in old)
        after = 0
        for group in group_segments(old, self._config):
            after += yield from self._clean(group, filtered, transactions)
        return Cleaned(self._end, before, after)

    def _check(self) -> None:
        """Returns if the log is still there to be cleaned."""
        if self._stopped or not self.log.online:
            raise CleaningStopped

    def _check_log(self) -> None:
        """Returns if the log's directory is still the log's."""
        if not self.log.online:
            raise CleaningStopped

    def _source(self, segment: Segment, position: int, *, last: bool) -> _Source:
        if segment not in set(self._segments):
            raise CleaningStopped
        file = self._fs.open(segment.path(".log"), create=False)
        return _Source(file, segment.size, position, last)

    def _map(self, aborted: Sequence[AbortedTransaction]) -> Steps[None]:
        """The newest offset of each key is known up to the end, which is where that ends."""
        first, end = self._dirt.first, self._dirt.end
        transactions = SeenTransactions(first, aborted)
        for segment in self._segments.since(first):
            if segment.base_offset >= end:
                break
            source = self._source(segment, segment.offset_index.position_of(first), last=False)
            try:
                all_in = yield from elsewhere(self._mapping(source, transactions))
            finally:
                source.file.close()
            self._check()
            if not all_in:
                return
            # Also where the last offsets of the segment are in none of its batches.
            self._end = min(segment.next_offset, end)

    def _mapping(self, source: _Source, transactions: SeenTransactions) -> Callable[[], bool]:
        def add() -> bool:
            first = self._dirt.first
            for _, batch in self._batches(source):
                header = batch.header
                batch.verify()
                if header.is_control:
                    transactions.on_marker(batch)
                elif not transactions.on_batch(header) and header.last_offset >= first:
                    records = batch.payload(limit=self._config.decompressed_limit)
                    if not self._offsets.add(
                        records, header.record_count, header.base_offset, first
                    ):
                        if self._end > first:
                            return False
                        # One batch at least, or it would never go on.
                        self._offsets = OffsetMap(header.record_count, self._secret)
                        self._offsets.add(records, header.record_count, header.base_offset, first)
                self._end = max(self._end, header.next_offset)
            return True

        return add

    def _batches(self, source: _Source) -> Iterator[tuple[int, Batch]]:
        """(position, batch) of each batch; runs on another thread."""
        position = source.position
        while position < source.size:
            left = source.size - position
            chunk = source.file.pread(min(left, self._settings.read_size), position)
            if len(chunk) >= HEADER_SIZE or left < HEADER_SIZE:
                size = read_header(chunk).size
            else:
                size = read_header(source.file.pread(HEADER_SIZE, position)).size
            if size > left:
                raise CorruptRecord(f"a batch at {position} runs past the end of its segment")
            if size > len(chunk):
                chunk = source.file.pread(size, position)
            start = position
            for batch in iter_batches(chunk):
                if self._stopped:
                    raise CleaningStopped
                yield position, batch
                position += batch.header.size
            if position == start:
                raise CorruptRecord(f"there is no whole batch at {position}")

    def _clean(
        self, group: Sequence[Segment], filtered: BatchFilter, transactions: SeenTransactions
    ) -> Steps[int]:
        """The segments are one, without what is not needed; says how large that is."""
        log = self.log
        transactions.still_aborted.clear()
        base = group[0].base_offset
        # What a start would have removed is there where this process once failed to.
        discard(self._fs, log.directory, base)
        new = Segment(
            self._fs,
            log.directory,
            base,
            self._config,
            created_ms=group[-1].created_ms,
            suffix=CLEANED,
        )
        try:
            new.start()
            changed = len(group) > 1
            for segment in group:
                source = self._source(segment, 0, last=segment is group[-1])
                try:
                    changed |= yield from elsewhere(self._copying(source, new, filtered))
                finally:
                    source.file.close()
                self._check()
            if not changed:
                return group[0].size
            for one in transactions.still_aborted:
                new.aborted.append(one)
            new.next_offset = group[-1].next_offset
            new.seal()
            yield from force_to_disk(self._fs, log.directory, new)
            self._check()
            if not set(group) <= set(self._segments):
                raise CleaningStopped
            yield from self._put_in_place(group, new)
            return new.size
        finally:
            if new not in set(self._segments):
                new.close()
                self._discard(base)

    def _copying(self, source: _Source, new: Segment, filtered: BatchFilter) -> Callable[[], bool]:
        def copy() -> bool:
            changed = False
            for position, batch in self._batches(source):
                size = batch.header.size
                # The last batch of all says up to which offset the new segment stands.
                last = source.last and position + size == source.size
                kept = filtered.cleaned(batch, keep_empty=last)
                if kept is None:
                    changed = True
                    continue
                changed |= kept.changed
                new.append(
                    kept.buffers,
                    last_offset=kept.header.last_offset,
                    max_timestamp=kept.header.max_timestamp,
                    index_interval=self._config.index_interval_bytes,
                )
            return changed

        return copy

    def _put_in_place(self, group: Sequence[Segment], new: Segment) -> Steps[None]:
        log = self.log
        log.replacing = True
        try:
            yield from replace_segments(
                self._fs, log.directory, self._segments, group, new, check=self._check_log
            )
        except OSError as error:
            if new in set(self._segments):
                log.fail("replace segments", error)
            raise
        finally:
            log.replacing = False

    def _discard(self, base_offset: int) -> None:
        if not self.log.online:
            # The directory can be another log's by now. A start finds what is left in this one.
            return
        try:
            discard(self._fs, self.log.directory, base_offset)
        except OSError as error:
            # A start might take for the truth what does not count here.
            self.log.fail("discard a cleaned segment", error)
