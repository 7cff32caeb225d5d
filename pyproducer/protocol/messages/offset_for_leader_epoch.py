"""The OffsetForLeaderEpoch API. Written by tests/protocol/generate_messages.py."""

from __future__ import annotations

from typing import ClassVar

from pyproducer.protocol.primitives import INT16, INT32, INT64, STRING, Array
from pyproducer.protocol.schema import Message, Struct, wire


class OffsetForLeaderPartition(Struct):
    """Part of OffsetForLeaderEpochRequest."""

    partition: int = wire(INT32)
    current_leader_epoch: int = wire(INT32, since=2, ignorable=True, default=-1)
    leader_epoch: int = wire(INT32)


class OffsetForLeaderTopic(Struct):
    """Part of OffsetForLeaderEpochRequest."""

    topic: str = wire(STRING)
    partitions: list[OffsetForLeaderPartition] = wire(Array(OffsetForLeaderPartition))


class OffsetForLeaderEpochRequest(Message):
    """OffsetForLeaderEpochRequest, versions 0 to 4."""

    api_key: ClassVar[int] = 23
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 4
    flexible_since: ClassVar[int] = 4

    replica_id: int = wire(INT32, since=3, ignorable=True, default=-2)
    topics: list[OffsetForLeaderTopic] = wire(Array(OffsetForLeaderTopic))


class EpochEndOffset(Struct):
    """Part of OffsetForLeaderEpochResponse."""

    error_code: int = wire(INT16)
    partition: int = wire(INT32)
    leader_epoch: int = wire(INT32, since=1, ignorable=True, default=-1)
    end_offset: int = wire(INT64, default=-1)


class OffsetForLeaderTopicResult(Struct):
    """Part of OffsetForLeaderEpochResponse."""

    topic: str = wire(STRING)
    partitions: list[EpochEndOffset] = wire(Array(EpochEndOffset))


class OffsetForLeaderEpochResponse(Message):
    """OffsetForLeaderEpochResponse, versions 0 to 4."""

    api_key: ClassVar[int] = 23
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 4
    flexible_since: ClassVar[int] = 4

    throttle_time_ms: int = wire(INT32, since=2, ignorable=True)
    topics: list[OffsetForLeaderTopicResult] = wire(Array(OffsetForLeaderTopicResult))
