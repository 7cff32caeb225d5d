"""The DescribeLogDirs API. Written by tests/protocol/generate_messages.py."""

from __future__ import annotations

from typing import ClassVar

from pyproducer.protocol.primitives import BOOL, INT16, INT32, INT64, STRING, Array
from pyproducer.protocol.schema import Message, Struct, wire


class DescribableLogDirTopic(Struct):
    """Part of DescribeLogDirsRequest."""

    topic: str = wire(STRING)
    partitions: list[int] = wire(Array(INT32))


class DescribeLogDirsRequest(Message):
    """DescribeLogDirsRequest, versions 0 to 5."""

    api_key: ClassVar[int] = 35
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 5
    flexible_since: ClassVar[int] = 2

    topics: list[DescribableLogDirTopic] | None = wire(Array(DescribableLogDirTopic), nullable=0)


class DescribeLogDirsPartition(Struct):
    """Part of DescribeLogDirsResponse."""

    partition_index: int = wire(INT32)
    partition_size: int = wire(INT64)
    offset_lag: int = wire(INT64)
    is_future_key: bool = wire(BOOL)


class DescribeLogDirsTopic(Struct):
    """Part of DescribeLogDirsResponse."""

    name: str = wire(STRING)
    partitions: list[DescribeLogDirsPartition] = wire(Array(DescribeLogDirsPartition))


class DescribeLogDirsResult(Struct):
    """Part of DescribeLogDirsResponse."""

    error_code: int = wire(INT16)
    log_dir: str = wire(STRING)
    topics: list[DescribeLogDirsTopic] = wire(Array(DescribeLogDirsTopic))
    total_bytes: int = wire(INT64, since=4, ignorable=True, default=-1)
    usable_bytes: int = wire(INT64, since=4, ignorable=True, default=-1)
    is_cordoned: bool = wire(BOOL, since=5, ignorable=True)


class DescribeLogDirsResponse(Message):
    """DescribeLogDirsResponse, versions 0 to 5."""

    api_key: ClassVar[int] = 35
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 5
    flexible_since: ClassVar[int] = 2

    throttle_time_ms: int = wire(INT32)
    error_code: int = wire(INT16, since=3, ignorable=True)
    results: list[DescribeLogDirsResult] = wire(Array(DescribeLogDirsResult))
