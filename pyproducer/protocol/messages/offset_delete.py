"""The OffsetDelete API. Written by tests/protocol/generate_messages.py."""

from __future__ import annotations

from typing import ClassVar

from pyproducer.protocol.primitives import INT16, INT32, STRING, Array
from pyproducer.protocol.schema import Message, Struct, wire


class OffsetDeleteRequestPartition(Struct):
    """Part of OffsetDeleteRequest."""

    partition_index: int = wire(INT32)


class OffsetDeleteRequestTopic(Struct):
    """Part of OffsetDeleteRequest."""

    name: str = wire(STRING)
    partitions: list[OffsetDeleteRequestPartition] = wire(Array(OffsetDeleteRequestPartition))


class OffsetDeleteRequest(Message):
    """OffsetDeleteRequest, versions 0 to 0."""

    api_key: ClassVar[int] = 47
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 0

    group_id: str = wire(STRING)
    topics: list[OffsetDeleteRequestTopic] = wire(Array(OffsetDeleteRequestTopic))


class OffsetDeleteResponsePartition(Struct):
    """Part of OffsetDeleteResponse."""

    partition_index: int = wire(INT32)
    error_code: int = wire(INT16)


class OffsetDeleteResponseTopic(Struct):
    """Part of OffsetDeleteResponse."""

    name: str = wire(STRING)
    partitions: list[OffsetDeleteResponsePartition] = wire(Array(OffsetDeleteResponsePartition))


class OffsetDeleteResponse(Message):
    """OffsetDeleteResponse, versions 0 to 0."""

    api_key: ClassVar[int] = 47
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 0

    error_code: int = wire(INT16)
    throttle_time_ms: int = wire(INT32, ignorable=True)
    topics: list[OffsetDeleteResponseTopic] = wire(Array(OffsetDeleteResponseTopic))
