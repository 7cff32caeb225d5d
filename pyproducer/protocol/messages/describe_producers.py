"""The DescribeProducers API. Written by tests/protocol/generate_messages.py."""

from __future__ import annotations

from typing import ClassVar

from pyproducer.protocol.primitives import INT16, INT32, INT64, STRING, Array
from pyproducer.protocol.schema import Message, Struct, wire


class TopicRequest(Struct):
    """Part of DescribeProducersRequest."""

    name: str = wire(STRING)
    partition_indexes: list[int] = wire(Array(INT32))


class DescribeProducersRequest(Message):
    """DescribeProducersRequest, versions 0 to 0."""

    api_key: ClassVar[int] = 61
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 0
    flexible_since: ClassVar[int] = 0

    topics: list[TopicRequest] = wire(Array(TopicRequest))


class ProducerState(Struct):
    """Part of DescribeProducersResponse."""

    producer_id: int = wire(INT64)
    producer_epoch: int = wire(INT32)
    last_sequence: int = wire(INT32, default=-1)
    last_timestamp: int = wire(INT64, default=-1)
    coordinator_epoch: int = wire(INT32)
    current_txn_start_offset: int = wire(INT64, default=-1)


class PartitionResponse(Struct):
    """Part of DescribeProducersResponse."""

    partition_index: int = wire(INT32)
    error_code: int = wire(INT16)
    error_message: str | None = wire(STRING, nullable=0, default=None)
    active_producers: list[ProducerState] = wire(Array(ProducerState))


class TopicResponse(Struct):
    """Part of DescribeProducersResponse."""

    name: str = wire(STRING)
    partitions: list[PartitionResponse] = wire(Array(PartitionResponse))


class DescribeProducersResponse(Message):
    """DescribeProducersResponse, versions 0 to 0."""

    api_key: ClassVar[int] = 61
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 0
    flexible_since: ClassVar[int] = 0

    throttle_time_ms: int = wire(INT32)
    topics: list[TopicResponse] = wire(Array(TopicResponse))
