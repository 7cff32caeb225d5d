"""A topic in which the broker keeps state: records by key, replayed at the start.

`__consumer_offsets` and `__transaction_state` are such topics. A state belongs to the partition
that Java's hash of its name says, as in Kafka.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from pyproducer.broker.errors import Refused
from pyproducer.broker.log.markers import end_marker
from pyproducer.broker.partition import Partition
from pyproducer.clock import Clock
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.records.builder import build_batch
from pyproducer.records.reader import iter_batches
from pyproducer.records.record import Record

_READ_BYTES = 1 << 20


class KeyValue(NamedTuple):
    """One record to be written; without a value it is a tombstone."""

    key: bytes
    value: bytes | None


class PendingKeyValue(NamedTuple):
    """A record that counts once the producer's transaction is committed."""

    key: bytes
    value: bytes | None
    producer_id: int


class TransactionEnd(NamedTuple):
    """The end of a producer's transaction in this partition."""

    producer_id: int
    commit: bool


class Writer(NamedTuple):
    """The producer in whose transaction records are written."""

    producer_id: int
    epoch: int


StateEntry = KeyValue | PendingKeyValue | TransactionEnd


def java_hash(text: str) -> int:
    """Return what Java's `String.hashCode` returns: signed, over UTF-16 units."""
    units = memoryview(text.encode("utf-16-le", "surrogatepass")).cast("H")
    value = 0
    for unit in units:
        value = (value * 31 + unit) & 0xFFFFFFFF
    return value - (1 << 32) if value & 0x80000000 else value


def partition_of(name: str, partitions: int) -> int:
    """Return the partition of a state topic that holds a name, as Kafka computes it."""
    hashed = java_hash(name)
    # Java's abs has no positive counterpart of the smallest int; Kafka takes 0 for it.
    return 0 if hashed == -(1 << 31) else abs(hashed) % partitions


class StateTopic:
    """The partitions of one topic as a store.

    Args:
        name: what it is called, for messages.
        partitions: how many there are, or will be.
        partition_of: gives a partition, None as long as the topic does not exist.
        create: makes the topic; called before the first append to it.
        clock: stamps the records.
    """

    def __init__(
        self,
        name: str,
        partitions: int,
        partition_of: Callable[[int], Partition | None],
        create: Callable[[], None],
        clock: Clock,
    ) -> None:
        self.name = name
        self.partitions = partitions
        self._partition_of = partition_of
        self._create = create
        self._clock = clock

    def leader_epoch(self, partition: int) -> int:
        """Return the epoch of this broker's lead of a partition, 0 before there is a topic."""
        found = self._partition_of(partition)
        return 0 if found is None else found.leader_epoch

    def append(
        self, partition: int, records: Sequence[KeyValue], writer: Writer | None = None
    ) -> None:
        """The records are in the log, as one batch, so that all or none of them are.

        With a `writer` they are part of its transaction, and count once that is committed.

        Raises:
            Refused: they are not: the disk failed, they are larger than a batch may be, or the
                writer has been fenced.
        """
        target = self._partition_of(partition)
        if target is None:
            try:
                self._create()
            except OSError as error:
                raise Refused(ErrorCode.KAFKA_STORAGE_ERROR, str(error)) from error
            target = self._partition_of(partition)
        if target is None:
            raise Refused(
                ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"{self.name} has no partition {partition}"
            )
        now_ms = self._clock.wall_ms()
        producer_id, epoch = writer or (-1, -1)
        batch = build_batch(
            [Record(0, now_ms, key=key, value=value) for key, value in records],
            producer_id=producer_id,
            producer_epoch=epoch,
            transactional=writer is not None,
        )
        target.append_own(batch)

    def read(self, partition: int) -> Iterator[StateEntry]:
        """Everything in the partition that is not cut off, in order.

        Raises:
            Refused: the partition cannot be read.
            CorruptRecord: a batch is broken.
        """
        source = self._partition_of(partition)
        if source is None:
            return
        log = source.log
        offset = log.log_start_offset
        while offset < log.log_end_offset:
            data = log.read(offset, _READ_BYTES, max_offset=log.log_end_offset)
            before = offset
            for batch in iter_batches(data):
                header = batch.header
                offset = header.next_offset
                if header.is_control:
                    if (marker := end_marker(batch)) is not None:
                        yield TransactionEnd(header.producer_id, marker.commit)
                    continue
                for record in batch.records():
                    if record.offset < before or record.key is None:
                        continue
                    key = bytes(record.key)
                    if header.is_transactional:
                        yield PendingKeyValue(key, record.value, header.producer_id)
                    else:
                        yield KeyValue(key, record.value)
            if offset == before:
                return
