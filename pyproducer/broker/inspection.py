"""Reading a partition from inside the broker, as a consumer would see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pyproducer.broker.log.markers import end_marker
from pyproducer.records.reader import Batch, iter_batches

if TYPE_CHECKING:
    from pyproducer.broker.partition import Partition

_READ_SIZE = 4 << 20


class BrokerRecord(NamedTuple):
    """A record that the broker holds."""

    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


class PartitionReader:
    """Reads on from the start of a partition, markers left out.

    Args:
        partition: What is read.
        committed: Leave out records of transactions that are open or were aborted.

    Attributes:
        count: How many records were in the batches so far.
    """

    def __init__(self, partition: Partition, *, committed: bool) -> None:
        self.count = 0
        self._partition = partition
        self._committed = committed
        self._offset = partition.log_start_offset

    def batches(self) -> list[Batch] | None:
        """The next batches, maybe none of a stretch; None at the end of what there is now.

        Raises:
            Refused: They cannot be read.
        """
        log = self._partition.log
        self._offset = max(self._offset, log.log_start_offset)
        limit = log.last_stable_offset if self._committed else log.high_watermark
        data = log.read(self._offset, _READ_SIZE, max_offset=limit)
        if not data:
            return None
        found = list(iter_batches(data))
        visible = self._without_aborted(found) if self._committed else found
        visible = [batch for batch in visible if not batch.header.is_control]
        self._offset = found[-1].header.next_offset
        self.count += sum(batch.header.record_count for batch in visible)
        return visible

    def _without_aborted(self, batches: list[Batch]) -> list[Batch]:
        end = batches[-1].header.next_offset
        aborted = self._partition.log.aborted_transactions(self._offset, end)
        aborted.sort(key=lambda one: one.first_offset, reverse=True)
        producers: set[int] = set()
        visible: list[Batch] = []
        for batch in batches:
            header = batch.header
            while aborted and aborted[-1].first_offset <= header.last_offset:
                producers.add(aborted.pop().producer_id)
            if header.is_control and (marker := end_marker(batch)) and not marker.commit:
                producers.discard(header.producer_id)
            elif not (header.is_transactional and header.producer_id in producers):
                visible.append(batch)
        return visible


def records_of(partition: int, batches: list[Batch]) -> list[BrokerRecord]:
    """The records of batches of a partition."""
    return [
        BrokerRecord(
            partition, record.offset, record.timestamp_ms, record.key, record.value, record.headers
        )
        for batch in batches
        for record in batch.records()
    ]
