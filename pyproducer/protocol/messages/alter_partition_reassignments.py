"""The AlterPartitionReassignments API. Written by tests/protocol/generate_messages.py."""

from __future__ import annotations

from typing import ClassVar

from pyproducer.protocol.primitives import BOOL, INT16, INT32, STRING, Array
from pyproducer.protocol.schema import Message, Struct, wire


class ReassignablePartition(Struct):
    """Part of AlterPartitionReassignmentsRequest."""

    partition_index: int = wire(INT32)
    replicas: list[int] | None = wire(Array(INT32), nullable=0, default=None)


class ReassignableTopic(Struct):
    """Part of AlterPartitionReassignmentsRequest."""

    name: str = wire(STRING)
    partitions: list[ReassignablePartition] = wire(Array(ReassignablePartition))


class AlterPartitionReassignmentsRequest(Message):
    """AlterPartitionReassignmentsRequest, versions 0 to 1."""

    api_key: ClassVar[int] = 45
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 1
    flexible_since: ClassVar[int] = 0

    timeout_ms: int = wire(INT32, default=60000)
    allow_replication_factor_change: bool = wire(BOOL, since=1, default=True)
    topics: list[ReassignableTopic] = wire(Array(ReassignableTopic))


class ReassignablePartitionResponse(Struct):
    """Part of AlterPartitionReassignmentsResponse."""

    partition_index: int = wire(INT32)
    error_code: int = wire(INT16)
    error_message: str | None = wire(STRING, nullable=0)


class ReassignableTopicResponse(Struct):
    """Part of AlterPartitionReassignmentsResponse."""

    name: str = wire(STRING)
    partitions: list[ReassignablePartitionResponse] = wire(Array(ReassignablePartitionResponse))


class AlterPartitionReassignmentsResponse(Message):
    """AlterPartitionReassignmentsResponse, versions 0 to 1."""

    api_key: ClassVar[int] = 45
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 1
    flexible_since: ClassVar[int] = 0

    throttle_time_ms: int = wire(INT32)
    allow_replication_factor_change: bool = wire(BOOL, since=1, ignorable=True, default=True)
    error_code: int = wire(INT16)
    error_message: str | None = wire(STRING, nullable=0)
    responses: list[ReassignableTopicResponse] = wire(Array(ReassignableTopicResponse))
