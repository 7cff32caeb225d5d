"""Where the coordinator keeps what must survive: the partitions of `__consumer_offsets`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from pyproducer.broker.groups.offsets import KeyValue


class OffsetsStore(Protocol):
    """An append-only log of records for each partition. All calls may raise OSError."""

    @property
    def partitions(self) -> int:
        """How many partitions there are; never changes."""

    def append(self, partition: int, records: Sequence[KeyValue]) -> None:
        """The records are in the log, all or none, and outlive the process."""

    def read(self, partition: int) -> Iterable[KeyValue]:
        """Every record of the partition that is not cut off, in order."""

    def rewrite(self, partition: int, records: Sequence[KeyValue]) -> None:
        """The records are in the log and all that came before them may go."""
