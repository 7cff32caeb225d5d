"""The reading half of a partition's log: what it holds, and how to find it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyproducer.broker.errors import Refused
from pyproducer.broker.log.health import LogHealth
from pyproducer.broker.log.index import CorruptIndexError
from pyproducer.broker.log.segment_list import SegmentList
from pyproducer.broker.log.slices import EMPTY, LogSlice
from pyproducer.errors import CorruptRecord
from pyproducer.protocol.error_codes import ErrorCode

if TYPE_CHECKING:
    from pyproducer.broker.log.aborted import AbortedTransaction
    from pyproducer.broker.log.epochs import EpochEnd, LeaderEpochs
    from pyproducer.broker.log.lookup import FoundOffset
    from pyproducer.broker.log.producer_state import ProducerStates
    from pyproducer.model import TopicPartition

__all__ = ["ReadableLog"]


class ReadableLog:
    """One partition's log as readers see it; `PartitionLog` is what changes it.

    Attributes:
        topic_partition: Whose log this is.
        log_start_offset: Oldest offset that may be read.
        high_watermark: Offset up to which consumers read.
    """

    def __init__(
        self, topic_partition: TopicPartition, producers: ProducerStates, epochs: LeaderEpochs
    ) -> None:
        self.topic_partition = topic_partition
        self.log_start_offset = 0
        self.high_watermark = 0
        self._health = LogHealth(topic_partition)
        self._segments = SegmentList([])
        self._producers = producers
        self._epochs = epochs

    @property
    def log_end_offset(self) -> int:
        """Offset that the next record gets."""
        return self._segments.end_offset

    @property
    def last_stable_offset(self) -> int:
        """Offset below which no transaction is open, at most the high watermark."""
        first_open = self._producers.first_open_offset
        if first_open is None:
            return self.high_watermark
        # DeleteRecords may have passed the start of an open transaction.
        return min(max(first_open, self.log_start_offset), self.high_watermark)

    @property
    def size(self) -> int:
        """Bytes of all batches on disk."""
        return self._segments.size

    @property
    def segments(self) -> SegmentList:
        """Its segments, oldest first; they stay the log's own."""
        return self._segments

    @property
    def segment_base_offsets(self) -> list[int]:
        """First offset of each segment, oldest first."""
        return [segment.base_offset for segment in self._segments]

    @property
    def leader_epoch(self) -> int:
        """Newest epoch that the log knows, or -1."""
        return self._epochs.latest

    def read(self, offset: int, max_bytes: int, *, max_offset: int | None = None) -> bytes:
        """What :meth:`slice` finds, read; b"" where there is none yet.

        Raises:
            Refused: as :meth:`slice` does.
        """
        found = self.slice(offset, max_bytes, max_offset=max_offset)
        try:
            return found.read()
        except OSError as error:
            raise self._health.unreadable(error) from error

    def slice(
        self,
        offset: int,
        max_bytes: int,
        *,
        max_offset: int | None = None,
        min_one_batch: bool = True,
    ) -> LogSlice:
        """Whole batches from the one that holds ``offset`` on, found and not read.

        The first batch may start below ``offset``: readers skip what they did not ask for.

        Args:
            offset: First offset wanted.
            max_bytes: Limit of the answer.
            max_offset: Records from here on are left out; None takes the high watermark.
            min_one_batch: Give the first batch even if it alone exceeds ``max_bytes``.

        Raises:
            Refused: OFFSET_OUT_OF_RANGE outside log start and log end, KAFKA_STORAGE_ERROR,
                CORRUPT_MESSAGE.
        """
        end = self.log_end_offset
        if not self.log_start_offset <= offset <= end:
            raise Refused(
                ErrorCode.OFFSET_OUT_OF_RANGE,
                f"{self.topic_partition}: offset {offset} is not in "
                f"[{self.log_start_offset}, {end}]",
            )
        limit = min(self.high_watermark if max_offset is None else max_offset, end)
        if offset >= limit:
            return EMPTY
        try:
            return self._segments.slice(offset, max_bytes, limit=limit, at_least_one=min_one_batch)
        except (OSError, CorruptRecord) as error:
            raise self._health.unreadable(error) from error

    def aborted_transactions(self, offset: int, end_offset: int) -> list[AbortedTransaction]:
        """The aborted transactions that a reader of these offsets, the end excluded, must know.

        Raises:
            Refused: KAFKA_STORAGE_ERROR or CORRUPT_MESSAGE.
        """
        try:
            return self._segments.aborted(offset, end_offset)
        except (OSError, CorruptIndexError) as error:
            raise self._health.unreadable(error) from error

    def offset_for_timestamp(
        self, timestamp: int, *, max_offset: int | None = None
    ) -> FoundOffset | None:
        """The first record at least as young as ``timestamp``, or None if there is none.

        Args:
            timestamp: Milliseconds since the epoch.
            max_offset: Records from here on are not looked at; None takes the high watermark.

        Raises:
            Refused: KAFKA_STORAGE_ERROR.
        """
        limit = self.high_watermark if max_offset is None else max_offset
        try:
            found = self._segments.first_at_or_after(timestamp, self.log_start_offset)
        except (OSError, CorruptRecord) as error:
            raise self._health.unreadable(error) from error
        return found if found is not None and found.offset < limit else None

    def max_timestamp_offset(self) -> FoundOffset | None:
        """The first record with the highest timestamp of all, or None in an empty log.

        Raises:
            Refused: KAFKA_STORAGE_ERROR.
        """
        try:
            return self._segments.youngest(self.log_start_offset)
        except (OSError, CorruptRecord) as error:
            raise self._health.unreadable(error) from error

    def epoch_of(self, offset: int) -> int:
        """The leader's epoch in which the record of that offset came; -1 where nobody knows."""
        return self._epochs.epoch_of(offset)

    def end_offset_for_epoch(self, epoch: int) -> EpochEnd:
        """Where the newest epoch not above ``epoch`` ended; (-1, -1) where nobody knows."""
        return self._epochs.end_offset_for(epoch, self.log_end_offset)
