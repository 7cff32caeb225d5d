"""The seam to storage: where the coordinator keeps what must survive."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from pyproducer.broker.state_topic import KeyValue, StateEntry, Writer


class OffsetsStore(Protocol):
    """An append-only log of records for each partition of `__consumer_offsets`."""

    @property
    def partitions(self) -> int:
        """How many partitions there are; never changes."""

    def append(
        self, partition: int, records: Sequence[KeyValue], writer: Writer | None = None
    ) -> None:
        """The records are in the log, all or none, and outlive the process.

        With a `writer` they count once its transaction is committed.

        Raises:
            Refused: they are not in the log.
        """

    def read(self, partition: int) -> Iterable[StateEntry]:
        """Everything in the partition that is not cut off, in order.

        Raises:
            Refused: the partition cannot be read.
        """
