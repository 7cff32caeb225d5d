"""The ConsumerGroupDescribe API. Written by tests/protocol/generate_messages.py."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from pyproducer.protocol.primitives import BOOL, INT16, INT32, INT8, STRING, UUID128, Array
from pyproducer.protocol.schema import Message, Struct, wire


class ConsumerGroupDescribeRequest(Message):
    """ConsumerGroupDescribeRequest, versions 0 to 1."""

    api_key: ClassVar[int] = 69
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 1
    flexible_since: ClassVar[int] = 0

    group_ids: list[str] = wire(Array(STRING))
    include_authorized_operations: bool = wire(BOOL)


class TopicPartitions(Struct):
    """Part of ConsumerGroupDescribeResponse."""

    topic_id: UUID = wire(UUID128)
    topic_name: str = wire(STRING)
    partitions: list[int] = wire(Array(INT32))


class Assignment(Struct):
    """Part of ConsumerGroupDescribeResponse."""

    topic_partitions: list[TopicPartitions] = wire(Array(TopicPartitions))


class Member(Struct):
    """Part of ConsumerGroupDescribeResponse."""

    member_id: str = wire(STRING)
    instance_id: str | None = wire(STRING, nullable=0, default=None)
    rack_id: str | None = wire(STRING, nullable=0, default=None)
    member_epoch: int = wire(INT32)
    client_id: str = wire(STRING)
    client_host: str = wire(STRING)
    subscribed_topic_names: list[str] = wire(Array(STRING))
    subscribed_topic_regex: str | None = wire(STRING, nullable=0, default=None)
    assignment: Assignment = wire(Assignment)
    target_assignment: Assignment = wire(Assignment)
    member_type: int = wire(INT8, since=1, ignorable=True, default=-1)


class DescribedGroup(Struct):
    """Part of ConsumerGroupDescribeResponse."""

    error_code: int = wire(INT16)
    error_message: str | None = wire(STRING, nullable=0, default=None)
    group_id: str = wire(STRING)
    group_state: str = wire(STRING)
    group_epoch: int = wire(INT32)
    assignment_epoch: int = wire(INT32)
    assignor_name: str = wire(STRING)
    members: list[Member] = wire(Array(Member))
    authorized_operations: int = wire(INT32, default=-2147483648)


class ConsumerGroupDescribeResponse(Message):
    """ConsumerGroupDescribeResponse, versions 0 to 1."""

    api_key: ClassVar[int] = 69
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 1
    flexible_since: ClassVar[int] = 0

    throttle_time_ms: int = wire(INT32)
    groups: list[DescribedGroup] = wire(Array(DescribedGroup))
