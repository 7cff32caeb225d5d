"""Keys and values of the records in `__transaction_state`, as Kafka lays them out.

Each starts with an int16 version, then follows the struct in that version.
"""

from __future__ import annotations

from typing import ClassVar

from pyproducer.protocol.primitives import INT8, INT16, INT32, INT64, STRING, Array
from pyproducer.protocol.schema import Message, Struct, wire


class TransactionLogKey(Message):
    """Names one transactional id."""

    transactional_id: str = wire(STRING)


class PartitionsSchema(Struct):
    """The partitions of one topic within TransactionLogValue."""

    topic: str = wire(STRING)
    partition_ids: list[int] = wire(Array(INT32))


class TransactionLogValue(Message):
    """What is known of a transactional id. Version 1 is flexible and has KIP-890's fields."""

    max_version: ClassVar[int] = 1
    flexible_since: ClassVar[int] = 1

    producer_id: int = wire(INT64)
    previous_producer_id: int = wire(INT64, since=1, tag=0, ignorable=True, default=-1)
    next_producer_id: int = wire(INT64, since=1, tag=1, ignorable=True, default=-1)
    producer_epoch: int = wire(INT16)
    transaction_timeout_ms: int = wire(INT32)
    transaction_status: int = wire(INT8)
    transaction_partitions: list[PartitionsSchema] | None = wire(
        Array(PartitionsSchema), nullable=0
    )
    transaction_last_update_timestamp_ms: int = wire(INT64)
    transaction_start_timestamp_ms: int = wire(INT64)
    client_transaction_version: int = wire(INT16, since=1, tag=2, ignorable=True)
