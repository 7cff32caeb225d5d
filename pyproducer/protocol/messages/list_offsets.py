"""The ListOffsets API. Written by tests/protocol/generate_messages.py."""

from __future__ import annotations

from typing import ClassVar

from pyproducer.protocol.primitives import INT16, INT32, INT64, INT8, STRING, Array
from pyproducer.protocol.schema import Message, Struct, wire


class ListOffsetsPartition(Struct):
    """Part of ListOffsetsRequest."""

    partition_index: int = wire(INT32)
    current_leader_epoch: int = wire(INT32, since=4, ignorable=True, default=-1)
    timestamp: int = wire(INT64)
    max_num_offsets: int = wire(INT32, until=0, default=1)


class ListOffsetsTopic(Struct):
    """Part of ListOffsetsRequest."""

    name: str = wire(STRING)
    partitions: list[ListOffsetsPartition] = wire(Array(ListOffsetsPartition))


class ListOffsetsRequest(Message):
    """ListOffsetsRequest, versions 0 to 11."""

    api_key: ClassVar[int] = 2
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 11
    flexible_since: ClassVar[int] = 6

    replica_id: int = wire(INT32)
    isolation_level: int = wire(INT8, since=2)
    topics: list[ListOffsetsTopic] = wire(Array(ListOffsetsTopic))
    timeout_ms: int = wire(INT32, since=10, ignorable=True)


class ListOffsetsPartitionResponse(Struct):
    """Part of ListOffsetsResponse."""

    partition_index: int = wire(INT32)
    error_code: int = wire(INT16)
    old_style_offsets: list[int] = wire(Array(INT64), until=0)
    timestamp: int = wire(INT64, since=1, default=-1)
    offset: int = wire(INT64, since=1, default=-1)
    leader_epoch: int = wire(INT32, since=4, default=-1)


class ListOffsetsTopicResponse(Struct):
    """Part of ListOffsetsResponse."""

    name: str = wire(STRING)
    partitions: list[ListOffsetsPartitionResponse] = wire(Array(ListOffsetsPartitionResponse))


class ListOffsetsResponse(Message):
    """ListOffsetsResponse, versions 0 to 11."""

    api_key: ClassVar[int] = 2
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 11
    flexible_since: ClassVar[int] = 6

    throttle_time_ms: int = wire(INT32, since=2, ignorable=True)
    topics: list[ListOffsetsTopicResponse] = wire(Array(ListOffsetsTopicResponse))
