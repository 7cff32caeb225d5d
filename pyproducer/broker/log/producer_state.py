"""What a partition remembers of its idempotent and transactional producers.

For each producer id: its epoch and its last five batches, so that a batch sent again is
recognised and answered with the offset it already has. The memory outlives the data it speaks
of: retention does not touch it, and ``<offset>.snapshot`` files carry it over restarts.

A snapshot is Kafka's ``ProducerSnapshot`` version 1. Kafka keeps one entry per producer, its last
batch; here a producer has one entry per remembered batch, oldest first. A reader that keys
entries by producer id, as Kafka does, ends up with the newest, and we lose no part of the window.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from pyproducer.broker.errors import Refused
from pyproducer.broker.log.aborted import AbortedTransaction
from pyproducer.broker.log.config import LogConfig
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.records.batch import BatchHeader
from pyproducer.records.crc import crc32c

__all__ = [
    "BatchMeta",
    "CorruptSnapshotError",
    "EndMarker",
    "ProducerEntry",
    "ProducerStates",
    "sequence_after",
]

#: Batches remembered per producer; as many as a client may have in flight.
WINDOW = 5
_SEQUENCE_MASK = (1 << 31) - 1
_NO_SEQUENCE = -1
_NO_OFFSET = -1

_SNAPSHOT_VERSION = 1
_SNAPSHOT_HEAD = struct.Struct(">hI")
_COUNT = struct.Struct(">i")
_ENTRY = struct.Struct(">qhiqiqiq")


class CorruptSnapshotError(Exception):
    """A snapshot file is not what the broker wrote."""


def sequence_after(sequence: int, count: int) -> int:
    """The sequence ``count`` records after ``sequence``; 0 follows 2**31 - 1."""
    return (sequence + count) & _SEQUENCE_MASK


class BatchMeta(NamedTuple):
    """A batch as remembered for recognising it again."""

    last_sequence: int
    last_offset: int
    offset_delta: int
    timestamp: int

    @property
    def first_sequence(self) -> int:
        """Sequence of the first record."""
        return (self.last_sequence - self.offset_delta) & _SEQUENCE_MASK

    @property
    def first_offset(self) -> int:
        """Offset of the first record."""
        return self.last_offset - self.offset_delta


class EndMarker(NamedTuple):
    """A control batch that ends a transaction."""

    commit: bool
    coordinator_epoch: int


@dataclass(slots=True)
class ProducerEntry:
    """One producer id on one partition.

    Attributes:
        producer_id: The id.
        epoch: Newest epoch seen.
        batches: Its last batches, oldest first, all of this epoch.
        last_timestamp: Highest record timestamp of its last batch or marker.
        last_append_ms: Broker's clock at its last append, or at start-up if that was later.
        coordinator_epoch: Epoch of the transaction coordinator that last ended one, or -1.
        txn_first_offset: First offset of its open transaction, or None.
    """

    producer_id: int
    epoch: int
    batches: deque[BatchMeta] = field(default_factory=lambda: deque(maxlen=WINDOW))
    last_timestamp: int = -1
    last_append_ms: int = -1
    coordinator_epoch: int = -1
    txn_first_offset: int | None = None

    @property
    def last_sequence(self) -> int:
        """Sequence of the last record, or -1 when this epoch has written none."""
        return self.batches[-1].last_sequence if self.batches else _NO_SEQUENCE

    def find(self, header: BatchHeader) -> BatchMeta | None:
        """The remembered batch of which this one is a repetition, or None."""
        if header.producer_epoch != self.epoch:
            return None
        first, last = header.base_sequence, header.last_sequence
        for batch in self.batches:
            if batch.last_sequence == last and batch.first_sequence == first:
                return batch
        return None


class ProducerStates:
    """All producers of one partition.

    Args:
        config: Gives the current settings; asked again at each use, since they can change.
    """

    def __init__(self, config: Callable[[], LogConfig]) -> None:
        self._config = config
        self._entries: dict[int, ProducerEntry] = {}
        # First offsets of open transactions by producer id: asked for at every fetch.
        self._open: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, producer_id: int) -> ProducerEntry | None:
        """The producer's entry; it stays the table's own."""
        return self._entries.get(producer_id)

    def entries(self) -> list[ProducerEntry]:
        """Every producer, in the order of first appearance."""
        return list(self._entries.values())

    @property
    def first_open_offset(self) -> int | None:
        """Lowest first offset of an open transaction, or None."""
        return min(self._open.values(), default=None)

    def _set_open(self, entry: ProducerEntry, first_offset: int | None) -> None:
        entry.txn_first_offset = first_offset
        if first_offset is None:
            self._open.pop(entry.producer_id, None)
        else:
            self._open[entry.producer_id] = first_offset

    def check(self, header: BatchHeader, *, known_or_first: bool = False) -> BatchMeta | None:
        """Says whether a client's batch may be appended now; changes nothing.

        Args:
            header: The batch.
            known_or_first: Where nothing is known of its producer it has to begin with sequence 0,
                as a producer does whose every transaction is an epoch of its own.

        Returns:
            None if it may; the batch already in the log if this one repeats it.

        Raises:
            Refused: its epoch or its sequence is wrong, or it does not belong to the
                transaction that is open.
        """
        if header.producer_id < 0:
            return None
        entry = self._entries.get(header.producer_id)
        if entry is None:
            if known_or_first and header.base_sequence != 0:
                raise Refused(
                    ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
                    f"producer {header.producer_id} is unknown here and starts its transaction "
                    f"with sequence {header.base_sequence} where 0 is first",
                )
            if self._config().strict_unknown_producer and header.base_sequence > 0:
                raise Refused(
                    ErrorCode.UNKNOWN_PRODUCER_ID,
                    f"producer {header.producer_id} is unknown here and starts with sequence "
                    f"{header.base_sequence}",
                )
            return None
        if duplicate := entry.find(header):
            return duplicate
        if header.producer_epoch < entry.epoch:
            raise Refused(
                ErrorCode.INVALID_PRODUCER_EPOCH,
                f"producer {header.producer_id} has epoch {entry.epoch}, the batch "
                f"{header.producer_epoch}",
            )
        if header.base_sequence < 0:
            # Offsets that the group coordinator writes for a producer have no sequence.
            return None
        if header.producer_epoch > entry.epoch:
            expected = 0
        else:
            expected = sequence_after(entry.last_sequence, 1)
        if header.base_sequence != expected:
            raise Refused(
                ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
                f"producer {header.producer_id} epoch {header.producer_epoch}: sequence "
                f"{header.base_sequence} where {expected} is next",
            )
        if entry.txn_first_offset is not None and not header.is_transactional:
            raise Refused(
                ErrorCode.INVALID_TXN_STATE,
                f"producer {header.producer_id} has an open transaction since offset "
                f"{entry.txn_first_offset}, and the batch is not part of one",
            )
        return None

    def update(self, header: BatchHeader, *, base_offset: int, timestamp: int, now_ms: int) -> None:
        """The batch, which is in the log at ``base_offset``, is its producer's last."""
        if header.producer_id < 0:
            return
        entry = self._entry(header.producer_id, header.producer_epoch)
        if header.base_sequence >= 0:
            delta = header.last_offset_delta
            last_sequence = sequence_after(header.base_sequence, delta)
            entry.batches.append(BatchMeta(last_sequence, base_offset + delta, delta, timestamp))
        entry.last_timestamp = timestamp
        entry.last_append_ms = now_ms
        if header.is_transactional and entry.txn_first_offset is None:
            self._set_open(entry, base_offset)

    def check_marker(self, producer_id: int, epoch: int, marker: EndMarker) -> bool:
        """Says whether a transaction coordinator may end this producer's transaction.

        Returns:
            Whether there is anything to end; False where a marker like this one was here.

        Raises:
            Refused: a newer producer epoch or a newer coordinator was here.
        """
        entry = self._entries.get(producer_id)
        if entry is None:
            return True
        if epoch < entry.epoch:
            raise Refused(
                ErrorCode.INVALID_PRODUCER_EPOCH,
                f"producer {producer_id} has epoch {entry.epoch}, the marker {epoch}",
            )
        if marker.coordinator_epoch < entry.coordinator_epoch:
            raise Refused(
                ErrorCode.TRANSACTION_COORDINATOR_FENCED,
                f"coordinator epoch {marker.coordinator_epoch} comes after "
                f"{entry.coordinator_epoch}",
            )
        # A coordinator that stopped half-way sends all its markers again.
        ended = entry.txn_first_offset is None and entry.coordinator_epoch >= 0
        return not ended or epoch > entry.epoch

    def end_transaction(
        self,
        producer_id: int,
        epoch: int,
        marker: EndMarker,
        *,
        offset: int,
        timestamp: int,
        now_ms: int,
    ) -> AbortedTransaction | None:
        """The producer has no open transaction: the marker at ``offset`` ended it.

        Returns:
            The transaction if one was open and the marker aborted it, else None.
        """
        entry = self._entry(producer_id, epoch)
        first = entry.txn_first_offset
        self._set_open(entry, None)
        entry.coordinator_epoch = marker.coordinator_epoch
        entry.last_timestamp = timestamp
        entry.last_append_ms = now_ms
        if first is None or marker.commit:
            return None
        stable = self.first_open_offset
        return AbortedTransaction(
            producer_id, first, offset, offset + 1 if stable is None else stable
        )

    def _entry(self, producer_id: int, epoch: int) -> ProducerEntry:
        entry = self._entries.get(producer_id)
        if entry is None:
            entry = self._entries[producer_id] = ProducerEntry(producer_id, epoch)
        elif epoch != entry.epoch:
            entry.epoch = epoch
            entry.batches.clear()
        return entry

    def expire(self, now_ms: int) -> int:
        """Producers idle for ``producer.id.expiration.ms`` are forgotten, open ones never.

        Returns:
            How many were forgotten.
        """
        config = self._config()
        by_record = config.producer_expiry_clock == "record"
        idle = [
            entry.producer_id
            for entry in self._entries.values()
            if entry.txn_first_offset is None
            and now_ms - (entry.last_timestamp if by_record else entry.last_append_ms)
            >= config.producer_id_expiration_ms
        ]
        for producer_id in idle:
            del self._entries[producer_id]
        return len(idle)

    def forget_all(self) -> int:
        """Producers without an open transaction are forgotten; says how many that were."""
        closed = [one.producer_id for one in self._entries.values() if one.txn_first_offset is None]
        for producer_id in closed:
            del self._entries[producer_id]
        return len(closed)

    def clear(self) -> None:
        """No producer is known."""
        self._entries.clear()
        self._open.clear()

    def snapshot(self) -> bytes:
        """The contents of a ``.snapshot`` file for the present state."""
        rows: list[bytes] = []
        for entry in self._entries.values():
            batches = list(entry.batches) or [
                BatchMeta(_NO_SEQUENCE, _NO_OFFSET, 0, entry.last_timestamp)
            ]
            # A marker may have moved the producer's time past that of its last batch.
            batches[-1] = batches[-1]._replace(timestamp=entry.last_timestamp)
            rows.extend(
                _ENTRY.pack(
                    entry.producer_id,
                    entry.epoch,
                    batch.last_sequence,
                    batch.last_offset,
                    batch.offset_delta,
                    batch.timestamp,
                    entry.coordinator_epoch,
                    _NO_OFFSET if entry.txn_first_offset is None else entry.txn_first_offset,
                )
                for batch in batches
            )
        body = _COUNT.pack(len(rows)) + b"".join(rows)
        return _SNAPSHOT_HEAD.pack(_SNAPSHOT_VERSION, crc32c(body)) + body

    def load(self, raw: bytes, *, now_ms: int) -> None:
        """The state is what the snapshot says.

        Idle time restarts at ``now_ms``: a snapshot does not hold the time of appending,
        and forgetting a producer late is harmless where forgetting it early is not.

        Raises:
            CorruptSnapshotError: the file is broken; the state is empty.
        """
        self.clear()
        head = _SNAPSHOT_HEAD.size
        if len(raw) < head + _COUNT.size:
            raise CorruptSnapshotError(f"{len(raw)} bytes are no snapshot")
        version, crc = _SNAPSHOT_HEAD.unpack_from(raw)
        if version != _SNAPSHOT_VERSION:
            raise CorruptSnapshotError(f"version {version}")
        if crc32c(memoryview(raw)[head:]) != crc:
            raise CorruptSnapshotError("CRC mismatch")
        (count,) = _COUNT.unpack_from(raw, head)
        if count < 0 or head + _COUNT.size + count * _ENTRY.size > len(raw):
            raise CorruptSnapshotError(f"{count} entries in {len(raw)} bytes")
        for at in range(count):
            row = _ENTRY.unpack_from(raw, head + _COUNT.size + at * _ENTRY.size)
            producer_id, epoch, sequence, offset, delta, timestamp, coordinator, txn = row
            entry = self._entry(producer_id, epoch)
            if sequence != _NO_SEQUENCE:
                entry.batches.append(BatchMeta(sequence, offset, delta, timestamp))
            entry.last_timestamp = timestamp
            entry.last_append_ms = now_ms
            entry.coordinator_epoch = coordinator
            self._set_open(entry, txn if txn >= 0 else None)
