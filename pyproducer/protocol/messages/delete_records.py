"""The DeleteRecords API. Written by tests/protocol/generate_messages.py."""

from __future__ import annotations

from typing import ClassVar

from pyproducer.protocol.primitives import INT16, INT32, INT64, STRING, Array
from pyproducer.protocol.schema import Message, Struct, wire


class DeleteRecordsPartition(Struct):
    """Part of DeleteRecordsRequest."""

    partition_index: int = wire(INT32)
    offset: int = wire(INT64)


class DeleteRecordsTopic(Struct):
    """Part of DeleteRecordsRequest."""

    name: str = wire(STRING)
    partitions: list[DeleteRecordsPartition] = wire(Array(DeleteRecordsPartition))


class DeleteRecordsRequest(Message):
    """DeleteRecordsRequest, versions 0 to 2."""

    api_key: ClassVar[int] = 21
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 2
    flexible_since: ClassVar[int] = 2

    topics: list[DeleteRecordsTopic] = wire(Array(DeleteRecordsTopic))
    timeout_ms: int = wire(INT32)


class DeleteRecordsPartitionResult(Struct):
    """Part of DeleteRecordsResponse."""

    partition_index: int = wire(INT32)
    low_watermark: int = wire(INT64)
    error_code: int = wire(INT16)


class DeleteRecordsTopicResult(Struct):
    """Part of DeleteRecordsResponse."""

    name: str = wire(STRING)
    partitions: list[DeleteRecordsPartitionResult] = wire(Array(DeleteRecordsPartitionResult))


class DeleteRecordsResponse(Message):
    """DeleteRecordsResponse, versions 0 to 2."""

    api_key: ClassVar[int] = 21
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 2
    flexible_since: ClassVar[int] = 2

    throttle_time_ms: int = wire(INT32)
    topics: list[DeleteRecordsTopicResult] = wire(Array(DeleteRecordsTopicResult))
