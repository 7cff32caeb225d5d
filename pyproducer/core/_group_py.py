"""The handles of many records at once, in pure Python.

The twin of the class of the same name in ``_appender.pyx``.
"""

from __future__ import annotations

import operator
from typing import Any

from pyproducer.core._handle_py import Delivery
from pyproducer.model import RecordMetadata

__all__ = ["Handles"]


class Handles:
    """The records of one bulk call, in its order."""

    __slots__ = ("_deliveries",)

    def __init__(self) -> None:
        self._deliveries: list[Delivery] = []

    def __len__(self) -> int:
        return len(self._deliveries)

    def __getitem__(self, index: int) -> Delivery:
        try:
            return self._deliveries[operator.index(index)]
        except IndexError:
            raise IndexError("no record has this index in the group") from None

    def append(self, delivery: Delivery) -> None:
        """The next record's handle."""
        self._deliveries.append(delivery)

    def fill(
        self,
        entry: Any,
        values: list[Any],
        keys: list[Any] | None,
        partitions: list[int | None] | None,
        timestamps: list[int | None] | None,
        headers: Any,
        position: int,
    ) -> int:
        """Queue values from ``position`` on, as far as that is faster than one by one: never."""
        return position

    def next_pending(self, position: int) -> int:
        """The first record from ``position`` on that has no outcome; -1 where all have one."""
        for index in range(position, len(self._deliveries)):
            if not self._deliveries[index].done():
                return index
        return -1

    def expect(self) -> None:
        """Somebody waits for all of these: their failures are no news to anybody else."""
        for delivery in self._deliveries:
            if not delivery.done():
                delivery.expect()

    def outcomes(
        self,
    ) -> tuple[list[RecordMetadata | BaseException], list[tuple[int, BaseException]]]:
        """Metadata or exception of each record, and of those that failed (index, exception)."""
        found: list[RecordMetadata | BaseException] = []
        failures: list[tuple[int, BaseException]] = []
        for index, delivery in enumerate(self._deliveries):
            error = delivery.exception()
            if error is None:
                found.append(delivery.result())
            else:
                found.append(error)
                failures.append((index, error))
        return found, failures
