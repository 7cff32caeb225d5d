"""Reading a partition from inside the broker, as a consumer would see it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, NamedTuple

from pyproducer.broker.log.markers import end_marker
from pyproducer.broker.partition import Watch
from pyproducer.errors import UnknownTopic
from pyproducer.records.reader import Batch, iter_batches

if TYPE_CHECKING:
    from pyproducer.broker.node import Node
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


async def each_part(reader: PartitionReader) -> AsyncIterator[list[Batch]]:
    """What the reader finds up to the end of its partition; clients are served in between."""
    while (batches := reader.batches()) is not None:
        yield batches
        await asyncio.sleep(0)


def found(node: Node, topic: str, partition: int | None = None) -> list[Partition]:
    """The topic's partitions, or the one of that number.

    Raises:
        UnknownTopic: There is none.
    """
    partitions = node.partitions(topic)
    if partition is not None:
        partitions = [one for one in partitions if one.index == partition]
    if not partitions:
        what = topic if partition is None else f"{topic}-{partition}"
        raise UnknownTopic(f"the broker has no {what}", topic=topic, partition=partition)
    return partitions


async def read_all(
    node: Node, topic: str, partition: int | None, *, committed: bool
) -> list[tuple[int, list[Batch]]]:
    """All there is now of the topic or of one of its partitions, each part with its partition.

    Raises:
        UnknownTopic: There is none.
    """
    parts: list[tuple[int, list[Batch]]] = []
    for one in found(node, topic, partition):
        reader = PartitionReader(one, committed=committed)
        parts += [(one.index, batches) async for batches in each_part(reader)]
    return parts


async def wait_until_held(
    node: Node, topic: str, n: int, seconds: float, *, committed: bool
) -> None:
    """Returns when the topic's partitions hold so many records.

    Raises:
        TimeoutError: They hold fewer after so many seconds.
        UnknownTopic: There is no such topic.
    """
    partitions = found(node, topic)
    readers = [PartitionReader(one, committed=committed) for one in partitions]

    async def held() -> int:
        for reader in readers:
            async for _ in each_part(reader):
                pass
        return sum(reader.count for reader in readers)

    try:
        async with asyncio.timeout(seconds):
            while True:
                watch = Watch()
                for one in partitions:
                    one.watches.add(watch)
                try:
                    if await held() >= n:
                        return
                    await watch.wait()
                finally:
                    for one in partitions:
                        one.watches.discard(watch)
    except TimeoutError:
        raise TimeoutError(
            f"{topic} holds {await held()} records after {seconds} s, not {n}"
        ) from None
