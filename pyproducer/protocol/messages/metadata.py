"""The Metadata API. Written by tests/protocol/generate_messages.py."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from pyproducer.protocol.primitives import BOOL, INT16, INT32, STRING, UUID128, Array
from pyproducer.protocol.schema import Message, Struct, wire


class MetadataRequestTopic(Struct):
    """Part of MetadataRequest."""

    topic_id: UUID = wire(UUID128, since=10, ignorable=True)
    name: str | None = wire(STRING, nullable=10)


class MetadataRequest(Message):
    """MetadataRequest, versions 0 to 13."""

    api_key: ClassVar[int] = 3
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 13
    flexible_since: ClassVar[int] = 9

    topics: list[MetadataRequestTopic] | None = wire(Array(MetadataRequestTopic), nullable=1)
    allow_auto_topic_creation: bool = wire(BOOL, since=4, default=True)
    include_cluster_authorized_operations: bool = wire(BOOL, since=8, until=10)
    include_topic_authorized_operations: bool = wire(BOOL, since=8)


class MetadataResponseBroker(Struct):
    """Part of MetadataResponse."""

    node_id: int = wire(INT32)
    host: str = wire(STRING)
    port: int = wire(INT32)
    rack: str | None = wire(STRING, since=1, nullable=1, ignorable=True, default=None)


class MetadataResponsePartition(Struct):
    """Part of MetadataResponse."""

    error_code: int = wire(INT16)
    partition_index: int = wire(INT32)
    leader_id: int = wire(INT32)
    leader_epoch: int = wire(INT32, since=7, ignorable=True, default=-1)
    replica_nodes: list[int] = wire(Array(INT32))
    isr_nodes: list[int] = wire(Array(INT32))
    offline_replicas: list[int] = wire(Array(INT32), since=5, ignorable=True)


class MetadataResponseTopic(Struct):
    """Part of MetadataResponse."""

    error_code: int = wire(INT16)
    name: str | None = wire(STRING, nullable=12)
    topic_id: UUID = wire(UUID128, since=10, ignorable=True)
    is_internal: bool = wire(BOOL, since=1, ignorable=True)
    partitions: list[MetadataResponsePartition] = wire(Array(MetadataResponsePartition))
    topic_authorized_operations: int = wire(INT32, since=8, default=-2147483648)


class MetadataResponse(Message):
    """MetadataResponse, versions 0 to 13."""

    api_key: ClassVar[int] = 3
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 13
    flexible_since: ClassVar[int] = 9

    throttle_time_ms: int = wire(INT32, since=3, ignorable=True)
    brokers: list[MetadataResponseBroker] = wire(Array(MetadataResponseBroker))
    cluster_id: str | None = wire(STRING, since=2, nullable=2, ignorable=True, default=None)
    controller_id: int = wire(INT32, since=1, ignorable=True, default=-1)
    topics: list[MetadataResponseTopic] = wire(Array(MetadataResponseTopic))
    cluster_authorized_operations: int = wire(INT32, since=8, until=10, default=-2147483648)
    error_code: int = wire(INT16, since=13, ignorable=True)
