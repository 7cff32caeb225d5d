"""The DeleteTopics API. Written by tests/protocol/generate_messages.py."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from pyproducer.protocol.primitives import INT16, INT32, STRING, UUID128, Array
from pyproducer.protocol.schema import Message, Struct, wire


class DeleteTopicState(Struct):
    """Part of DeleteTopicsRequest."""

    name: str | None = wire(STRING, since=6, nullable=6, default=None)
    topic_id: UUID = wire(UUID128, since=6)


class DeleteTopicsRequest(Message):
    """DeleteTopicsRequest, versions 0 to 6."""

    api_key: ClassVar[int] = 20
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 6
    flexible_since: ClassVar[int] = 4

    topics: list[DeleteTopicState] = wire(Array(DeleteTopicState), since=6)
    topic_names: list[str] = wire(Array(STRING), until=5, ignorable=True)
    timeout_ms: int = wire(INT32)


class DeletableTopicResult(Struct):
    """Part of DeleteTopicsResponse."""

    name: str | None = wire(STRING, nullable=6)
    topic_id: UUID = wire(UUID128, since=6, ignorable=True)
    error_code: int = wire(INT16)
    error_message: str | None = wire(STRING, since=5, nullable=5, ignorable=True, default=None)


class DeleteTopicsResponse(Message):
    """DeleteTopicsResponse, versions 0 to 6."""

    api_key: ClassVar[int] = 20
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 6
    flexible_since: ClassVar[int] = 4

    throttle_time_ms: int = wire(INT32, since=1, ignorable=True)
    responses: list[DeletableTopicResult] = wire(Array(DeletableTopicResult))
