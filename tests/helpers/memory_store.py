"""An offsets store without a disk."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pyproducer.broker.groups.offsets import KeyValue


class MemoryStore:
    """An offsets store in memory, which a second coordinator can be started on."""

    def __init__(self, partitions: int = 3) -> None:
        self.partitions = partitions
        self.logs: list[list[KeyValue]] = [[] for _ in range(partitions)]
        self.failure: Exception | None = None
        self.rewrites = 0

    def append(self, partition: int, records: Sequence[KeyValue]) -> None:
        if self.failure is not None:
            raise self.failure
        self.logs[partition].extend(records)

    def read(self, partition: int) -> Iterable[KeyValue]:
        return list(self.logs[partition])

    def rewrite(self, partition: int, records: Sequence[KeyValue]) -> None:
        if self.failure is not None:
            raise self.failure
        self.logs[partition] = list(records)
        self.rewrites += 1
