"""An offsets store without a disk."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pyproducer.broker.state_topic import (
    KeyValue,
    PendingKeyValue,
    StateEntry,
    TransactionEnd,
    Writer,
)


class MemoryStore:
    """An offsets store in memory, which a second coordinator can be started on."""

    def __init__(self, partitions: int = 3) -> None:
        self.partitions = partitions
        self.logs: list[list[StateEntry]] = [[] for _ in range(partitions)]
        self.failure: Exception | None = None

    def append(
        self, partition: int, records: Sequence[KeyValue], writer: Writer | None = None
    ) -> None:
        if self.failure is not None:
            raise self.failure
        if writer is None:
            self.logs[partition].extend(records)
        else:
            self.logs[partition].extend(
                PendingKeyValue(key, value, writer.producer_id) for key, value in records
            )

    def mark(self, partition: int, producer_id: int, *, commit: bool) -> None:
        self.logs[partition].append(TransactionEnd(producer_id, commit))

    def leader_epoch(self, partition: int) -> int:
        return 3

    def read(self, partition: int) -> Iterable[StateEntry]:
        return list(self.logs[partition])
