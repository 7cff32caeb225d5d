"""The DescribeTopicPartitions API. Written by tests/protocol/generate_messages.py."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from pyproducer.protocol.primitives import BOOL, INT16, INT32, STRING, UUID128, Array
from pyproducer.protocol.schema import Message, Struct, wire


class TopicRequest(Struct):
    """Part of DescribeTopicPartitionsRequest."""

    name: str = wire(STRING)


class Cursor(Struct):
    """Part of DescribeTopicPartitionsRequest."""

    topic_name: str = wire(STRING)
    partition_index: int = wire(INT32)


class DescribeTopicPartitionsRequest(Message):
    """DescribeTopicPartitionsRequest, versions 0 to 0."""

    api_key: ClassVar[int] = 75
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 0
    flexible_since: ClassVar[int] = 0

    topics: list[TopicRequest] = wire(Array(TopicRequest))
    response_partition_limit: int = wire(INT32, default=2000)
    cursor: Cursor | None = wire(Cursor, nullable=0, default=None)


class DescribeTopicPartitionsResponsePartition(Struct):
    """Part of DescribeTopicPartitionsResponse."""

    error_code: int = wire(INT16)
    partition_index: int = wire(INT32)
    leader_id: int = wire(INT32)
    leader_epoch: int = wire(INT32, ignorable=True, default=-1)
    replica_nodes: list[int] = wire(Array(INT32))
    isr_nodes: list[int] = wire(Array(INT32))
    eligible_leader_replicas: list[int] | None = wire(Array(INT32), nullable=0, default=None)
    last_known_elr: list[int] | None = wire(Array(INT32), nullable=0, default=None)
    offline_replicas: list[int] = wire(Array(INT32), ignorable=True)


class DescribeTopicPartitionsResponseTopic(Struct):
    """Part of DescribeTopicPartitionsResponse."""

    error_code: int = wire(INT16)
    name: str | None = wire(STRING, nullable=0)
    topic_id: UUID = wire(UUID128, ignorable=True)
    is_internal: bool = wire(BOOL, ignorable=True)
    partitions: list[DescribeTopicPartitionsResponsePartition] = wire(
        Array(DescribeTopicPartitionsResponsePartition)
    )
    topic_authorized_operations: int = wire(INT32, default=-2147483648)


class DescribeTopicPartitionsResponse(Message):
    """DescribeTopicPartitionsResponse, versions 0 to 0."""

    api_key: ClassVar[int] = 75
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 0
    flexible_since: ClassVar[int] = 0

    throttle_time_ms: int = wire(INT32, ignorable=True)
    topics: list[DescribeTopicPartitionsResponseTopic] = wire(
        Array(DescribeTopicPartitionsResponseTopic)
    )
    next_cursor: Cursor | None = wire(Cursor, nullable=0, default=None)
