"""The ListPartitionReassignments API. Written by tests/protocol/generate_messages.py."""

from __future__ import annotations

from typing import ClassVar

from pyproducer.protocol.primitives import INT16, INT32, STRING, Array
from pyproducer.protocol.schema import Message, Struct, wire


class ListPartitionReassignmentsTopics(Struct):
    """Part of ListPartitionReassignmentsRequest."""

    name: str = wire(STRING)
    partition_indexes: list[int] = wire(Array(INT32))


class ListPartitionReassignmentsRequest(Message):
    """ListPartitionReassignmentsRequest, versions 0 to 0."""

    api_key: ClassVar[int] = 46
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 0
    flexible_since: ClassVar[int] = 0

    timeout_ms: int = wire(INT32, default=60000)
    topics: list[ListPartitionReassignmentsTopics] | None = wire(
        Array(ListPartitionReassignmentsTopics), nullable=0, default=None
    )


class OngoingPartitionReassignment(Struct):
    """Part of ListPartitionReassignmentsResponse."""

    partition_index: int = wire(INT32)
    replicas: list[int] = wire(Array(INT32))
    adding_replicas: list[int] = wire(Array(INT32))
    removing_replicas: list[int] = wire(Array(INT32))


class OngoingTopicReassignment(Struct):
    """Part of ListPartitionReassignmentsResponse."""

    name: str = wire(STRING)
    partitions: list[OngoingPartitionReassignment] = wire(Array(OngoingPartitionReassignment))


class ListPartitionReassignmentsResponse(Message):
    """ListPartitionReassignmentsResponse, versions 0 to 0."""

    api_key: ClassVar[int] = 46
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 0
    flexible_since: ClassVar[int] = 0

    throttle_time_ms: int = wire(INT32)
    error_code: int = wire(INT16)
    error_message: str | None = wire(STRING, nullable=0)
    topics: list[OngoingTopicReassignment] = wire(Array(OngoingTopicReassignment))
