"""Keys and values of the records in `__consumer_offsets`, as Kafka lays them out.

Each key and each value starts with an int16 version, then follows the struct in that version. The
version of a key also tells its kind: 0 and 1 are offsets, 2 is group metadata.
"""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from pyproducer.protocol.primitives import (
    BYTES,
    INT32,
    INT64,
    STRING,
    UUID128,
    ZERO_UUID,
    Array,
)
from pyproducer.protocol.schema import Message, Struct, wire


class OffsetCommitKey(Message):
    """Names one partition's offset of one group."""

    max_version: ClassVar[int] = 1

    group: str = wire(STRING)
    topic: str = wire(STRING)
    partition: int = wire(INT32)


class OffsetCommitValue(Message):
    """The committed offset. Version 1 alone has an expiry of its own."""

    max_version: ClassVar[int] = 4
    flexible_since: ClassVar[int] = 4

    offset: int = wire(INT64)
    leader_epoch: int = wire(INT32, since=3, ignorable=True, default=-1)
    metadata: str = wire(STRING)
    commit_timestamp: int = wire(INT64)
    expire_timestamp: int = wire(INT64, since=1, until=1, ignorable=True, default=-1)
    topic_id: UUID = wire(UUID128, since=4, tag=0, ignorable=True, default=ZERO_UUID)


class GroupMetadataKey(Message):
    """Names one group."""

    min_version: ClassVar[int] = 2
    max_version: ClassVar[int] = 2

    group: str = wire(STRING)


class MemberMetadata(Struct):
    """One member within GroupMetadataValue."""

    member_id: str = wire(STRING)
    group_instance_id: str | None = wire(STRING, since=3, nullable=3, ignorable=True, default=None)
    client_id: str = wire(STRING)
    client_host: str = wire(STRING)
    rebalance_timeout: int = wire(INT32, since=1, ignorable=True)
    session_timeout: int = wire(INT32)
    subscription: bytes = wire(BYTES)
    assignment: bytes = wire(BYTES)


class GroupMetadataValue(Message):
    """The last generation that was stored."""

    max_version: ClassVar[int] = 4
    flexible_since: ClassVar[int] = 4

    protocol_type: str = wire(STRING)
    generation: int = wire(INT32)
    protocol: str | None = wire(STRING, nullable=0, default=None)
    leader: str | None = wire(STRING, nullable=0, default=None)
    current_state_timestamp: int = wire(INT64, since=2, ignorable=True, default=-1)
    members: list[MemberMetadata] = wire(Array(MemberMetadata))
