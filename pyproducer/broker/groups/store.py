"""Where the coordinator keeps what must survive: the partitions of `__consumer_offsets`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

from pyproducer.broker.errors import Refused
from pyproducer.broker.groups.offsets import KeyValue
from pyproducer.broker.partition import Partition
from pyproducer.clock import Clock
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.records.builder import build_batch
from pyproducer.records.reader import iter_batches
from pyproducer.records.record import Record

# The version of Produce by whose rules our own batches are checked: the newest with none extra.
_REQUEST_VERSION = 11
_READ_BYTES = 1 << 20
# A snapshot goes out in batches of about this size, far below any max.message.bytes.
_SNAPSHOT_BATCH_BYTES = 256 << 10


class OffsetsStore(Protocol):
    """An append-only log of records for each partition."""

    @property
    def partitions(self) -> int:
        """How many partitions there are; never changes."""

    def append(self, partition: int, records: Sequence[KeyValue]) -> None:
        """The records are in the log, all or none, and outlive the process.

        Raises:
            Refused: they are not in the log.
        """

    def read(self, partition: int) -> Iterable[KeyValue]:
        """Every record of the partition that is not cut off, in order.

        Raises:
            Refused: the partition cannot be read.
        """

    def rewrite(self, partition: int, records: Sequence[KeyValue]) -> None:
        """The records are in the log and all that came before them may go.

        Raises:
            Refused: they may be in the log, in part; what was there is.
        """


class LogStore:
    """The partitions' logs as a store.

    Args:
        partitions: how many there are, or will be.
        partition_of: gives a partition, None as long as the topic does not exist.
        create: makes the topic; called before the first append to it.
        clock: stamps the records.
    """

    def __init__(
        self,
        partitions: int,
        partition_of: Callable[[int], Partition | None],
        create: Callable[[], None],
        clock: Clock,
    ) -> None:
        self.partitions = partitions
        self._partition_of = partition_of
        self._create = create
        self._clock = clock

    def append(self, partition: int, records: Sequence[KeyValue]) -> None:
        """The records are in the log, as one batch, so that all or none of them are.

        Raises:
            Refused: they are not: the disk failed, or they are larger than a batch may be.
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
                ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
                f"the offsets topic has no partition {partition}",
            )
        now_ms = self._clock.wall_ms()
        batch = build_batch(Record(0, now_ms, key=key, value=value) for key, value in records)
        target.append(batch, request_version=_REQUEST_VERSION)

    def read(self, partition: int) -> Iterator[KeyValue]:
        """Every record of the partition that is not cut off, in order.

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
                offset = batch.header.next_offset
                if batch.header.is_control:
                    continue
                for record in batch.records():
                    if record.offset >= before and record.key is not None:
                        yield KeyValue(bytes(record.key), record.value)
            if offset == before:
                return

    def rewrite(self, partition: int, records: Sequence[KeyValue]) -> None:
        """The records are in a segment of their own, and the segments before it are gone.

        Raises:
            Refused: they may be in the log, in part; what was there is.
        """
        target = self._partition_of(partition)
        if target is None:
            return
        log = target.log
        try:
            log.roll()
        except OSError as error:
            raise Refused(ErrorCode.KAFKA_STORAGE_ERROR, str(error)) from error
        start = log.log_end_offset
        for part in _parts(records):
            self.append(partition, part)
        # The old segments are not needed by whoever reads to the end, but until now they were.
        log.flush()
        log.delete_records_before(start)


def _parts(records: Sequence[KeyValue]) -> Iterator[list[KeyValue]]:
    part: list[KeyValue] = []
    size = 0
    for record in records:
        part.append(record)
        size += len(record.key) + len(record.value or b"")
        if size >= _SNAPSHOT_BATCH_BYTES:
            yield part
            part, size = [], 0
    if part:
        yield part
