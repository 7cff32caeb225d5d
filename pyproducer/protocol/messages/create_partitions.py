"""The CreatePartitions API. Written by tests/protocol/generate_messages.py."""

from __future__ import annotations

from typing import ClassVar

from pyproducer.protocol.primitives import BOOL, INT16, INT32, STRING, Array
from pyproducer.protocol.schema import Message, Struct, wire


class CreatePartitionsAssignment(Struct):
    """Part of CreatePartitionsRequest."""

    broker_ids: list[int] = wire(Array(INT32))


class CreatePartitionsTopic(Struct):
    """Part of CreatePartitionsRequest."""

    name: str = wire(STRING)
    count: int = wire(INT32)
    assignments: list[CreatePartitionsAssignment] | None = wire(
        Array(CreatePartitionsAssignment), nullable=0
    )


class CreatePartitionsRequest(Message):
    """CreatePartitionsRequest, versions 0 to 3."""

    api_key: ClassVar[int] = 37
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 3
    flexible_since: ClassVar[int] = 2

    topics: list[CreatePartitionsTopic] = wire(Array(CreatePartitionsTopic))
    timeout_ms: int = wire(INT32)
    validate_only: bool = wire(BOOL)


class CreatePartitionsTopicResult(Struct):
    """Part of CreatePartitionsResponse."""

    name: str = wire(STRING)
    error_code: int = wire(INT16)
    error_message: str | None = wire(STRING, nullable=0, default=None)


class CreatePartitionsResponse(Message):
    """CreatePartitionsResponse, versions 0 to 3."""

    api_key: ClassVar[int] = 37
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 3
    flexible_since: ClassVar[int] = 2

    throttle_time_ms: int = wire(INT32)
    results: list[CreatePartitionsTopicResult] = wire(Array(CreatePartitionsTopicResult))
