"""The OffsetCommit API. Written by tests/protocol/generate_messages.py."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from pyproducer.protocol.primitives import INT16, INT32, INT64, STRING, UUID128, Array
from pyproducer.protocol.schema import Message, Struct, wire


class OffsetCommitRequestPartition(Struct):
    """Part of OffsetCommitRequest."""

    partition_index: int = wire(INT32)
    committed_offset: int = wire(INT64)
    committed_leader_epoch: int = wire(INT32, since=6, ignorable=True, default=-1)
    commit_timestamp: int = wire(INT64, since=1, until=1, default=-1)
    committed_metadata: str | None = wire(STRING, nullable=0)


class OffsetCommitRequestTopic(Struct):
    """Part of OffsetCommitRequest."""

    name: str = wire(STRING, until=9, ignorable=True)
    topic_id: UUID = wire(UUID128, since=10, ignorable=True)
    partitions: list[OffsetCommitRequestPartition] = wire(Array(OffsetCommitRequestPartition))


class OffsetCommitRequest(Message):
    """OffsetCommitRequest, versions 0 to 10."""

    api_key: ClassVar[int] = 8
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 10
    flexible_since: ClassVar[int] = 8

    group_id: str = wire(STRING)
    generation_id_or_member_epoch: int = wire(INT32, since=1, ignorable=True, default=-1)
    member_id: str = wire(STRING, since=1, ignorable=True)
    group_instance_id: str | None = wire(STRING, since=7, nullable=7, default=None)
    retention_time_ms: int = wire(INT64, since=2, until=4, ignorable=True, default=-1)
    topics: list[OffsetCommitRequestTopic] = wire(Array(OffsetCommitRequestTopic))


class OffsetCommitResponsePartition(Struct):
    """Part of OffsetCommitResponse."""

    partition_index: int = wire(INT32)
    error_code: int = wire(INT16)


class OffsetCommitResponseTopic(Struct):
    """Part of OffsetCommitResponse."""

    name: str = wire(STRING, until=9, ignorable=True)
    topic_id: UUID = wire(UUID128, since=10, ignorable=True)
    partitions: list[OffsetCommitResponsePartition] = wire(Array(OffsetCommitResponsePartition))


class OffsetCommitResponse(Message):
    """OffsetCommitResponse, versions 0 to 10."""

    api_key: ClassVar[int] = 8
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 10
    flexible_since: ClassVar[int] = 8

    throttle_time_ms: int = wire(INT32, since=3, ignorable=True)
    topics: list[OffsetCommitResponseTopic] = wire(Array(OffsetCommitResponseTopic))
