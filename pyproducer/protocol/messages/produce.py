"""The Produce API. Written by tests/protocol/generate_messages.py."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from pyproducer.protocol.primitives import INT16, INT32, INT64, RECORDS, STRING, UUID128, Array
from pyproducer.protocol.schema import Message, Records, Struct, wire


class PartitionProduceData(Struct):
    """Part of ProduceRequest."""

    index: int = wire(INT32)
    records: Records | None = wire(RECORDS, nullable=0)


class TopicProduceData(Struct):
    """Part of ProduceRequest."""

    name: str = wire(STRING, until=12, ignorable=True)
    topic_id: UUID = wire(UUID128, since=13, ignorable=True)
    partition_data: list[PartitionProduceData] = wire(Array(PartitionProduceData))


class ProduceRequest(Message):
    """ProduceRequest, versions 3 to 13."""

    api_key: ClassVar[int] = 0
    min_version: ClassVar[int] = 3
    max_version: ClassVar[int] = 13
    flexible_since: ClassVar[int] = 9

    transactional_id: str | None = wire(STRING, since=3, nullable=3, default=None)
    acks: int = wire(INT16)
    timeout_ms: int = wire(INT32)
    topic_data: list[TopicProduceData] = wire(Array(TopicProduceData))


class BatchIndexAndErrorMessage(Struct):
    """Part of ProduceResponse."""

    batch_index: int = wire(INT32, since=8)
    batch_index_error_message: str | None = wire(STRING, since=8, nullable=8, default=None)


class LeaderIdAndEpoch(Struct):
    """Part of ProduceResponse."""

    leader_id: int = wire(INT32, since=10, default=-1)
    leader_epoch: int = wire(INT32, since=10, default=-1)


class PartitionProduceResponse(Struct):
    """Part of ProduceResponse."""

    index: int = wire(INT32)
    error_code: int = wire(INT16)
    base_offset: int = wire(INT64)
    log_append_time_ms: int = wire(INT64, since=2, ignorable=True, default=-1)
    log_start_offset: int = wire(INT64, since=5, ignorable=True, default=-1)
    record_errors: list[BatchIndexAndErrorMessage] = wire(
        Array(BatchIndexAndErrorMessage), since=8, ignorable=True
    )
    error_message: str | None = wire(STRING, since=8, nullable=8, ignorable=True, default=None)
    current_leader: LeaderIdAndEpoch | None = wire(LeaderIdAndEpoch, since=10, tag=0)


class TopicProduceResponse(Struct):
    """Part of ProduceResponse."""

    name: str = wire(STRING, until=12, ignorable=True)
    topic_id: UUID = wire(UUID128, since=13, ignorable=True)
    partition_responses: list[PartitionProduceResponse] = wire(Array(PartitionProduceResponse))


class NodeEndpoint(Struct):
    """Part of ProduceResponse."""

    node_id: int = wire(INT32, since=10)
    host: str = wire(STRING, since=10)
    port: int = wire(INT32, since=10)
    rack: str | None = wire(STRING, since=10, nullable=10, default=None)


class ProduceResponse(Message):
    """ProduceResponse, versions 3 to 13."""

    api_key: ClassVar[int] = 0
    min_version: ClassVar[int] = 3
    max_version: ClassVar[int] = 13
    flexible_since: ClassVar[int] = 9

    responses: list[TopicProduceResponse] = wire(Array(TopicProduceResponse))
    throttle_time_ms: int = wire(INT32, since=1, ignorable=True)
    node_endpoints: list[NodeEndpoint] = wire(Array(NodeEndpoint), since=10, tag=0)
