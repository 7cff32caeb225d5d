"""The Fetch API. Written by tests/protocol/generate_messages.py."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from pyproducer.protocol.primitives import (
    INT16,
    INT32,
    INT64,
    INT8,
    RECORDS,
    STRING,
    UUID128,
    Array,
)
from pyproducer.protocol.schema import Message, Records, Struct, wire


class ReplicaState(Struct):
    """Part of FetchRequest."""

    replica_id: int = wire(INT32, since=15, default=-1)
    replica_epoch: int = wire(INT64, since=15, default=-1)


class FetchPartition(Struct):
    """Part of FetchRequest."""

    partition: int = wire(INT32)
    current_leader_epoch: int = wire(INT32, since=9, ignorable=True, default=-1)
    fetch_offset: int = wire(INT64)
    last_fetched_epoch: int = wire(INT32, since=12, default=-1)
    log_start_offset: int = wire(INT64, since=5, ignorable=True, default=-1)
    partition_max_bytes: int = wire(INT32)
    replica_directory_id: UUID = wire(UUID128, since=17, tag=0, ignorable=True)
    high_watermark: int = wire(INT64, since=18, tag=1, ignorable=True, default=9223372036854775807)


class FetchTopic(Struct):
    """Part of FetchRequest."""

    topic: str = wire(STRING, until=12, ignorable=True)
    topic_id: UUID = wire(UUID128, since=13, ignorable=True)
    partitions: list[FetchPartition] = wire(Array(FetchPartition))


class ForgottenTopic(Struct):
    """Part of FetchRequest."""

    topic: str = wire(STRING, since=7, until=12, ignorable=True)
    topic_id: UUID = wire(UUID128, since=13, ignorable=True)
    partitions: list[int] = wire(Array(INT32), since=7)


class FetchRequest(Message):
    """FetchRequest, versions 4 to 18."""

    api_key: ClassVar[int] = 1
    min_version: ClassVar[int] = 4
    max_version: ClassVar[int] = 18
    flexible_since: ClassVar[int] = 12

    cluster_id: str | None = wire(
        STRING, since=12, nullable=12, tag=0, ignorable=True, default=None
    )
    replica_id: int = wire(INT32, until=14, default=-1)
    replica_state: ReplicaState | None = wire(ReplicaState, since=15, tag=1)
    max_wait_ms: int = wire(INT32)
    min_bytes: int = wire(INT32)
    max_bytes: int = wire(INT32, since=3, ignorable=True, default=2147483647)
    isolation_level: int = wire(INT8, since=4, ignorable=True)
    session_id: int = wire(INT32, since=7, ignorable=True)
    session_epoch: int = wire(INT32, since=7, ignorable=True, default=-1)
    topics: list[FetchTopic] = wire(Array(FetchTopic))
    forgotten_topics_data: list[ForgottenTopic] = wire(Array(ForgottenTopic), since=7)
    rack_id: str = wire(STRING, since=11, ignorable=True)


class EpochEndOffset(Struct):
    """Part of FetchResponse."""

    epoch: int = wire(INT32, since=12, default=-1)
    end_offset: int = wire(INT64, since=12, default=-1)


class LeaderIdAndEpoch(Struct):
    """Part of FetchResponse."""

    leader_id: int = wire(INT32, since=12, default=-1)
    leader_epoch: int = wire(INT32, since=12, default=-1)


class SnapshotId(Struct):
    """Part of FetchResponse."""

    end_offset: int = wire(INT64, default=-1)
    epoch: int = wire(INT32, default=-1)


class AbortedTransaction(Struct):
    """Part of FetchResponse."""

    producer_id: int = wire(INT64, since=4)
    first_offset: int = wire(INT64, since=4)


class PartitionData(Struct):
    """Part of FetchResponse."""

    partition_index: int = wire(INT32)
    error_code: int = wire(INT16)
    high_watermark: int = wire(INT64)
    last_stable_offset: int = wire(INT64, since=4, ignorable=True, default=-1)
    log_start_offset: int = wire(INT64, since=5, ignorable=True, default=-1)
    diverging_epoch: EpochEndOffset | None = wire(EpochEndOffset, since=12, tag=0)
    current_leader: LeaderIdAndEpoch | None = wire(LeaderIdAndEpoch, since=12, tag=1)
    snapshot_id: SnapshotId | None = wire(SnapshotId, since=12, tag=2)
    aborted_transactions: list[AbortedTransaction] | None = wire(
        Array(AbortedTransaction), since=4, nullable=4, ignorable=True
    )
    preferred_read_replica: int = wire(INT32, since=11, default=-1)
    records: Records | None = wire(RECORDS, nullable=0)


class FetchableTopicResponse(Struct):
    """Part of FetchResponse."""

    topic: str = wire(STRING, until=12, ignorable=True)
    topic_id: UUID = wire(UUID128, since=13, ignorable=True)
    partitions: list[PartitionData] = wire(Array(PartitionData))


class NodeEndpoint(Struct):
    """Part of FetchResponse."""

    node_id: int = wire(INT32, since=16)
    host: str = wire(STRING, since=16)
    port: int = wire(INT32, since=16)
    rack: str | None = wire(STRING, since=16, nullable=16, default=None)


class FetchResponse(Message):
    """FetchResponse, versions 4 to 18."""

    api_key: ClassVar[int] = 1
    min_version: ClassVar[int] = 4
    max_version: ClassVar[int] = 18
    flexible_since: ClassVar[int] = 12

    throttle_time_ms: int = wire(INT32, since=1, ignorable=True)
    error_code: int = wire(INT16, since=7, ignorable=True)
    session_id: int = wire(INT32, since=7)
    responses: list[FetchableTopicResponse] = wire(Array(FetchableTopicResponse))
    node_endpoints: list[NodeEndpoint] = wire(Array(NodeEndpoint), since=16, tag=0)
