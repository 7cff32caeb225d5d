"""The ElectLeaders API. Written by tests/protocol/generate_messages.py."""

from __future__ import annotations

from typing import ClassVar

from pyproducer.protocol.primitives import INT16, INT32, INT8, STRING, Array
from pyproducer.protocol.schema import Message, Struct, wire


class TopicPartitions(Struct):
    """Part of ElectLeadersRequest."""

    topic: str = wire(STRING)
    partitions: list[int] = wire(Array(INT32))


class ElectLeadersRequest(Message):
    """ElectLeadersRequest, versions 0 to 2."""

    api_key: ClassVar[int] = 43
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 2
    flexible_since: ClassVar[int] = 2

    election_type: int = wire(INT8, since=1)
    topic_partitions: list[TopicPartitions] | None = wire(Array(TopicPartitions), nullable=0)
    timeout_ms: int = wire(INT32, default=60000)


class PartitionResult(Struct):
    """Part of ElectLeadersResponse."""

    partition_id: int = wire(INT32)
    error_code: int = wire(INT16)
    error_message: str | None = wire(STRING, nullable=0)


class ReplicaElectionResult(Struct):
    """Part of ElectLeadersResponse."""

    topic: str = wire(STRING)
    partition_result: list[PartitionResult] = wire(Array(PartitionResult))


class ElectLeadersResponse(Message):
    """ElectLeadersResponse, versions 0 to 2."""

    api_key: ClassVar[int] = 43
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 2
    flexible_since: ClassVar[int] = 2

    throttle_time_ms: int = wire(INT32)
    error_code: int = wire(INT16, since=1)
    replica_election_results: list[ReplicaElectionResult] = wire(Array(ReplicaElectionResult))
