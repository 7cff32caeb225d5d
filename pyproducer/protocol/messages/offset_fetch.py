"""The OffsetFetch API. Written by tests/protocol/generate_messages.py."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from pyproducer.protocol.primitives import BOOL, INT16, INT32, INT64, STRING, UUID128, Array
from pyproducer.protocol.schema import Message, Struct, wire


class OffsetFetchRequestTopic(Struct):
    """Part of OffsetFetchRequest."""

    name: str = wire(STRING, until=7)
    partition_indexes: list[int] = wire(Array(INT32), until=7)


class OffsetFetchRequestTopics(Struct):
    """Part of OffsetFetchRequest."""

    name: str = wire(STRING, since=8, until=9, ignorable=True)
    topic_id: UUID = wire(UUID128, since=10, ignorable=True)
    partition_indexes: list[int] = wire(Array(INT32), since=8)


class OffsetFetchRequestGroup(Struct):
    """Part of OffsetFetchRequest."""

    group_id: str = wire(STRING, since=8)
    member_id: str | None = wire(STRING, since=9, nullable=9, ignorable=True, default=None)
    member_epoch: int = wire(INT32, since=9, ignorable=True, default=-1)
    topics: list[OffsetFetchRequestTopics] | None = wire(
        Array(OffsetFetchRequestTopics), since=8, nullable=8
    )


class OffsetFetchRequest(Message):
    """OffsetFetchRequest, versions 0 to 10."""

    api_key: ClassVar[int] = 9
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 10
    flexible_since: ClassVar[int] = 6

    group_id: str = wire(STRING, until=7)
    topics: list[OffsetFetchRequestTopic] | None = wire(
        Array(OffsetFetchRequestTopic), until=7, nullable=2
    )
    groups: list[OffsetFetchRequestGroup] = wire(Array(OffsetFetchRequestGroup), since=8)
    require_stable: bool = wire(BOOL, since=7)


class OffsetFetchResponsePartition(Struct):
    """Part of OffsetFetchResponse."""

    partition_index: int = wire(INT32, until=7)
    committed_offset: int = wire(INT64, until=7)
    committed_leader_epoch: int = wire(INT32, since=5, until=7, ignorable=True, default=-1)
    metadata: str | None = wire(STRING, until=7, nullable=0)
    error_code: int = wire(INT16, until=7)


class OffsetFetchResponseTopic(Struct):
    """Part of OffsetFetchResponse."""

    name: str = wire(STRING, until=7)
    partitions: list[OffsetFetchResponsePartition] = wire(
        Array(OffsetFetchResponsePartition), until=7
    )


class OffsetFetchResponsePartitions(Struct):
    """Part of OffsetFetchResponse."""

    partition_index: int = wire(INT32, since=8)
    committed_offset: int = wire(INT64, since=8)
    committed_leader_epoch: int = wire(INT32, since=8, ignorable=True, default=-1)
    metadata: str | None = wire(STRING, since=8, nullable=8)
    error_code: int = wire(INT16, since=8)


class OffsetFetchResponseTopics(Struct):
    """Part of OffsetFetchResponse."""

    name: str = wire(STRING, since=8, until=9, ignorable=True)
    topic_id: UUID = wire(UUID128, since=10, ignorable=True)
    partitions: list[OffsetFetchResponsePartitions] = wire(
        Array(OffsetFetchResponsePartitions), since=8
    )


class OffsetFetchResponseGroup(Struct):
    """Part of OffsetFetchResponse."""

    group_id: str = wire(STRING, since=8)
    topics: list[OffsetFetchResponseTopics] = wire(Array(OffsetFetchResponseTopics), since=8)
    error_code: int = wire(INT16, since=8)


class OffsetFetchResponse(Message):
    """OffsetFetchResponse, versions 0 to 10."""

    api_key: ClassVar[int] = 9
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 10
    flexible_since: ClassVar[int] = 6

    throttle_time_ms: int = wire(INT32, since=3, ignorable=True)
    topics: list[OffsetFetchResponseTopic] = wire(Array(OffsetFetchResponseTopic), until=7)
    error_code: int = wire(INT16, since=2, until=7, ignorable=True)
    groups: list[OffsetFetchResponseGroup] = wire(Array(OffsetFetchResponseGroup), since=8)
