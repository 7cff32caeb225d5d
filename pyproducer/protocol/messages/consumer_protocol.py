"""What consumers tell each other in a group. Written by tests/protocol/generate_messages.py."""

from __future__ import annotations

from typing import ClassVar

from pyproducer.protocol.primitives import BYTES, INT32, STRING, Array
from pyproducer.protocol.schema import Message, Struct, wire


class TopicPartition(Struct):
    """Part of ConsumerProtocolSubscription."""

    topic: str = wire(STRING, since=1)
    partitions: list[int] = wire(Array(INT32), since=1)


class ConsumerProtocolSubscription(Message):
    """ConsumerProtocolSubscription, versions 0 to 3."""

    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 3

    topics: list[str] = wire(Array(STRING))
    user_data: bytes | None = wire(BYTES, nullable=0, default=None)
    owned_partitions: list[TopicPartition] = wire(Array(TopicPartition), since=1, ignorable=True)
    generation_id: int = wire(INT32, since=2, ignorable=True, default=-1)
    rack_id: str | None = wire(STRING, since=3, nullable=3, ignorable=True, default=None)


class ResponseTopicPartition(Struct):
    """Part of ConsumerProtocolAssignment."""

    topic: str = wire(STRING)
    partitions: list[int] = wire(Array(INT32))


class ConsumerProtocolAssignment(Message):
    """ConsumerProtocolAssignment, versions 0 to 3."""

    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 3

    assigned_partitions: list[ResponseTopicPartition] = wire(Array(ResponseTopicPartition))
    user_data: bytes | None = wire(BYTES, nullable=0, default=None)
