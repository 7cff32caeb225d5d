"""What a cleaning leaves of one batch.

A batch keeps its base offset, last offset delta, sequence, producer, codec and kind of timestamps,
so that offsets and sequences stay continuous whatever is missing in between. Tombstones, and
markers with nothing left to mark, get a time from which on they may go (the delete horizon) at the
first cleaning that sees them: an attribute says that it stands in the place of the base timestamp.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pyproducer.broker.log.cleaner.transactions import SeenTransactions
from pyproducer.broker.log.producer_state import ProducerEntry
from pyproducer.broker.log.recompression import repack_header
from pyproducer.model import Buffer, TimestampType
from pyproducer.records.batch import (
    CODEC_MASK,
    DELETE_HORIZON_BIT,
    MIN_BATCH_LENGTH,
    BatchHeader,
)
from pyproducer.records.codec import Codec
from pyproducer.records.compaction import OffsetMap, rebased
from pyproducer.records.compression import compress
from pyproducer.records.reader import Batch
from pyproducer.records.record import Retained

__all__ = ["BatchFilter", "CleanedBatch"]


class CleanedBatch(NamedTuple):
    """A batch as it is written.

    Attributes:
        header: Its header.
        buffers: All its bytes.
        changed: Whether it is not the batch that was read.
    """

    header: BatchHeader
    buffers: Sequence[Buffer]
    changed: bool


class BatchFilter:
    """Judges batches in the order of the log.

    Args:
        offsets: The newest offset of each key in the dirty part.
        end_offset: Where the dirty part ends; records from there on stay.
        transactions: What is known of transactions, from the log's first batch on.
        producers: The log's live producers: the last batch of each stays, to carry its sequence.
        now_ms: The broker's clock.
        delete_retention_ms: How long tombstones and markers stay once they are seen.
        limit: Bytes that a compressed batch may unfold to.
    """

    def __init__(
        self,
        offsets: OffsetMap,
        end_offset: int,
        transactions: SeenTransactions,
        producers: Sequence[ProducerEntry],
        *,
        now_ms: int,
        delete_retention_ms: int,
        limit: int,
    ) -> None:
        self._offsets = offsets
        self._end_offset = end_offset
        self._transactions = transactions
        # Of a producer without a batch of this epoch, the marker that told its epoch.
        self._last_offsets = {
            one.producer_id: one.batches[-1].last_offset for one in producers if one.batches
        }
        self._epochs = {one.producer_id: one.epoch for one in producers if not one.batches}
        self._now_ms = now_ms
        self._horizon = now_ms + delete_retention_ms
        self._limit = limit

    def cleaned(self, batch: Batch, *, keep_empty: bool) -> CleanedBatch | None:
        """What stays of the batch, or None.

        Args:
            batch: The batch as it is.
            keep_empty: Whether its header stays when no record does.

        Raises:
            CorruptRecord: it is not sound; to write it anew would hide that.
        """
        batch.verify()
        header = batch.header
        horizon = header.base_timestamp if header.attributes & DELETE_HORIZON_BIT else None
        last = self._is_last_of_producer(header)
        unchanged = CleanedBatch(header, [batch.view], changed=False)
        if header.is_control:
            ended = self._transactions.on_marker(batch)
            if header.record_count and not ended:
                return unchanged
            if header.record_count and horizon is None:
                return self._with_horizon(
                    batch, Retained(header.record_count, False, header.max_timestamp, None)
                )
            if last or (header.record_count and horizon is not None and horizon > self._now_ms):
                return unchanged
            retained = Retained(0, False, -1, b"")
        elif self._transactions.on_batch(header):
            retained = Retained(0, False, -1, b"")
        else:
            retained = self._offsets.retained(
                batch.payload(limit=self._limit),
                header.record_count,
                header.base_offset,
                header.base_timestamp,
                self._end_offset,
                horizon is None or self._now_ms < horizon,
            )
            if retained.tombstones and horizon is None:
                return self._with_horizon(batch, retained)
        if retained.kept:
            if retained.records is None:
                return unchanged
            return _rebuilt(header, retained, retained.records)
        if not (keep_empty or last):
            return None
        return _emptied(header) if header.record_count else unchanged

    def _is_last_of_producer(self, header: BatchHeader) -> bool:
        if header.producer_id < 0:
            return False
        last = self._last_offsets.get(header.producer_id)
        if last is not None:
            return header.last_offset == last
        return header.is_control and header.producer_epoch == self._epochs.get(header.producer_id)

    def _with_horizon(self, batch: Batch, retained: Retained) -> CleanedBatch:
        """What was kept, with the time from which on its tombstones, or the marker, may go."""
        header = batch.header
        records = batch.payload(limit=self._limit) if retained.records is None else retained.records
        return _rebuilt(
            header._replace(
                attributes=header.attributes | DELETE_HORIZON_BIT, base_timestamp=self._horizon
            ),
            retained,
            rebased(records, retained.kept, header.base_timestamp - self._horizon),
        )


def _rebuilt(header: BatchHeader, retained: Retained, records: bytes) -> CleanedBatch:
    """The batch with those records and the codec that it had."""
    codec = header.codec
    block = records if codec is Codec.NONE else compress(codec, records)
    youngest = retained.max_timestamp
    if header.timestamp_type is TimestampType.LOG_APPEND_TIME:
        youngest = header.max_timestamp
    header, packed = repack_header(
        header._replace(
            batch_length=MIN_BATCH_LENGTH + len(block),
            max_timestamp=youngest,
            record_count=retained.kept,
        ),
        block,
    )
    return CleanedBatch(header, [packed, block], changed=True)


def _emptied(header: BatchHeader) -> CleanedBatch:
    """The batch without records: what is left is its place in the log and its producer's."""
    header, packed = repack_header(
        header._replace(
            batch_length=MIN_BATCH_LENGTH,
            attributes=header.attributes & ~(CODEC_MASK | DELETE_HORIZON_BIT),
            base_timestamp=-1,
            record_count=0,
        ),
        b"",
    )
    return CleanedBatch(header, [packed], changed=True)
