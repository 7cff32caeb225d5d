"""The DescribeTransactions API. Written by tests/protocol/generate_messages.py."""

from __future__ import annotations

from typing import ClassVar

from pyproducer.protocol.primitives import INT16, INT32, INT64, STRING, Array
from pyproducer.protocol.schema import Message, Struct, wire


class DescribeTransactionsRequest(Message):
    """DescribeTransactionsRequest, versions 0 to 0."""

    api_key: ClassVar[int] = 65
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 0
    flexible_since: ClassVar[int] = 0

    transactional_ids: list[str] = wire(Array(STRING))


class TopicData(Struct):
    """Part of DescribeTransactionsResponse."""

    topic: str = wire(STRING)
    partitions: list[int] = wire(Array(INT32))


class TransactionState(Struct):
    """Part of DescribeTransactionsResponse."""

    error_code: int = wire(INT16)
    transactional_id: str = wire(STRING)
    transaction_state: str = wire(STRING)
    transaction_timeout_ms: int = wire(INT32)
    transaction_start_time_ms: int = wire(INT64)
    producer_id: int = wire(INT64)
    producer_epoch: int = wire(INT16)
    topics: list[TopicData] = wire(Array(TopicData))


class DescribeTransactionsResponse(Message):
    """DescribeTransactionsResponse, versions 0 to 0."""

    api_key: ClassVar[int] = 65
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 0
    flexible_since: ClassVar[int] = 0

    throttle_time_ms: int = wire(INT32)
    transaction_states: list[TransactionState] = wire(Array(TransactionState))
