"""The CreateTopics API. Written by tests/protocol/generate_messages.py."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from pyproducer.protocol.primitives import BOOL, INT16, INT32, INT8, STRING, UUID128, Array
from pyproducer.protocol.schema import Message, Struct, wire


class CreatableReplicaAssignment(Struct):
    """Part of CreateTopicsRequest."""

    partition_index: int = wire(INT32)
    broker_ids: list[int] = wire(Array(INT32))


class CreatableTopicConfig(Struct):
    """Part of CreateTopicsRequest."""

    name: str = wire(STRING)
    value: str | None = wire(STRING, nullable=0)


class CreatableTopic(Struct):
    """Part of CreateTopicsRequest."""

    name: str = wire(STRING)
    num_partitions: int = wire(INT32)
    replication_factor: int = wire(INT16)
    assignments: list[CreatableReplicaAssignment] = wire(Array(CreatableReplicaAssignment))
    configs: list[CreatableTopicConfig] = wire(Array(CreatableTopicConfig))


class CreateTopicsRequest(Message):
    """CreateTopicsRequest, versions 0 to 7."""

    api_key: ClassVar[int] = 19
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 7
    flexible_since: ClassVar[int] = 5

    topics: list[CreatableTopic] = wire(Array(CreatableTopic))
    timeout_ms: int = wire(INT32, default=60000)
    validate_only: bool = wire(BOOL, since=1)


class CreatableTopicConfigs(Struct):
    """Part of CreateTopicsResponse."""

    name: str = wire(STRING, since=5)
    value: str | None = wire(STRING, since=5, nullable=5)
    read_only: bool = wire(BOOL, since=5)
    config_source: int = wire(INT8, since=5, ignorable=True, default=-1)
    is_sensitive: bool = wire(BOOL, since=5)


class CreatableTopicResult(Struct):
    """Part of CreateTopicsResponse."""

    name: str = wire(STRING)
    topic_id: UUID = wire(UUID128, since=7, ignorable=True)
    error_code: int = wire(INT16)
    error_message: str | None = wire(STRING, since=1, nullable=0, ignorable=True)
    topic_config_error_code: int = wire(INT16, since=5, tag=0, ignorable=True)
    num_partitions: int = wire(INT32, since=5, ignorable=True, default=-1)
    replication_factor: int = wire(INT16, since=5, ignorable=True, default=-1)
    configs: list[CreatableTopicConfigs] | None = wire(
        Array(CreatableTopicConfigs), since=5, nullable=5, ignorable=True
    )


class CreateTopicsResponse(Message):
    """CreateTopicsResponse, versions 0 to 7."""

    api_key: ClassVar[int] = 19
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 7
    flexible_since: ClassVar[int] = 5

    throttle_time_ms: int = wire(INT32, since=2, ignorable=True)
    topics: list[CreatableTopicResult] = wire(Array(CreatableTopicResult))
